"""TensorFlow and Keras to TensorFlow Lite by its own converter, in 32-bit numbers."""

import tensorflow as tf
from exchange import Refused, main
from graphs import called, first, opened


def work(job):
    model = opened(job)
    try:
        content = converter(job, model).convert()
    except Exception as error:  # its converter raises whatever its C++ side does
        raise Refused("TensorFlow Lite's converter cannot take it: %s" % first(error)) from error
    with open(job.path("model.tflite"), "wb") as file:
        file.write(content)
    found = tf.lite.Interpreter(model_content=content)
    if len(found.get_input_details()) > 1 or len(found.get_output_details()) > 1:
        raise Refused(
            "has several inputs or outputs, whose order TensorFlow Lite does not keep: convert it to onnx"
        )
    cases = job.cases([(name, dtype, (1, *shape[1:])) for name, dtype, shape in model.inputs])
    answers = [model.ask(case) for case in cases]
    job.reply("model.tflite", cases, answers, framework=called(), tool=called())


def converter(job, model):
    if model.keras is not None:
        return tf.lite.TFLiteConverter.from_keras_model(model.keras)
    inputs = [tensor.partition(":")[0] for tensor in model.feeds.values()]
    shapes = {
        model.feeds[name].partition(":")[0]: [1 if one is None else one for one in shape]
        for name, _, shape in model.inputs
    }
    outputs = [one.partition(":")[0] for one in model.outputs]
    with open(job.path("frozen.pb"), "wb") as file:  # its door for SavedModels fails on saved optimizers
        file.write(model.graph.SerializeToString())
    return tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(job.path("frozen.pb"), inputs, outputs, shapes)


main(work)
