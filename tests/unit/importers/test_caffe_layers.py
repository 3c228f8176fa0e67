"""Caffe's layers against what their documentation says, in plain numpy; every net is synthetic."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgex_inference.importers.caffe import convert
from edgex_inference.importers.caffe.layers.table import LAYERS
from edgex_inference.testing.caffe_models import ORACLE, CaffeNet, layer, net

SHAPE = (2, 6, 4, 5)


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(sum(shape) + seed).standard_normal(shape).astype(np.float32)


def answers(case: CaffeNet, folder: Path, batch: int = 0) -> tuple[dict[str, Any], Any]:
    """All outputs by name, for the net's own batch or another, and the input."""
    model = convert(*case.write(folder))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    data = random(batch or case.shape[0], *case.shape[1:], seed=7)
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, {"data": data}), strict=True)), data


def softplus(x: Any) -> Any:
    return np.log1p(np.exp(x))


def averaged(x: Any) -> Any:
    """Windows of 3 by 2, a pad of 1; the divisor counts the pad, not what hangs over the padded blob's edge."""
    rows, columns = x.shape[2] + 2, x.shape[3] + 2
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    made = [-(-(extent - 3) // 2) + 1 for extent in (rows, columns)]
    made = [
        count - ((count - 1) * 2 >= extent - 1) for count, extent in zip(made, (rows, columns), strict=True)
    ]
    found = np.zeros((*x.shape[:2], *made))
    for row in range(made[0]):
        for column in range(made[1]):
            found[:, :, row, column] = padded[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3].mean(
                (2, 3)
            )
    return found


def local(x: Any) -> Any:
    """Across 3 channels, with k."""
    squares = np.pad(x**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
    return x / (2 + 0.3 / 3 * (squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:])) ** 0.75


def spread(x: Any) -> Any:
    return (x - x.mean((2, 3), keepdims=True)) / (x.std((2, 3), keepdims=True) + 0.5)


def depthwise(x: Any) -> Any:
    kernel = random(6, 1, 2, 2)
    return sum(
        x[:, :, r : r + 3, c : c + 4] * kernel[None, :, 0, r, c, None, None]
        for r in range(2)
        for c in range(2)
    )


def dealt(x: Any) -> Any:
    return x[:, [0, 3, 1, 4, 2, 5]]


Case = tuple[str, str, Sequence[Any], Callable[[Any], Any]]
CASES: Sequence[Case] = (
    ("AbsVal", "", (), np.abs),
    ("ArgMax", "argmax_param { axis: 1 top_k: 2 }", (), lambda x: np.argsort(-x, 1)[:, :2]),
    ("ArgMax", "argmax_param { axis: 2 out_max_val: true }", (), lambda x: x.max(2, keepdims=True)),
    ("ArgMax", "argmax_param { out_max_val: true }", (),
     lambda x: np.stack((x.reshape(len(x), 1, -1).argmax(2), x.reshape(len(x), 1, -1).max(2)), 1)),
    ("BNLL", "", (), softplus),
    ("BatchNorm", "", (random(6), np.abs(random(6)), [1.0], random(6, seed=1), random(6, seed=2)),
     lambda x: ((x - random(6)[:, None, None]) / np.sqrt(np.abs(random(6)) + 1e-5)[:, None, None]
                * random(6, seed=1)[:, None, None] + random(6, seed=2)[:, None, None])),
    ("Bias", "bias_param { axis: 2 num_axes: 2 }", (random(4, 5),), lambda x: x + random(4, 5)),
    ("Clip", "clip_param { min: -0.5 max: 0.25 }", (), lambda x: x.clip(-0.5, 0.25)),
    ("ConvolutionDepthwise", "convolution_param { num_output: 6 kernel_size: 2 bias_term: false }",
     (random(6, 1, 2, 2),), depthwise),
    ("Dropout", "dropout_param { dropout_ratio: 0.9 }", (), lambda x: x),
    ("Dropout", "dropout_param { dropout_ratio: 0.75 scale_train: false }", (), lambda x: 0.25 * x),
    ("Flatten", "", (), lambda x: x.reshape(len(x), -1)),
    ("Flatten", "flatten_param { axis: 1 end_axis: 2 }", (), lambda x: x.reshape(len(x), 24, 5)),
    ("InnerProduct", "inner_product_param { num_output: 3 axis: 3 transpose: true }", (random(5, 3), random(3)),
     lambda x: x @ random(5, 3) + random(3)),
    ("LRN", "lrn_param { local_size: 3 alpha: 0.3 k: 2 }", (), local),
    ("Log", "log_param { base: 10 scale: 0.01 shift: 5 }", (), lambda x: np.log10(5 + 0.01 * x)),
    ("MVN", "mvn_param { eps: 0.5 }", (), spread),
    ("MVN", "mvn_param { across_channels: true normalize_variance: false }", (),
     lambda x: x - x.mean((1, 2, 3), keepdims=True)),
    ("Normalize", "norm_param { channel_shared: true }", ([3.0],),
     lambda x: 3 * x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True) + 1e-10)),
    ("PReLU", "prelu_param { channel_shared: true }", ([0.3],), lambda x: np.where(x > 0, x, 0.3 * x)),
    ("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }", (), averaged),
    ("Pooling", "pooling_param { kernel_size: 2 stride: 2 round_mode: FLOOR }", (),
     lambda x: np.maximum(np.maximum(x[:, :, ::2, :4:2], x[:, :, 1::2, :4:2]),
                          np.maximum(x[:, :, ::2, 1:4:2], x[:, :, 1::2, 1:4:2]))),
    ("ReLU6", "", (), lambda x: x.clip(0, 6)),
    ("Reduction", "reduction_param { operation: ASUM axis: 1 coeff: 0.5 }", (),
     lambda x: 0.5 * np.abs(x).sum((1, 2, 3))),
    ("Reduction", "reduction_param { operation: SUM axis: -1 }", (), lambda x: x.sum(3)),
    ("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 4 } }", (), lambda x: x.reshape(len(x), 30, 4)),
    ("Reshape", "reshape_param { shape { dim: 2 dim: 3 dim: 40 } }", (), lambda x: x.reshape(len(x), 3, 40)),
    ("Reshape", "reshape_param { shape { dim: -1 dim: 120 } }", (), lambda x: x.reshape(len(x), 120)),
    ("Reshape", "reshape_param { shape { dim: 3 dim: 2 } axis: 1 num_axes: 1 }", (),
     lambda x: x.reshape(len(x), 3, 2, 4, 5)),
    ("Scale", "scale_param { axis: 1 num_axes: -1 bias_term: true }", (random(6, 4, 5), random(6, 4, 5, seed=1)),
     lambda x: x * random(6, 4, 5) + random(6, 4, 5, seed=1)),
    ("ShuffleChannel", "shuffle_channel_param { group: 2 }", (), dealt),
    ("Sigmoid", "", (), lambda x: 1 / (1 + np.exp(-x))),
    ("Softmax", "softmax_param { axis: 2 }", (), lambda x: np.exp(x) / np.exp(x).sum(2, keepdims=True)),
    ("Swish", "swish_param { beta: 2 }", (), lambda x: x / (1 + np.exp(-2 * x))),
    ("TanH", "", (), np.tanh),
    ("Threshold", "threshold_param { threshold: 0.5 }", (), lambda x: x > 0.5),
    ("Tile", "tile_param { axis: 2 tiles: 3 }", (), lambda x: np.tile(x, (1, 1, 3, 1))),
    ("Upsample", "upsample_param { scale: 3 }", (), lambda x: x.repeat(3, 2).repeat(3, 3)),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{one[0]} {one[1]}" for one in CASES])
@pytest.mark.parametrize("batch", [0, 5])
def test_a_layer(case: Case, batch: int, tmp_path: Path) -> None:
    """With the prototxt's batch and with another."""
    kind, said, arrays, wanted = case
    found, data = answers(net(layer(kind, said, name="one"), shape=SHAPE, one=arrays), tmp_path, batch)
    np.testing.assert_allclose(found["out"], wanted(data.astype(np.float64)), rtol=1e-4, atol=1e-5)


def test_layers_that_join_and_part(tmp_path: Path) -> None:
    """Slice, Split, Silence, Eltwise, Concat, Crop, Axpy and Scale with a second blob, all at once."""
    case = net(
        layer("Slice", "slice_param { slice_point: 1 slice_point: 3 }", top="a b c"),
        layer("Split", bottom="b", top="b1 b2"),
        layer("Silence", bottom="b2", top=""),
        layer("Slice", "slice_param { axis: 1 }", name="s2", bottom="c", top="c1 c2 c3"),
        layer(
            "Eltwise",
            "eltwise_param { operation: SUM coeff: 1 coeff: -2 coeff: 0.5 }",
            bottom="c1 c2 c3",
            top="sum",
        ),
        layer("Eltwise", "eltwise_param { operation: MAX }", name="e2", bottom="a sum", top="max"),
        layer("Eltwise", "eltwise_param { operation: PROD }", name="e3", bottom="a max", top="product"),
        layer("Concat", bottom="product b1", top="joined"),
        layer("Pooling", "pooling_param { kernel_size: 2 stride: 1 }", bottom="data", top="small"),
        layer("Crop", "crop_param { offset: 1 offset: 0 }", bottom="joined small", top="cut"),
        layer(
            "Pooling", "pooling_param { pool: AVE global_pooling: true }", name="p2", bottom="cut", top="mean"
        ),
        layer("Slice", "slice_param { axis: 1 slice_point: 3 }", name="s3", bottom="small", top="s_a s_b"),
        layer("Axpy", bottom="mean cut s_a", top="axpy"),
        layer("Flatten", bottom="mean", top="flat"),
        layer("Scale", "scale_param { axis: 0 }", bottom="axpy flat", top="out"),
        shape=SHAPE,
    )
    found, x = answers(case, tmp_path, 3)
    assert set(found) == {"s_b", "out"}
    total = x[:, 3:4] - 2 * x[:, 4:5] + 0.5 * x[:, 5:6]
    joined = np.concatenate((x[:, :1] * np.maximum(x[:, :1], total), x[:, 1:3]), 1)
    small = np.maximum(
        np.maximum(x[:, :, :-1, :-1], x[:, :, 1:, :-1]), np.maximum(x[:, :, :-1, 1:], x[:, :, 1:, 1:])
    )
    cut = joined[:, :, 1:, :4]
    mean = cut.mean((2, 3), keepdims=True)
    np.testing.assert_allclose(found["out"], (mean * cut + small[:, :3]) * mean, rtol=1e-4, atol=1e-5)


def test_layers_in_place(tmp_path: Path) -> None:
    """A blob that is written over keeps its name for what it last was; an input's name stays the input's."""
    case = net(
        layer("AbsVal", bottom="data", top="data"),
        layer("Power", "power_param { scale: 2 }", bottom="data", top="x"),
        layer("Power", "power_param { shift: 1 }", name="p2", bottom="x", top="x"),
        layer("Power", "power_param { power: 2 }", name="p3", bottom="x", top="x"),
        layer("Sigmoid", bottom="data", top="data"),
        shape=(1, 4),
    )
    found, data = answers(case, tmp_path)
    np.testing.assert_allclose(found["x"], (2 * np.abs(data) + 1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(found["data_out"], 1 / (1 + np.exp(-np.abs(data))), rtol=1e-5)


@pytest.mark.parametrize(
    ("said", "sizes"),
    [
        ("min_size: 30.7", [(30, 30)]),
        ("min_size: 30 max_size: 60 aspect_ratio: 2 aspect_ratio: 1 aspect_ratio: 2", [
            (30, 30), (30 * 2**0.5, 30 * 2**0.5), (30 * 2**0.5, 30 / 2**0.5), (30 / 2**0.5, 30 * 2**0.5)]),
        ("min_size: 10 min_size: 20 aspect_ratio: 4 flip: false", [(10, 10), (20, 5), (20, 20), (40, 10)]),
    ],
)  # fmt: skip
def test_priors(said: str, sizes: Sequence[tuple[float, float]], tmp_path: Path) -> None:
    prior = f"prior_box_param {{ {said} step: 16 offset: 0.25 img_h: 64 img_w: 128 variance: 0.1 }}"
    case = net(layer("PriorBox", prior, bottom="data data"), shape=(1, 1, 2, 3))
    found, _ = answers(case, tmp_path)
    rows = [
        ((x - w / 2) / 128, (y - h / 2) / 64, (x + w / 2) / 128, (y + h / 2) / 64)
        for y in (4, 20) for x in (4, 20, 36) for w, h in sizes
    ]  # fmt: skip
    assert found["out"].shape == (1, 2, 4 * len(rows))
    np.testing.assert_allclose(found["out"][0, 0].reshape(-1, 4), rows, rtol=1e-5)
    assert set(found["out"][0, 1]) == {np.float32(0.1)}


def test_a_learned_blob(tmp_path: Path) -> None:
    case = net(
        layer("Parameter", "parameter_param { shape { dim: 4 } }", name="learned", bottom="", top="learned"),
        layer("Bias", bottom="data learned", top="out"),
        shape=(2, 4),
        learned=[random(4)],
    )
    found, data = answers(case, tmp_path)
    np.testing.assert_allclose(found["out"], data + random(4), rtol=1e-6)


@pytest.mark.parametrize(
    ("layers", "fixed"),
    [
        (layer("Reduction", name="all"), "'all' (Reduction)"),
        (layer("Flatten", "flatten_param { axis: 0 }", name="flat"), "'flat' (Flatten)"),
        (layer("Permute", "permute_param { order: 1 order: 0 }", name="turned"), "'turned' (Permute)"),
        (layer("Reshape", "reshape_param { shape { dim: 4 dim: -1 } }", name="other"), "'other' (Reshape)"),
        (layer("Softmax", "softmax_param { axis: 0 }", name="across"), "'across' (Softmax)"),
        (layer("Concat", "concat_param { axis: 0 }", name="more", bottom="data data"), "'more' (Concat)"),
        (layer("ArgMax", "argmax_param { axis: 0 }", name="best"), "'best' (ArgMax)"),
    ],
)
def test_a_batch_that_a_layer_fixes(layers: str, fixed: str, tmp_path: Path) -> None:
    model = convert(*net(layers, shape=SHAPE).write(tmp_path))
    assert {pair.key: pair.value for pair in model.metadata_props}["batch"] == f"fixed by layer {fixed}"
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
    found, data = answers(net(layers, shape=SHAPE), tmp_path)
    wanted = {
        "'all'": lambda: data.sum(), "'flat'": lambda: data.reshape(-1), "'turned'": lambda: data.transpose(1, 0, 2, 3),
        "'other'": lambda: data.reshape(4, -1), "'across'": lambda: np.exp(data) / np.exp(data).sum(0),
        "'more'": lambda: np.concatenate((data, data)), "'best'": lambda: data.argmax(0)[None],
    }[fixed.split()[0]]()  # fmt: skip
    np.testing.assert_allclose(found["out"], wanted, rtol=1e-4, atol=1e-5)


def test_every_layer_has_a_test() -> None:
    joined = {
        "Split",
        "Silence",
        "Slice",
        "Eltwise",
        "Concat",
        "Crop",
        "Axpy",
        "Parameter",
        "PriorBox",
        "Pooling",
    }
    named = {one[0] for one in CASES} | joined | {"DepthwiseConvolution"}  # the same as ConvolutionDepthwise
    texts = "".join(case.text for case in ORACLE.values())
    assert {kind for kind in LAYERS if kind not in named and f'type: "{kind}"' not in texts} == set()
