"""The spindle's auto-encoder and its spectral features: as JAX (for training) and as an ONNX graph."""

from itertools import pairwise
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from jax import lax
from numpy.typing import NDArray

from edgex_inference.demo.training.graph import Graph
from edgex_inference.demo.world.spindle import AXES, SAMPLES

Weights: TypeAlias = dict[str, jax.Array]

FRAME, HOP = 128, 64  # samples; 25 Hz from one bin to the next
BANDS = (
    1,
    2,
    3,
    4,
    5,
    7,
    9,
    11,
    14,
    18,
    23,
    29,
    36,
    43,
    50,
    57,
    64,
)  # first bin of each band, and the end of the last
FEATURES = len(AXES) * (len(BANDS) - 1) + 1  # the log power of each axis and band, and the temperature
_SIZES = (FEATURES, 28, 8, 28, FEATURES)
_FLOOR = 1e-7  # g², far below the noise of the sensor


def _waves() -> NDArray[np.float32]:
    """Hann-windowed cosines and sines of bins 1 to 63, blind to a constant such as gravity.

    Kernels [126, 1, 1, 128].
    """
    time = np.arange(FRAME)
    angles = 2 * np.pi * np.arange(BANDS[0], BANDS[-1])[:, None] * time / FRAME
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (time + 0.5) / FRAME)
    kernels = np.concatenate([np.cos(angles), np.sin(angles)]) * window
    kernels -= window * kernels.sum(1, keepdims=True) / window.sum()
    kernels *= np.sqrt(2.0) / window.sum()
    return kernels[:, None, None].astype(np.float32)


def _pooling() -> NDArray[np.float32]:
    """The mean power of each band: [126, 16]."""
    bins = np.arange(BANDS[0], BANDS[-1])
    belongs = [(bins >= low) & (bins < high) for low, high in pairwise(BANDS)]
    shares = np.stack([row / row.sum() for row in belongs], axis=1)
    return np.concatenate([shares, shares]).astype(np.float32)


WAVES, POOLING = _waves(), _pooling()


def raw_features(accel: jax.Array, temperature: jax.Array) -> jax.Array:
    """Log powers and temperature [n, 49] of bursts [n, 3, 512] in g and temperatures [n, 1] in °C."""
    axes = accel.reshape(-1, 1, 1, SAMPLES)
    waves = lax.conv_general_dilated(axes, jnp.asarray(WAVES), (1, HOP), "VALID")
    power = (waves * waves).mean((2, 3)) @ jnp.asarray(POOLING)
    logs = jnp.log(power + _FLOOR).reshape(-1, FEATURES - 1)
    return jnp.concatenate([logs, temperature], axis=1)


def initial(key: jax.Array, features: NDArray[np.float32]) -> Weights:
    """Random layers, and the mean and deviation of the training features as constants."""
    weights: Weights = {"mean": jnp.asarray(features.mean(0)), "deviation": jnp.asarray(features.std(0))}
    for layer, (wide, narrow) in enumerate(pairwise(_SIZES)):
        key, use = jax.random.split(key)
        weights[f"layer{layer}.kernel"] = (2.0 / wide) ** 0.5 * jax.random.normal(use, (wide, narrow))
        weights[f"layer{layer}.bias"] = jnp.zeros(narrow)
    return weights


def reconstructed(weights: Weights, target: jax.Array) -> jax.Array:
    """What passes through the bottleneck of normalized features [n, 49]."""
    x = target
    for layer in range(len(_SIZES) - 1):
        x = x @ weights[f"layer{layer}.kernel"] + weights[f"layer{layer}.bias"]
        x = jax.nn.relu(x) if layer < len(_SIZES) - 2 else x
    return x


def answers(weights: Weights, accel: jax.Array, temperature: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What the graph answers: the reconstruction and its target, both [n, 49]."""
    target = (raw_features(accel, temperature) - weights["mean"]) / weights["deviation"]
    return reconstructed(weights, target), target


def export(weights: Weights) -> onnx.ModelProto:
    """The graph: accel [batch, 3, 512], temperature [batch, 1] → reconstruction, target [batch, 49]."""
    graph = Graph("spindle-ae")
    target = _add_features(graph, weights)
    x = target
    last = len(_SIZES) - 2
    for layer in range(last + 1):
        kernel = graph.constant(f"layer{layer}.kernel", np.asarray(weights[f"layer{layer}.kernel"]))
        bias = graph.constant(f"layer{layer}.bias", np.asarray(weights[f"layer{layer}.bias"]))
        product = graph.add("MatMul", [x, kernel], f"layer{layer}.product")
        x = graph.add("Add", [product, bias], "reconstruction" if layer == last else f"layer{layer}.sum")
        x = graph.add("Relu", [x], f"layer{layer}") if layer < last else x
    shapes = {"accel": (len(AXES), SAMPLES), "temperature": (1,)}
    return graph.model(shapes, {"reconstruction": (FEATURES,), "target": (FEATURES,)})


def _add_features(graph: Graph, weights: Weights) -> str:
    rows = graph.constant("axes.shape", [-1, 1, 1, SAMPLES], np.int64)
    axes = graph.add("Reshape", ["accel", rows], "axes")
    kernel = graph.constant("waves.kernel", WAVES)
    waves = graph.add(
        "Conv", [axes, kernel], "waves", kernel_shape=[1, FRAME], strides=[1, HOP], pads=[0] * 4
    )
    squares = graph.add("Mul", [waves, waves], "squares")
    power = graph.add("ReduceMean", [squares], "power", axes=[2, 3], keepdims=0)
    bands = graph.add("MatMul", [power, graph.constant("bands.shares", POOLING)], "bands")
    raised = graph.add("Add", [bands, graph.constant("bands.floor", [_FLOOR])], "bands.raised")
    logs = graph.add("Log", [raised], "logs")
    table = graph.add(
        "Reshape", [logs, graph.constant("logs.shape", [-1, FEATURES - 1], np.int64)], "logs.table"
    )
    features = graph.add("Concat", [table, "temperature"], "features", axis=1)
    centered = graph.add("Sub", [features, graph.constant("mean", np.asarray(weights["mean"]))], "centered")
    deviation = graph.constant("deviation", np.asarray(weights["deviation"]))
    return graph.add("Div", [centered, deviation], "target")
