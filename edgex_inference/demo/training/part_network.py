"""The part detector's network: the same function as JAX (for training) and as an ONNX graph."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from jax import lax
from numpy.typing import NDArray

from edgex_inference.demo.training.graph import Graph
from edgex_inference.demo.world.conveyor import HEIGHT, LABELS, WIDTH

STRIDE = 8
ROWS, COLUMNS = HEIGHT // STRIDE, WIDTH // STRIDE
MEAN, STD = 0.4, 0.25  # of pixels in 0..1
APART = 2  # cells: of two places that near, whatever their labels, the surer one is the part

Weights: TypeAlias = dict[str, jax.Array]
Heads: TypeAlias = dict[
    str, jax.Array
]  # present [n, 30, 40, 1] logits, label [.., 4] logits, extent [.., 2], shift [.., 2]
Moments: TypeAlias = dict[str, jax.Array]  # for each normalized layer: mean and mean square [2, channels]

_HEADS = ("present", "label", "extent", "shift")
_KERNELS = {
    "stem": (6, 6, 3, 32),
    "narrow": (3, 3, 32, 40),
    "near": (3, 3, 40, 40),
    "shrink": (3, 3, 40, 48),
    "wide1": (3, 3, 48, 48),
    "wide2": (3, 3, 48, 48),
    "lift": (1, 1, 48, 40),
    "merge": (3, 3, 40, 40),
    "present": (1, 1, 40, 1),
    "label": (1, 1, 40, len(LABELS)),
    "extent": (1, 1, 40, 2),
    "shift": (1, 1, 40, 2),
}
_TYPICAL = {"present": [-3.0], "extent": [38 / WIDTH, 38 / HEIGHT], "shift": [0.5, 0.5]}  # first biases
_TINY = 1e-4  # added to variances


def initial(key: jax.Array) -> Weights:
    """Random weights as training needs them: kernels, biases, and gains of the normalized layers."""
    weights: Weights = {}
    for name, shape in _KERNELS.items():
        key, use = jax.random.split(key)
        scale = (0.2 if name in _HEADS else 2.0) / (shape[0] * shape[1] * shape[2])
        weights[f"{name}.kernel"] = scale**0.5 * jax.random.normal(use, shape)
        weights[f"{name}.bias"] = jnp.asarray(_TYPICAL.get(name, [0.0] * shape[3]), dtype=jnp.float32)
        if name not in _HEADS:
            weights[f"{name}.gain"] = jnp.ones(shape[3])
    return weights


def forward(weights: Weights, pictures: jax.Array) -> Heads:
    """Heads for prepared pictures [n, 240, 320, 3], without normalization: with folded weights."""
    return _network(
        lambda x, name, stride, pad: _conv(weights, x, name, stride, pad) + weights[f"{name}.bias"], pictures
    )


def normalized_forward(weights: Weights, pictures: jax.Array) -> tuple[Heads, Moments]:
    """Heads when each layer is normalized over the batch, and the moments that it was normalized by."""
    moments: Moments = {}

    def normalized(x: jax.Array, name: str, stride: int, pad: int) -> jax.Array:
        y = _conv(weights, x, name, stride, pad)
        if name in _HEADS:
            return y + weights[f"{name}.bias"]
        mean, square = y.mean((0, 1, 2)), (y * y).mean((0, 1, 2))
        moments[name] = jnp.stack([mean, square])
        scale = weights[f"{name}.gain"] / jnp.sqrt(square - mean**2 + _TINY)
        return (y - mean) * scale + weights[f"{name}.bias"]

    return _network(normalized, pictures), moments


def folded(weights: Weights, moments: Moments) -> Weights:
    """Kernels and biases that need no normalization any more."""
    plain = {name: value for name, value in weights.items() if not name.endswith(".gain")}
    for name, (mean, square) in moments.items():
        scale = weights[f"{name}.gain"] / jnp.sqrt(square - mean**2 + _TINY)
        plain[f"{name}.kernel"] = weights[f"{name}.kernel"] * scale
        plain[f"{name}.bias"] = weights[f"{name}.bias"] - mean * scale
    return plain


def _conv(weights: Weights, x: jax.Array, name: str, stride: int, pad: int) -> jax.Array:
    order = ("NHWC", "HWIO", "NHWC")
    pads = [(pad, pad), (pad, pad)]
    return lax.conv_general_dilated(
        x, weights[f"{name}.kernel"], (stride, stride), pads, dimension_numbers=order
    )


def _network(conv: Callable[[jax.Array, str, int, int], jax.Array], pictures: jax.Array) -> Heads:
    fine = jax.nn.relu(conv(pictures, "stem", 4, 1))
    fine = jax.nn.relu(conv(fine, "narrow", 2, 1))
    fine = jax.nn.relu(fine + conv(fine, "near", 1, 1))
    coarse = jax.nn.relu(conv(fine, "shrink", 2, 1))
    coarse = jax.nn.relu(coarse + conv(coarse, "wide1", 1, 1))
    coarse = jax.nn.relu(coarse + conv(coarse, "wide2", 1, 1))
    lifted = jnp.repeat(jnp.repeat(conv(coarse, "lift", 1, 0), 2, axis=1), 2, axis=2)
    both = jax.nn.relu(fine + lifted)
    both = jax.nn.relu(both + conv(both, "merge", 1, 1))
    return {name: conv(both, name, 1, 0) for name in _HEADS}


def answers(weights: Weights, pictures: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What the graph answers for pictures [n, 3, 240, 320]: heatmap, extent and shift, channels first."""
    heads = forward(weights, pictures.transpose(0, 2, 3, 1))
    present, label = jax.nn.sigmoid(heads["present"]), jax.nn.softmax(heads["label"])
    window = (1, 2 * APART + 1, 2 * APART + 1, 1)
    around = lax.reduce_window(present, -jnp.inf, lax.max, window, (1, 1, 1, 1), "SAME")
    heatmap = present * (present >= around) * label * (label >= label.max(-1, keepdims=True))
    extent, shift = heads["extent"], heads["shift"]
    return heatmap.transpose(0, 3, 1, 2), extent.transpose(0, 3, 1, 2), shift.transpose(0, 3, 1, 2)


def _where(graph: Graph, name: str, values: str, limits: str) -> str:
    """The values where they reach their limits, 0 elsewhere."""
    reached = graph.add("GreaterOrEqual", [values, limits], f"{name}.is")
    return graph.add(
        "Mul", [values, graph.add("Cast", [reached], f"{name}.one", to=onnx.TensorProto.FLOAT)], name
    )


def prepared(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the card says of the input's numbers: (p / 255 - mean) / std."""
    return ((pictures.astype(np.float32) / 255.0 - MEAN) / STD).astype(np.float32)


def export(weights: Weights) -> onnx.ModelProto:
    """The graph: image [batch, 3, 240, 320] → heatmap [batch, 4, 30, 40], extent and shift [batch, 2, 30, 40].

    Scores in 0..1; extents as shares of the input's; shifts from the cell's upper left corner, in cells.
    """
    graph = Graph("part-detect")

    def conv(source: str, name: str, stride: int = 1, pad: int = 1, output: str | None = None) -> str:
        kernel = np.asarray(weights[f"{name}.kernel"]).transpose(3, 2, 0, 1)
        return graph.conv(
            source, output or f"{name}.conv", kernel, np.asarray(weights[f"{name}.bias"]), stride, pad
        )

    def residual(source: str, name: str) -> str:
        total = graph.add("Add", [source, conv(source, name)], f"{name}.sum")
        return graph.add("Relu", [total], name)

    fine = graph.add("Relu", [conv("image", "stem", 4)], "stem")
    fine = residual(graph.add("Relu", [conv(fine, "narrow", 2)], "narrow"), "near")
    coarse = graph.add("Relu", [conv(fine, "shrink", 2)], "shrink")
    coarse = residual(residual(coarse, "wide1"), "wide2")
    scales = graph.constant("lift.scales", [1.0, 1.0, 2.0, 2.0])
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    lifted = graph.add("Resize", [conv(coarse, "lift", pad=0), "", scales], "lift", **nearest)
    both = graph.add("Relu", [graph.add("Add", [fine, lifted], "both.sum")], "both")
    both = residual(both, "merge")
    present = graph.add("Sigmoid", [conv(both, "present", pad=0)], "present")
    label = graph.add("Softmax", [conv(both, "label", pad=0)], "label", axis=1)
    reach = 2 * APART + 1
    around = graph.add(
        "MaxPool", [present], "around", kernel_shape=[reach, reach], pads=[APART] * 4, strides=[1, 1]
    )
    summit = _where(graph, "summit", present, around)
    best = _where(graph, "best", label, graph.add("ReduceMax", [label], "highest", axes=[1], keepdims=1))
    graph.add("Mul", [summit, best], "heatmap")
    for name in ("extent", "shift"):
        conv(both, name, pad=0, output=name)
    cells = (ROWS, COLUMNS)
    outputs = {"heatmap": (len(LABELS), *cells), "extent": (2, *cells), "shift": (2, *cells)}
    return graph.model({"image": (3, HEIGHT, WIDTH)}, outputs)
