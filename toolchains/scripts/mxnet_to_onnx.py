"""MXNet to ONNX by its own exporter; answers come from the symbol, bound and run by MXNet."""

import glob
import json
import os
import re

import mxnet as mx
import numpy as np
import onnx
from exchange import Refused, main


def work(job):
    graph, weights = files(job)
    try:
        symbol = mx.sym.load(graph)
        saved = mx.nd.load(weights)
    except Exception as error:  # MXNet's own error type, or whatever broken bytes cause
        raise Refused("MXNet cannot load it: %s" % first(error)) from error
    arguments = {name.partition(":")[2]: one for name, one in saved.items() if name.startswith("arg:")}
    states = {name.partition(":")[2]: one for name, one in saved.items() if name.startswith("aux:")}
    labels = [name for name in symbol.list_arguments() if name.endswith("_label")]
    names = [name for name in symbol.list_arguments() if name not in arguments and name not in labels]
    missing = [name for name in names if name not in job.shapes and "" not in job.shapes]
    if missing:
        raise Refused(
            "does not say what it takes: say it for %s, such as --shape %s=1,3,224,224"
            % (missing[0], missing[0])
        )
    shapes = [job.shapes.get(name) or job.shapes[""] for name in names]
    target = job.path("model.onnx")
    try:
        parameters = {**arguments, **states}
        mx.onnx.export_model(modern(symbol), parameters, shapes, [np.float32] * len(shapes), target)
    except Exception as error:  # its exporter raises whatever an operator's translation does
        raise Refused(
            "MXNet's exporter cannot convert it (%s: %s)" % (type(error).__name__, first(error))
        ) from error
    tidied(target)
    cases = job.cases([(name, "float32", shape) for name, shape in zip(names, shapes)])
    answers = [ask(symbol, arguments, states, labels, case) for case in cases]
    version = "mxnet " + mx.__version__
    job.reply("model.onnx", cases, answers, framework=version, tool=version)


def files(job):
    """The symbol and its parameters, whichever of them was named."""
    others = [one for one in job.beside if one != job.source]
    if job.source.endswith(".json"):
        prefix = re.sub(r"-symbol\.json$", "", job.source)
        found = others or sorted(glob.glob(glob.escape(prefix) + "-[0-9]*.params"))[-1:]
        if not found:
            raise Refused(
                "needs its weights beside it, %s-0000.params: name them with --weights"
                % os.path.basename(prefix)
            )
        return job.source, found[0]
    prefix = re.sub(r"-\d+\.params$", "", job.source)
    graph = others[0] if others else prefix + "-symbol.json"
    if not os.path.isfile(graph):
        raise Refused("needs its graph beside it, %s: name it with --weights" % os.path.basename(graph))
    return graph, job.source


def modern(symbol):
    """The symbol with softmax for the old layers that the exporter takes wrongly; their labels are for training."""
    graph = json.loads(symbol.tojson())
    for node in graph["nodes"]:
        said = node.get("attrs") or {}
        if node["op"] == "SoftmaxOutput":
            axis = "1" if said.get("multi_output", "False") in ("True", "1", "true") else "-1"
        elif node["op"] == "SoftmaxActivation":
            axis = "1" if said.get("mode") == "channel" else "-1"
        else:
            continue
        node.update(op="softmax", attrs={"axis": axis}, inputs=node["inputs"][:1])
    return mx.sym.load_json(json.dumps(graph))


def tidied(path):
    """Constants stand among the inputs, as ONNX wanted it until operator set 8: they leave."""
    model = onnx.load(path)
    constants = {one.name for one in model.graph.initializer}
    kept = [one for one in model.graph.input if one.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    onnx.save(model, path)


def ask(symbol, arguments, states, labels, case):
    given = {name: mx.nd.array(array) for name, array in case.items()}
    first_shape = next(iter(case.values())).shape
    given.update({name: mx.nd.zeros((first_shape[0],)) for name in labels})
    executor = symbol.bind(mx.cpu(), {**arguments, **given}, aux_states=states, grad_req="null")
    return [one.asnumpy() for one in executor.forward(is_train=False)]


def first(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


main(work)
