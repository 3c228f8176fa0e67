"""ONNX to ONNX of another operator set; weights that lie beside it move into the file."""

from exchange import Refused, main

LATEST = 21
MOST = 2_000_000_000


def work(job):
    try:
        import onnx
        import onnx.version_converter
    except ImportError:
        raise Refused('onnx is missing: pip install "edgex-inference[reference]"')
    wanted = job.opset or min(LATEST, onnx.defs.onnx_opset_version())
    try:
        model = onnx.load(job.source)
        if model.ByteSize() > MOST:
            raise Refused(
                "is larger than 2 GB, which no single file of ONNX can be: keep its weights beside it"
            )
        model = onnx.version_converter.convert_version(model, wanted)
        del model.metadata_props[:]  # which the version converter may have lost
        onnx.helper.set_model_props(model, job.metadata)
        onnx.checker.check_model(model)
        onnx.save(model, job.path("model.onnx"))
    except Refused:
        raise
    except Exception as error:  # onnx raises whatever its C++ side does
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise Refused("onnx cannot take it to operator set %d: %s" % (wanted, lines[0] if lines else error))
    job.reply("model.onnx", [], [], framework="", tool="onnx " + onnx.__version__)


main(work)
