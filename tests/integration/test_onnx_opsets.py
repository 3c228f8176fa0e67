"""ONNX operator sets from 7 to the newest: operators whose form changed, read, looked into and run as numpy says."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME
from accelerators.openvino import PLUGIN as OPENVINO
from accelerators.reference import PLUGIN as REFERENCE
from edgex_inference.cli.main import main
from edgex_inference.cli.models import checking
from edgex_inference.contracts.accelerator import ONNX, Accelerator, LoadRequest
from edgex_inference.contracts.errors import ModelRejected

OLDEST, NEWEST = 7, onnx.defs.onnx_opset_version()
CHANGED = (*range(OLDEST, 15), 16, 18, 20, 22, 24, NEWEST - 1, NEWEST)
"""Where most of these operators got another form; the slower ones are asked there."""
SHAPE = (2, 3, 4, 4)
Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(48, 5)).astype(np.float32)
STATE = {
    name: RNG.normal(size=size).astype(np.float32)
    for name, size in (("w", (1, 6, 4)), ("r", (1, 6, 6)), ("b", (1, 12)))
}
SCALE, BIAS, MEAN, SPREAD = (
    np.array(one, np.float32) for one in ([1, 2, 0.5], [0, 1, -1], [0.1, 0, 0.4], [1, 4, 0.25])
)


@dataclass
class Graph:
    """Nodes of one operator set; `put` makes an initializer, `add` a node, each piece an output of its name."""

    opset: int
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def put(self, value: Any, dtype: type = np.int64) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, kind: str, inputs: Sequence[str], outputs: str | Sequence[str], **said: Any) -> None:
        self.nodes.append(
            helper.make_node(kind, inputs, [outputs] if isinstance(outputs, str) else outputs, **said)
        )

    def said(self, since: int, kind: str, given: str, out: str, **said: Any) -> None:
        """A node whose attributes became inputs with the operator set `since`."""
        if self.opset < since:
            self.add(kind, [given], out, **said)
        else:
            self.add(kind, [given, *map(self.put, said.values())], out)


def pad(g: Graph, out: str) -> None:
    pads = [0, 0, 1, 0, 0, 0, 0, 2]
    if g.opset < 11:
        g.add("Pad", ["x"], out, mode="constant", pads=pads, value=0.5)
    else:
        g.add("Pad", ["x", g.put(pads), g.put(0.5, np.float32)], out)


def clip(g: Graph, out: str) -> None:
    if g.opset < 11:
        g.add("Clip", ["x"], out, min=-0.5, max=0.25)
    else:
        g.add("Clip", ["x", g.put(-0.5, np.float32), g.put(0.25, np.float32)], out)


def slice_(g: Graph, out: str) -> None:
    said = {"starts": [1, 0], "ends": [3, -1], "axes": [2, 3]}
    g.said(10, "Slice", "x", out, **said)


def squeeze(g: Graph, out: str) -> None:
    g.said(13, "Unsqueeze", "x", "wide", axes=[0, 2])
    g.said(13, "Squeeze", "wide", out, axes=[0])


def batch_normalization(g: Graph, out: str) -> None:
    parts = [g.put(one, np.float32) for one in (SCALE, BIAS, MEAN, SPREAD)]
    g.add("BatchNormalization", ["x", *parts], out, epsilon=1e-5, momentum=0.9)


def dropout(g: Graph, out: str) -> None:
    g.add("Neg", ["x"], "other")
    if g.opset < 12:
        g.add("Dropout", ["other"], out, ratio=0.5)
    else:
        g.add("Dropout", ["other", g.put(0.5, np.float32)], out)


def reduce_sum(g: Graph, out: str) -> None:
    if g.opset < 13:
        g.add("ReduceSum", ["x"], out, axes=[1, 2], keepdims=0)
    else:
        g.add("ReduceSum", ["x", g.put([1, 2])], out, keepdims=0)


def reduce_mean(g: Graph, out: str) -> None:
    if g.opset < 18:
        g.add("ReduceMean", ["x"], out, axes=[2, 3])
    else:
        g.add("ReduceMean", ["x", g.put([2, 3])], out)


def cast(g: Graph, out: str) -> None:
    g.add("Mul", ["x", g.put(10, np.float32)], "tenfold")
    g.add("Cast", ["tenfold"], "whole", to=TensorProto.INT64)
    g.add("Cast", ["whole"], out, to=TensorProto.FLOAT)


def larger(g: Graph, out: str) -> None:
    scales = [1.0, 1.0, 2.0, 3.0]
    if g.opset < 9:
        g.add("Upsample", ["x"], out, mode="nearest", scales=scales)
    elif g.opset < 11:
        g.add("Upsample" if g.opset < 10 else "Resize", ["x", g.put(scales, np.float32)], out, mode="nearest")
    else:
        said = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        region = g.put([], np.float32) if g.opset < 13 else ""
        g.add("Resize", ["x", region, g.put(scales, np.float32)], out, mode="nearest", **said)


def split(g: Graph, out: str) -> None:
    if g.opset < 13:
        g.add("Split", ["x"], ["first", out], axis=1, split=[1, 2])
    else:
        g.add("Split", ["x", g.put([1, 2])], ["first", out], axis=1)


def top(g: Graph, out: str) -> None:
    if g.opset < 10:
        g.add("TopK", ["x"], [out, "places"], k=2)
    else:
        g.add("TopK", ["x", g.put([2])], [out, "places"])


def product(g: Graph, out: str) -> None:
    g.add("Flatten", ["x"], "flat")
    g.add("Gemm", ["flat", "weights", g.put(np.arange(5), np.float32)], out, alpha=0.5)


def pooled(g: Graph, out: str) -> None:
    g.add("MaxPool", ["x"], "peaks", kernel_shape=[2, 2], strides=[2, 1])
    g.add("AveragePool", ["peaks"], out, kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1)


def recurrent(g: Graph, out: str) -> None:
    parts = [g.put(STATE[one], np.float32) for one in "wrb"]
    g.add("RNN", ["s", *parts], ["", out], hidden_size=6)


def quantized(g: Graph, out: str) -> None:
    step, zero = g.put(0.1, np.float32), g.put(3, np.int8)
    g.add("QuantizeLinear", ["x", step, zero], "bytes")
    g.add("DequantizeLinear", ["bytes", step, zero], out)


def peak(g: Graph, out: str) -> None:
    g.add("GlobalMaxPool", ["s"], out)


def softmaxed(x: Array) -> Array:
    grown = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(grown / grown.sum(-1, keepdims=True))


def of_channels(values: Array) -> Array:
    return values.reshape(-1, 1, 1)


def normalized(x: Array) -> Array:
    spread = np.sqrt(of_channels(SPREAD) + 1e-5)
    return np.asarray((x - of_channels(MEAN)) / spread * of_channels(SCALE) + of_channels(BIAS))


def windows(x: Array) -> Array:
    return np.lib.stride_tricks.sliding_window_view(x, (2, 2), (2, 3))


def averaged(x: Array) -> Array:
    most = windows(x)[:, :, ::2].max((-1, -2))
    return np.asarray(windows(np.pad(most, ((0, 0), (0, 0), (1, 0), (1, 0)))).mean((-1, -2)))


def recurred(s: Array) -> Array:
    state, bias = np.zeros((3, 6)), STATE["b"][0, :6] + STATE["b"][0, 6:]
    for step in s:
        state = np.tanh(step @ STATE["w"][0].T + state @ STATE["r"][0].T + bias)
    return state[None]


@dataclass(frozen=True)
class Piece:
    """A part of the network, what numpy makes of `x` and `s`, and in which operator sets it means that.

    Until 13 the softmaxes took all that follows their axis for one.
    """

    put: Callable[[Graph, str], None]
    answer: Callable[[Array, Array], Array]
    since: int = OLDEST
    before: int = NEWEST + 1


def plain(kind: str, *more: float, **said: Any) -> Callable[[Graph, str], None]:
    """A node on `x`, and on numbers beside it."""
    return lambda g, out: g.add(kind, ["x", *(g.put(one, np.float32) for one in more)], out, **said)


PIECES: Mapping[str, Piece] = {
    "pad": Piece(pad, lambda x, _: np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 2)), constant_values=0.5)),
    "clip": Piece(clip, lambda x, _: x.clip(-0.5, 0.25)),
    "slice": Piece(slice_, lambda x, _: x[:, :, 1:3, :-1]),
    "squeeze": Piece(squeeze, lambda x, _: x[:, None]),
    "softmax": Piece(plain("Softmax"), lambda x, _: softmaxed(x), since=13),
    "softmax of old": Piece(
        plain("Softmax"), lambda x, _: softmaxed(x.reshape(2, -1)).reshape(x.shape), before=13
    ),
    "log": Piece(
        plain("LogSoftmax", axis=2), lambda x, _: np.log(softmaxed(x.swapaxes(2, 3)).swapaxes(2, 3)), since=13
    ),
    "log of old": Piece(
        plain("LogSoftmax", axis=2),
        lambda x, _: np.log(softmaxed(x.reshape(6, -1))).reshape(x.shape),
        before=13,
    ),
    "hard": Piece(plain("Hardmax"), lambda x, _: x == x.max(-1, keepdims=True), since=13),
    "hard of old": Piece(plain("Hardmax"), lambda x, _: x == x.max((1, 2, 3), keepdims=True), before=13),
    "norm": Piece(batch_normalization, lambda x, _: normalized(x)),
    "dropout": Piece(dropout, lambda x, _: -x),
    "sum": Piece(reduce_sum, lambda x, _: x.sum((1, 2))),
    "mean": Piece(reduce_mean, lambda x, _: x.mean((2, 3), keepdims=True)),
    "cast": Piece(cast, lambda x, _: np.trunc(x * np.float32(10))),
    "larger": Piece(larger, lambda x, _: x.repeat(2, 2).repeat(3, 3)),
    "split": Piece(split, lambda x, _: x[:, 1:]),
    "top": Piece(top, lambda x, _: np.sort(x)[..., :1:-1]),
    "product": Piece(product, lambda x, _: 0.5 * (x.reshape(2, -1) @ WEIGHTS) + np.arange(5)),
    "pooled": Piece(pooled, lambda x, _: averaged(x)),
    "recurrent": Piece(recurrent, lambda _, s: recurred(s)),
    "most": Piece(plain("ArgMax", axis=1, keepdims=0), lambda x, _: x.argmax(1)),
    "peak": Piece(peak, lambda _, s: s.max(2, keepdims=True)),
    "power": Piece(plain("Pow", 2.0), lambda x, _: x**2),
    "slope": Piece(plain("PRelu", 0.2), lambda x, _: np.where(x < 0, 0.2 * x, x)),
    "quantized": Piece(quantized, lambda x, _: (np.rint(x / np.float32(0.1))) * 0.1, since=10),
    "remainder": Piece(plain("Mod", 0.75, fmod=1), lambda x, _: np.fmod(x, np.float32(0.75)), since=10),
    "hard swish": Piece(plain("HardSwish"), lambda x, _: x * (x / 6 + 0.5).clip(0, 1), since=14),
    "mish": Piece(plain("Mish"), lambda x, _: x * np.tanh(np.log1p(np.exp(x))), since=18),
    "gelu": Piece(
        plain("Gelu", approximate="tanh"),
        lambda x, _: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        since=20,
    ),
}


def pieces(opset: int, without: str = "") -> Mapping[str, Piece]:
    """Those that an operator set has."""
    return {name: one for name, one in PIECES.items() if one.since <= opset < one.before and name != without}


def network(path: Path, opset: int, without: str = "") -> Path:
    """All pieces that this operator set has, the product's weights in a file of their own."""
    g = Graph(opset)
    for name, piece in pieces(opset, without).items():
        piece.put(g, name)
    kinds = {"cast": TensorProto.FLOAT, "most": TensorProto.INT64}
    weights = numpy_helper.from_array(WEIGHTS, "weights")
    graph = helper.make_graph(
        g.nodes,
        "opsets",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, (4, 3, 4)),
            *(
                helper.make_tensor_value_info(one.name, one.data_type, one.dims)
                for one in (*g.constants, weights)
                if opset < 9  # of that time constants had to be inputs too
            ),
        ],
        [
            helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), array.shape)
            for name, array in answers(opset, given(0), without).items()
        ],
        [*g.constants, weights],
    )
    made = helper.make_model_gen_version(graph, opset_imports=[helper.make_opsetid("", opset)])
    onnx.external_data_helper.set_external_data(made.graph.initializer[-1], f"{path.stem}.weights")
    onnx.save_model(made, path)
    return path


def given(seed: int) -> dict[str, Array]:
    chance = np.random.default_rng(seed)
    return {
        "x": chance.normal(size=SHAPE).astype(np.float32),
        "s": chance.normal(size=(4, 3, 4)).astype(np.float32),
    }


def answers(opset: int, feed: Mapping[str, Array], without: str = "") -> dict[str, Array]:
    return {name: one.answer(feed["x"], feed["s"]) for name, one in pieces(opset, without).items()}


REFUSED: Mapping[tuple[str, int], tuple[str, str]] = {
    ("openvino", 11): (
        "softmax of old",
        "OpenVINO computes Softmax of operator sets 11 and 12 .* --opset 13",
    ),
    ("openvino", 12): (
        "softmax of old",
        "OpenVINO computes Softmax of operator sets 11 and 12 .* --opset 13",
    ),
    ("onnxruntime", 28): ("quantized", r"Could not find an implementation for QuantizeLinear\(28\)"),
}
"""What each refuses of an operator set, and in which words; without that piece, and elsewhere, it must be right."""


def request(path: Path) -> LoadRequest:
    return LoadRequest(path=path, format=ONNX, beside=(f"{path.stem}.weights",))


@pytest.mark.parametrize(
    ("plugin", "opset"),
    [
        *((ONNXRUNTIME, opset) for opset in range(OLDEST, NEWEST + 1)),
        *((plugin, opset) for opset in CHANGED for plugin in (OPENVINO, REFERENCE)),
    ],
    ids=lambda one: getattr(one, "name", str(one)),
)
def test_numbers_are_right_or_it_is_refused_in_a_sentence(
    opset: int, plugin: Accelerator, tmp_path: Path
) -> None:
    assert plugin.load is not None
    without, words = REFUSED.get((plugin.name, opset), ("", ""))
    if without:
        with pytest.raises(ModelRejected, match=words):
            plugin.load(request(network(tmp_path / "whole.onnx", opset)))
    session = plugin.load(request(network(tmp_path / "m.onnx", opset, without)))
    feed = given(opset)
    found, wanted = session.infer(feed), answers(opset, feed, without)
    shapes = {spec.name: spec.shape for spec in session.outputs}
    session.close()
    assert set(found) == set(wanted)
    for name, want in wanted.items():
        assert found[name].shape == want.shape == shapes[name], name
        np.testing.assert_allclose(found[name], want, atol=2e-5, rtol=1e-4, err_msg=f"{name} at {opset}")


@pytest.mark.parametrize("opset", range(OLDEST, NEWEST + 1))
def test_what_the_file_says(opset: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = network(tmp_path / "m.onnx", opset)
    assert main(["model", "info", str(path), "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["opset"] == {"ai.onnx": opset}
    assert said["inputs"] == ["x FP32[2, 3, 4, 4]", "s FP32[4, 3, 4]"]
    assert said["files"] == ["m.weights"]
    wanted = [
        f"{name} {'INT64' if name == 'most' else 'FP32'}{list(one.shape)}"
        for name, one in answers(opset, given(0)).items()
    ]
    assert said["outputs"] == wanted


@pytest.mark.parametrize("opset", [OLDEST, NEWEST])
def test_it_goes_into_the_store_and_through_the_check(
    opset: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_LONGEST", 0.02)
    monkeypatch.setenv("INFERENCE_AUTOACCELERATORS", "onnxruntime,openvino")
    path, store = network(tmp_path / "m.onnx", opset), str(tmp_path / "store")
    assert main(["model", "add", str(path), "--task", "raw", "--models", store]) == 0
    takers = [one for one in ("reference", "onnxruntime", "openvino") if (one, opset) not in REFUSED]
    named = [f"--accelerator={one}" for one in takers]
    capsys.readouterr()
    assert main(["model", "check", "m", "--models", store, "--json", *named]) == 0, "whoever refuses it aside"
    found = {one["accelerator"]: one["answers"] for one in json.loads(capsys.readouterr().out)}
    assert found == {f"{one}:CPU": "agrees" if number else "unproven" for number, one in enumerate(takers)}
