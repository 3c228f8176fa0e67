"""Imports what a toolchain is for and says the versions; the job's options hold the names of the modules."""

import importlib
import json

from exchange import Refused, main


def work(job):
    found = {}
    for name in job.options["modules"]:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a broken native library raises anything
            raise Refused("%s cannot be imported: %s" % (name, error))
        found[name] = str(getattr(module, "__version__", ""))
    with open(job.path("versions.json"), "w", encoding="utf-8") as file:
        json.dump(found, file)
    job.reply("versions.json", [], [], framework="", tool="")


main(work)
