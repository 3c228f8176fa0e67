"""TensorFlow's ways of saving, as one: a frozen graph with named inputs and outputs, and the model to be asked."""

import os
import re

import tensorflow as tf
from exchange import Refused
from tensorflow.python.grappler import tf_optimizer

FILES = ("WriteFile", "ReadFile", "ImmutableConst")
_PLAIN = ("Const", "NoOp", "Placeholder", "PlaceholderWithDefault", "Assert", "Identity_unused")


class Model:
    """`inputs` are (name, dtype, shape); `outputs` names of tensors in `graph`; `ask` runs the source itself."""

    def __init__(self, inputs, graph, feeds, outputs, ask, keras=None, notes=()):
        self.inputs, self.graph, self.feeds, self.outputs, self.ask = inputs, graph, feeds, outputs, ask
        self.keras, self.notes = keras, notes


def opened(job):
    """The source, whatever its kind."""
    tf.config.set_visible_devices([], "GPU")
    opener = {"tf-saved-model": saved_model, "tf-frozen": frozen}.get(job.kind, keras)
    return opener(job)


def saved_model(job):
    v1 = tf.compat.v1
    graph = v1.Graph()
    session = v1.Session(graph=graph)
    try:
        with graph.as_default():
            loaded = v1.saved_model.loader.load(session, ["serve"], job.source)
    except (RuntimeError, OSError, ValueError, tf.errors.OpError) as error:
        raise Refused("TensorFlow cannot load it: %s" % first(error)) from error
    signatures = {name: one for name, one in loaded.signature_def.items() if one.inputs and one.outputs}
    if not signatures:
        raise Refused("has no signature with inputs and outputs: save it with one, or as a Keras model")
    chosen = "serving_default" if "serving_default" in signatures else min(signatures)
    signature, others = signatures[chosen], sorted(signatures.keys() - {chosen})
    feeds = {name: one.name for name, one in sorted(signature.inputs.items())}
    with graph.as_default():
        outputs = [
            tf.identity(graph.get_tensor_by_name(one.name), name=tidy(name)).name
            for name, one in sorted(signature.outputs.items())
        ]
        nodes = [name.partition(":")[0] for name in outputs]
        constant = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), nodes)
    try:
        constant = inlined(constant, [*nodes, *(tensor.partition(":")[0] for tensor in feeds.values())])
    except (ValueError, TypeError, RuntimeError, tf.errors.OpError) as error:
        raise Refused(
            "cannot be made a graph of constants, it changes variables as it runs: %s" % first(error)
        )
    refuse_reaching(job, constant)
    inputs = [described(job, name, graph.get_tensor_by_name(tensor)) for name, tensor in feeds.items()]
    notes = ["of its signatures %s is taken, and not %s" % (chosen, ", ".join(others))] if others else []
    return Model(inputs, constant, feeds, outputs, asker(session, feeds, outputs), notes=notes)


def refuse_reaching(job, graph):
    """What a SavedModel has for saving itself may not be a part of what it computes."""
    found = [
        node.op
        for node in graph.node
        if node.op.startswith(("Save", "Restore", "MergeV2")) or node.op in FILES
    ]
    if found and not job.options.get("trust"):
        raise Refused(
            "has the operator %s, which reaches out of the model: say --trust if you know who made it"
            % found[0]
        )


def inlined(constant, kept):
    """The graph without functions, which tf2onnx loses; without variables they may stand where they are called."""
    for nodes in (constant.node, *(one.node_def for one in constant.library.function)):
        for node in nodes:
            if node.op == "StatefulPartitionedCall":
                node.op = "PartitionedCall"  # the optimizer leaves the other kind alone
    for one in constant.library.function:
        one.signature.is_stateful = False
    graph = tf.compat.v1.Graph()
    with graph.as_default():
        tf.import_graph_def(constant, name="")
    meta = tf.compat.v1.train.export_meta_graph(graph_def=constant, graph=graph)
    meta.collection_def["train_op"].node_list.value.extend(kept)  # what the optimizer may not take away
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.optimizers.append("function")
    config.graph_options.rewrite_options.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(config, meta)


def frozen(job):
    v1 = tf.compat.v1
    constant = v1.GraphDef()
    try:
        with open(job.source, "rb") as file:
            constant.ParseFromString(file.read())
        graph = v1.Graph()
        with graph.as_default():
            tf.import_graph_def(constant, name="")
    except Exception as error:  # protobuf's DecodeError has moved between its releases
        raise Refused("TensorFlow cannot read it: %s" % first(error)) from error
    operations = graph.get_operations()
    variables = [one.name for one in operations if one.type in ("Variable", "VariableV2", "VarHandleOp")]
    if variables:
        raise Refused(
            "is a graph whose variables are not frozen into it (%s): freeze it, or give the SavedModel"
            % variables[0]
        )
    used = {tensor.op.name for one in operations for tensor in one.inputs}
    feeds = {one.name: one.name + ":0" for one in operations if one.type == "Placeholder"}
    outputs = [
        one.outputs[0].name
        for one in operations
        if one.name not in used and one.outputs and one.type not in _PLAIN
    ]
    if not feeds or not outputs:
        raise Refused("has no placeholder to feed or nothing to fetch")
    inputs = [described(job, name, graph.get_tensor_by_name(tensor)) for name, tensor in feeds.items()]
    return Model(inputs, constant, feeds, outputs, asker(v1.Session(graph=graph), feeds, outputs))


def keras(job):
    import keras as library
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    try:
        model = library.models.load_model(job.source, compile=False, safe_mode=not job.options.get("trust"))
    except Exception as error:  # Keras raises whatever a layer's configuration makes it raise
        own = re.search(r"Could not locate (?:class|function) '[^']*'", str(error))
        if own:
            raise Refused(
                "has code of its author that is not in the file (Keras: %s): model.export('folder') in the program "
                "that made it, and convert that folder" % own[0]
            ) from error
        raise Refused("Keras %s cannot load it: %s" % (library.__version__, first(error))) from error
    names = [one.name for one in model.inputs]
    inputs = [described(job, name, one) for name, one in zip(names, model.inputs, strict=True)]
    specs = [tf.TensorSpec(shape, dtype, name=tidy(name)) for name, dtype, shape in inputs]

    def call(*given):
        found = model(list(given) if len(given) > 1 else given[0], training=False)
        return tf.nest.flatten(found)

    try:
        function = convert_variables_to_constants_v2(tf.function(call).get_concrete_function(*specs))
    except (ValueError, TypeError, RuntimeError, tf.errors.OpError) as error:
        raise Refused(
            "keeps a state from run to run, or changes otherwise as it runs: %s" % first(error)
        ) from error
    if len(function.inputs) != len(names):
        raise Refused(
            "looks texts up in a table, which ONNX and TensorFlow Lite do not: save the part behind its "
            "TextVectorization or StringLookup, and look them up in the program that publishes them"
        )
    feeds = {name: tensor.name for name, tensor in zip(names, function.inputs, strict=True)}
    outputs = [tensor.name for tensor in function.outputs]

    def ask(case):
        return [one.numpy() for one in call(*(tf.constant(array) for array in case.values()))]

    return Model(inputs, function.graph.as_graph_def(), feeds, outputs, ask, keras=model)


def described(job, name, tensor):
    """An input with what the user said of its shape, by its own name or, as other readers call it, its tensor's."""
    shape = job.shapes.get(name) or job.shapes.get(getattr(tensor, "name", name)) or job.shapes.get("")
    if shape is None:
        if tensor.shape is None or getattr(tensor.shape, "rank", 0) is None:
            raise Refused("the input %s has no shape: say it, --shape %s=1,…" % (name, name))
        shape = tuple(tensor.shape)
    dtype = tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.as_numpy_dtype
    return name, dtype, tuple(None if extent is None else int(extent) for extent in shape)


def asker(session, feeds, outputs):
    def ask(case):
        try:
            return session.run(outputs, {feeds[name]: array for name, array in case.items()})
        except tf.errors.OpError as error:
            said = "TensorFlow cannot run it: %s; say its shapes with --shape, or give other --samples"
            raise Refused(said % first(error)) from error

    return ask


def tidy(name):
    return "".join(one if one.isalnum() else "_" for one in name).lstrip("_") or "tensor"


def first(error):
    """The line that says what is wrong: the first, or the one before the node that it names."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = next((at for at, line in enumerate(lines) if line.startswith("[[{{node")), 1)
    return lines[max(0, named - 1)][:300] if lines else type(error).__name__


def called():
    """TensorFlow with its version."""
    return "tensorflow " + tf.__version__


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
