"""TensorFlow and Keras to ONNX by tf2onnx, always from a frozen graph: its other doors fail on saved optimizers."""

import onnx
import tf2onnx
from exchange import Refused, main
from graphs import called, first, opened

OPSET = 17


def work(job):
    model = opened(job)
    try:
        found, _ = tf2onnx.convert.from_graph_def(
            model.graph,
            input_names=list(model.feeds.values()),
            output_names=model.outputs,
            opset=min(job.opset or OPSET, 18),
            shape_override=overridden(job, model),
        )
    except Exception as error:  # tf2onnx raises whatever an operator's handler does
        raise Refused("tf2onnx cannot convert it: %s" % first(error)) from error
    renamed(found, {**{tensor: name for name, tensor in model.feeds.items()}, **plain(model.outputs)})
    onnx.save(found, job.path("model.onnx"))
    cases = job.cases(model.inputs)
    answers = [model.ask(case) for case in cases]
    tool = "tf2onnx " + tf2onnx.__version__
    job.reply("model.onnx", cases, answers, framework=called(), tool=tool, notes=model.notes)


def overridden(job, model):
    if not job.shapes:
        return None
    return {
        model.feeds[name]: [-1 if one is None else one for one in shape] for name, _, shape in model.inputs
    }


def plain(outputs):
    """`dense/Softmax:0` without its number where that leaves names apart."""
    names = [one.partition(":")[0] for one in outputs]
    return dict(zip(outputs, names, strict=True)) if len(set(names)) == len(names) else {}


def renamed(model, names):
    """Inputs, outputs and every place that speaks of them; nothing else may have the new name."""
    graph = model.graph
    taken = {one for node in graph.node for one in node.output} | {one.name for one in graph.initializer}
    names = {old: new for old, new in names.items() if new not in taken}
    for node in graph.node:
        for tensors in (node.input, node.output):
            for at, name in enumerate(tensors):
                tensors[at] = names.get(name, name)
    for one in (*graph.input, *graph.output, *graph.value_info):
        one.name = names.get(one.name, one.name)


main(work)
