"""Kaldi to ONNX by this service's own importer, in the service's own Python."""

from importlib.metadata import version
from pathlib import Path

from exchange import Refused, main


def work(job):
    import onnx

    from edgex_inference.contracts.errors import ModelRejected
    from edgex_inference.importers.kaldi import convert

    try:
        model = convert(Path(job.source), edges=job.options.get("edges", "held"))
    except ModelRejected as error:
        raise Refused(error.reason) from error
    onnx.save(model, job.path("model.onnx"))
    job.reply("model.onnx", [], [], framework="", tool="edgex-inference " + version("edgex-inference"))


main(work)
