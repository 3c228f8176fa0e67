"""TensorFlow Lite to ONNX by tf2onnx; answers come from TensorFlow Lite's interpreter."""

import os

import onnx
import tensorflow as tf
import tf2onnx
from exchange import Refused, main

OPSET = 17


def work(job):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    try:
        interpreter = tf.lite.Interpreter(model_path=job.source, num_threads=1)
        interpreter.allocate_tensors()
        found, _ = tf2onnx.convert.from_tflite(job.source, opset=min(job.opset or OPSET, 18))
    except Exception as error:  # TensorFlow Lite raises ValueError or RuntimeError, tf2onnx anything
        raise Refused(
            "cannot be read or converted: %s" % (str(error).strip().splitlines() or [""])[0][:300]
        ) from error
    onnx.helper.set_model_props(found, job.metadata)
    onnx.save(found, job.path("model.onnx"))
    given = {one["name"]: one for one in interpreter.get_input_details()}
    names = [one.name for one in found.graph.input]
    gets = {one["name"]: one["index"] for one in interpreter.get_output_details()}
    order = [gets.get(one.name, index) for one, index in zip(found.graph.output, gets.values(), strict=True)]
    cases = job.cases([(name, given[name]["dtype"], tuple(map(int, given[name]["shape"]))) for name in names])

    def ask(case):
        for name, array in case.items():
            interpreter.set_tensor(given[name]["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(index).copy() for index in order]

    answers = [ask(case) for case in cases]
    tool = "tf2onnx " + tf2onnx.__version__
    job.reply("model.onnx", cases, answers, framework="tensorflow lite " + tf.__version__, tool=tool)


main(work)
