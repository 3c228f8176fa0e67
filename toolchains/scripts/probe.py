"""Imports what a toolchain is for and says the versions; the job's options hold the names of the modules."""

import importlib
import json
import os
import sys


def main():
    folder = sys.argv[1]
    with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
        names = json.load(file)["options"]["modules"]
    found = {}
    for name in names:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a broken native library raises anything
            sys.exit("refused: %s cannot be imported: %s" % (name, error))
        found[name] = str(getattr(module, "__version__", ""))
    said = {"file": "versions.json", "framework": "", "tool": "", "inputs": [], "notes": [], "axes": []}
    for name, content in (("versions.json", found), ("reply.json", said)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(content, file)


main()
