"""Kaldi to ONNX by this service's own importer, in the service's own Python."""

from importlib.metadata import version
from pathlib import Path

from exchange import Refused, main


def work(job):
    import onnx

    from edgex_inference.contracts.errors import ModelRejected
    from edgex_inference.importers.kaldi import convert, subsampling

    source, notes = Path(job.source), []
    try:
        every = job.options.get("every") or subsampling(source)
        if every > 1 and "every" not in job.options:
            notes.append("one frame of %d comes out, as frame_subsampling_factor beside it says" % every)
        model = convert(source, edges=job.options.get("edges", "held"), every=every)
    except ModelRejected as error:
        raise Refused(error.reason) from error
    onnx.save(model, job.path("model.onnx"))
    job.reply("model.onnx", [], [], framework="", tool="edgex-inference " + version("edgex-inference"),
              notes=notes)  # fmt: skip


main(work)
