"""Layers that join blobs number by number, or make fewer numbers of many."""

from collections.abc import Sequence

from edgex_inference.importers.caffe.layers.activation import linear
from edgex_inference.importers.caffe.step import Step, Value


def eltwise(step: Step) -> Sequence[Value]:
    """Product, weighted sum or largest of equal shapes."""
    said, inputs = step.param("eltwise_param"), list(step.inputs)
    if len(inputs) < 2:
        step.refuse("has fewer than 2 inputs")
    shape = inputs[0].shape
    if any(one.shape != shape for one in inputs):
        step.refuse("joins blobs of unequal shapes: " + ", ".join(str(one.shape) for one in inputs))
    operation = said.choice("operation", ("PROD", "SUM", "MAX")) if "operation" in said else "SUM"
    factors = list(said.numbers("coeff"))
    if factors and (operation != "SUM" or len(factors) != len(inputs)):
        step.refuse(f"has {len(factors)} coefficients for {operation} of {len(inputs)} blobs")
    inputs = [
        linear(step, one, factor, 0) for one, factor in zip(inputs, factors or [1] * len(inputs), strict=True)
    ]
    if operation == "MAX":
        return [step.node("Max", inputs, shape)]
    found = inputs[0]
    for one in inputs[1:]:
        found = step.node("Add" if operation == "SUM" else "Mul", (found, one), shape)
    return [found]


def axpy(step: Step) -> Sequence[Value]:
    """a · x + y with a number for each channel: the squeeze-and-excitation layer of a fork."""
    factor, value, other = step.several(3)
    if value.shape != other.shape or factor.shape[:2] != value.shape[:2] or factor.sample != value.shape[1]:
        step.refuse(f"joins {factor.shape}, {value.shape} and {other.shape}, which do not fit")
    factor = step.reshape(factor, (*factor.shape[:2], *(1,) * (len(value.shape) - 2)))
    return [step.node("Add", (step.node("Mul", (factor, value), value.shape), other), value.shape)]


def arg_max(step: Step) -> Sequence[Value]:
    """Places of the largest, as float32; with `out_max_val` their values, along an axis, or beside the places."""
    said, value = step.param("argmax_param"), step.only
    count, values = said.integer("top_k", 1), said.flag("out_max_val", False)
    whole = "axis" not in said
    if whole:
        value = step.reshape(value, (value.shape[0], value.sample))
    axis = 1 if whole else step.axis("axis", said.integer("axis", 1), len(value.shape))
    extent = value.shape[axis]
    if extent is None:
        extent = step.fixed(value.shape)[axis]
    if not 1 <= count <= extent:
        step.refuse(f"takes the top {count} of {extent}")
    shape = (*value.shape[:axis], count, *value.shape[axis + 1 :])
    step.check(shape)
    top, places = step.graph.nodes_of(
        "TopK", (value.name, step.graph.shape(count)),
        (f"{step.layer.name}/values", f"{step.layer.name}/places"), axis=axis,
    )  # fmt: skip
    largest, where = Value(top, shape), step.node("Cast", (places,), shape, to=1)
    if not whole:
        return [largest if values else where]
    kept = [step.reshape(one, (shape[0], 1, count)) for one in ([where, largest] if values else [where])]
    if not values:
        return kept
    return [step.node("Concat", kept, (shape[0], 2, count), axis=1)]


def reduction(step: Step) -> Sequence[Value]:
    """Sum, sum of sizes, sum of squares or mean over all axes from `axis` on, times a coefficient."""
    said, value = step.param("reduction_param"), step.only
    axis = step.axis("axis", said.integer("axis", 0), len(value.shape))
    if axis == 0:
        step.fixed(value.shape)
    operation = said.text("operation", "SUM")
    names = {
        "SUM": "ReduceSum", "1": "ReduceSum", "ASUM": "ReduceL1", "2": "ReduceL1",
        "SUMSQ": "ReduceSumSquare", "3": "ReduceSumSquare", "MEAN": "ReduceMean", "4": "ReduceMean",
    }  # fmt: skip
    if operation not in names:
        step.refuse(f"reduces by {operation}: SUM, ASUM, SUMSQ and MEAN are known")
    axes, op = tuple(range(axis, len(value.shape))), names[operation]
    shape = value.shape[:axis]
    if op == "ReduceSum":
        found = step.node(op, (value, step.graph.shape(*axes)), shape, keepdims=0)
    else:
        found = step.node(op, (value,), shape, axes=axes, keepdims=0)
    return [linear(step, found, said.number("coeff", 1), 0)]
