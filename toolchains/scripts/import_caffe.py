"""Caffe to ONNX by this service's own importer: the one kind of script that runs in the service's own Python."""

from importlib.metadata import version
from pathlib import Path

from exchange import Refused, main


def work(job):
    import onnx

    from edgex_inference.contracts.errors import ModelRejected
    from edgex_inference.importers.caffe import convert

    graph, weights = pair(job)
    try:
        model = convert(graph, weights, shapes=job.shapes or None)
    except ModelRejected as error:
        raise Refused(error.reason) from error
    onnx.save(model, job.path("model.onnx"))
    job.reply("model.onnx", [], [], framework="", tool="edgex-inference " + version("edgex-inference"))


def pair(job):
    paths = [Path(one) for one in (job.source, *job.beside)]
    graph = next((one for one in paths if one.suffix != ".caffemodel"), paths[0].with_suffix(".prototxt"))
    weights = next((one for one in paths if one.suffix == ".caffemodel"), paths[0].with_suffix(".caffemodel"))
    for one in (graph, weights):
        if not one.is_file():
            raise Refused("needs the file %s beside it: name it with --weights" % one.name)
    return graph, weights


main(work)
