"""ONNX, TensorFlow, TensorFlow Lite and Paddle to OpenVINO IR, without the compression to 16 bits."""

import re

from exchange import Refused, main


def work(job):
    try:
        import openvino
    except ImportError:
        raise Refused('openvino is missing: pip install "edgex-inference[openvino]"')
    shapes = {name or 0: list(shape) for name, shape in job.shapes.items()}
    try:
        model = openvino.convert_model(job.source)
        if shapes:
            model.reshape({model.input(name): shape for name, shape in shapes.items()})
        for name, text in job.metadata.items():
            if re.fullmatch(r"[A-Za-z_][\w.-]*", name):  # they become names of XML
                model.set_rt_info(text, ["model_info", name])
        openvino.save_model(model, job.path("model.xml"), compress_to_fp16=False)
    except Exception as error:  # every error of OpenVINO is a RuntimeError or one of its own
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        if any("verification failed" in line or "has no subgraphs" in line for line in lines):
            raise Refused("is no whole model, says OpenVINO (%s): copy or download it again" % lines[-1])
        raise Refused("OpenVINO cannot convert it: %s" % (lines[-1] if lines else type(error).__name__))
    tool = "openvino " + openvino.__version__.partition("-")[0]
    job.reply("model.xml", [], [], framework="", tool=tool)


main(work)
