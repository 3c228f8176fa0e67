"""TensorFlow and Keras to TensorFlow Lite by its own converter, in 32-bit numbers."""

import tensorflow as tf
from exchange import Refused, main
from graphs import called, first, opened
from tflite_file import arranged


def work(job):
    model = opened(job)
    try:
        content = converter(job, model).convert()
    except Exception as error:  # its converter raises whatever its C++ side does
        raise Refused("TensorFlow Lite's converter cannot take it: %s" % first(error)) from error
    with open(job.path("model.tflite"), "wb") as file:
        file.write(in_order(content, model))
    cases = job.cases([(name, dtype, (1, *shape[1:])) for name, dtype, shape in model.inputs])
    answers = [model.ask(case) for case in cases]
    job.reply("model.tflite", cases, answers, framework=called(), tool=called(), notes=model.notes)


def in_order(content, model):
    """The file with inputs and outputs in the source's order, which the converter does not keep, under their names."""
    found = tf.lite.Interpreter(model_content=content)
    given = {plain(one["name"]): one["index"] for one in found.get_input_details()}
    gives = {plain(one["name"]): one["index"] for one in found.get_output_details()}
    inputs = [(name, plain(tensor)) for name, tensor in model.feeds.items()]
    outputs = [(plain(one), plain(one)) for one in model.outputs]
    if model.keras is not None:
        signature = found.get_signature_runner()
        given = {name: one["index"] for name, one in signature.get_input_details().items()}
        gives = {name: one["index"] for name, one in signature.get_output_details().items()}
        inputs = [(name, name) for name in model.feeds]
        outputs = list(zip(named(model.keras, gives), sorted(gives, key=number), strict=True))
    if not {key for _, key in inputs} <= given.keys() or not {key for _, key in outputs} <= gives.keys():
        raise Refused("loses the names of its inputs or outputs in TensorFlow Lite: convert it to onnx")
    return arranged(
        content, [(given[key], name) for name, key in inputs], [(gives[key], name) for name, key in outputs]
    )


def plain(tensor):
    """A tensor's name without the number of an operator's only output."""
    return tensor.removesuffix(":0")


def number(name):
    """`output_10` comes after `output_9`."""
    head, _, tail = name.rpartition("_")
    return (head, int(tail)) if tail.isdecimal() else (name, 0)


def named(model, outputs):
    """What Keras calls them, where that is one name for each."""
    names = list(getattr(model, "output_names", None) or ())
    return names if len(set(names)) == len(outputs) else sorted(outputs, key=number)


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
