"""ONNX to TensorFlow Lite by onnx2tf, in 32-bit numbers; pictures come in channels last, all else as it was."""

import glob

import numpy as np
import onnx
import onnx2tf
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from exchange import Refused, main
from tflite_file import arranged, described

CHANNELS = (1, 3, 4)
LAST = (0, 2, 3, 1)


def work(job):
    try:
        model = onnx.load(job.source)
    except Exception as error:  # protobuf's DecodeError has moved between its releases
        raise Refused("onnx cannot read it: %s" % first(error)) from error
    refuse_foreign(model)
    inputs, outputs = fixed(job, model), [one.name for one in model.graph.output]
    onnx.save(model, job.path("source.onnx"))
    pictures = {name for name, shape in inputs.items() if is_picture(shape)}
    try:
        onnx2tf.convert(
            input_onnx_file_path=job.path("source.onnx"),
            output_folder_path=job.path("made"),
            keep_shape_absolutely_input_names=[name for name in inputs if name not in pictures] or None,
            non_verbose=True,
        )
    except (Exception, SystemExit) as error:  # it raises whatever an operator's translation does, and exits
        raise Refused("onnx2tf cannot convert it: %s" % first(error)) from error
    with open(made(job), "rb") as file:
        content = file.read()
    axes = [LAST if name in pictures else tuple(range(len(shape))) for name, shape in inputs.items()]
    with open(job.path("model.tflite"), "wb") as file:
        file.write(described(put_in_order(job, content, axes, outputs), job.metadata))
    job.reply("model.tflite", [], [], framework="", tool="onnx2tf " + onnx2tf.__version__, axes=axes)


def refuse_foreign(model):
    for node in model.graph.node:
        if node.domain == "ai.onnx.ml":
            raise Refused(
                "has operators that TensorFlow Lite lacks (%s): onnxruntime runs the ONNX file" % node.op_type
            )
        if node.domain not in ("", "ai.onnx"):
            raise Refused(
                "has operators of %s (%s), which onnx2tf does not know" % (node.domain, node.op_type)
            )


def fixed(job, model):
    """Inputs with their shapes, which TensorFlow Lite wants whole: one row, and what else is open as the user says."""
    weights = {one.name for one in model.graph.initializer}
    found = {}
    for one in model.graph.input:
        if one.name in weights:
            continue
        tensor = one.type.tensor_type
        if not tensor.HasField("shape"):
            raise Refused("the input %s has no shape: convert a file that says it" % one.name)
        dims = tensor.shape.dim
        shape = job.shapes.get(one.name) or job.shapes.get("") or tuple(dim.dim_value or None for dim in dims)
        shape = (1, *shape[1:]) if shape and shape[0] is None else shape
        if None in shape:
            raise Refused(
                "the input %s leaves its size open, which TensorFlow Lite does not: say it, --shape %s=1,…"
                % (one.name, one.name)
            )
        if len(shape) != len(dims):
            raise Refused("the input %s has %d axes, %d are asked for" % (one.name, len(dims), len(shape)))
        for dim, extent in zip(dims, shape, strict=True):
            dim.dim_value = extent
        found[one.name] = tuple(shape)
    for one in model.graph.output:  # what follows from the inputs is worked out again
        one.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return found


def is_picture(shape):
    return len(shape) == 4 and shape[1] in CHANNELS and min(shape[2:]) > max(CHANNELS)


def put_in_order(job, content, axes, names):
    try:
        return in_order(job, content, axes, names)
    except (ValueError, RuntimeError) as error:  # all that LiteRT raises
        raise Refused("onnx2tf makes a file of it that does not run: %s" % first(error)) from error


def in_order(job, content, axes, names):
    """The converted model with the source's order of inputs and outputs, and of the axes of the latter."""
    found = Interpreter(model_content=content)
    found.allocate_tensors()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(job.path("source.onnx"), options, ["CPUExecutionProvider"])
    inputs = ordered(found.get_input_details(), [one.name for one in session.get_inputs()])
    outputs = ordered(found.get_output_details(), names)
    details = {one["index"]: one for one in found.get_input_details()}
    feeds = {}
    for (index, name), order in zip(inputs, axes, strict=True):
        ((_, array),) = job.cases([(name, details[index]["dtype"], tuple(details[index]["shape"]))])[
            0
        ].items()
        found.set_tensor(index, array)
        feeds[name] = array.transpose(np.argsort(order))
    want = session.run(names, feeds)
    found.invoke()
    have = [found.get_tensor(index) for index, _ in outputs]
    turns = [(one.shape, turn(one, other, name)) for one, other, name in zip(have, want, names, strict=True)]
    return arranged(content, inputs, outputs, turns)


def turn(have, want, name):
    """Which axis of what came out each axis of the source's is: the same ones, or channels come last."""
    axes = tuple(range(want.ndim))
    ways = [axes] if want.ndim < 3 else [axes, (0, want.ndim - 1, *axes[1:-1])]
    ways = ways if have.ndim == want.ndim else []
    fitting = [one for one in ways if tuple(have.shape[at] for at in one) == want.shape]
    if not fitting:
        raise Refused(
            "onnx2tf gives the output %s the shape %s instead of %s"
            % (name, list(have.shape), list(want.shape))
        )
    return min(fitting, key=lambda one: np.abs(have.transpose(one).astype(np.float64) - want).max(initial=0))


def made(job):
    """The one file with 32-bit numbers of those that it writes."""
    found = glob.glob(job.path("made/*_float32.tflite"))
    if len(found) != 1:
        raise Refused("onnx2tf made no single file of it")
    return found[0]


def ordered(details, names):
    """Tensors in the order of the source, by name where they have those; a wrong one does not pass the comparison."""
    indices = {one["name"]: one["index"] for one in details}
    if len(details) != len(names):
        raise Refused("onnx2tf made %d of its %d inputs or outputs" % (len(details), len(names)))
    if set(names) <= set(indices):
        return [(indices[name], name) for name in names]
    return [(one["index"], name) for one, name in zip(details, names, strict=True)]


def first(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


main(work)
