"""ONNX operators with words that readers and evaluators pass over in silence: right numbers, or a refusal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME
from accelerators.openvino import PLUGIN as OPENVINO
from accelerators.reference import PLUGIN as REFERENCE
from edgex_inference.contracts.accelerator import ONNX, Accelerator, LoadRequest
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Array

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
X = np.random.default_rng(0).normal(0, 3, (5, 3, 2)).astype(np.float32)


def network(folder: Path, kind: str, lengths: list[int], words: Mapping[str, Any]) -> Path:
    """Two units over five steps, three sequences at once."""
    chance = np.random.default_rng(1)
    ways = 2 if words.get("direction") == "bidirectional" else 1
    constants: dict[str, Array] = {
        name: chance.normal(size=(ways, 2 * GATES[kind], 2)).astype(np.float32) for name in ("w", "r")
    }
    constants |= {"l": np.array(lengths, np.int32)} if lengths else {}
    node = helper.make_node(
        kind, ["x", "w", "r", "", "l" if lengths else ""], ["y", "last"], hidden_size=2, **words
    )
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "recurrent",
        [helper.make_tensor_value_info("x", floats, X.shape)],
        [
            helper.make_tensor_value_info("y", floats, (5, ways, 3, 2)),
            helper.make_tensor_value_info("last", floats, (ways, 3, 2)),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, folder / "m.onnx")
    return folder / "m.onnx"


def answer(plugin: Accelerator, path: Path, x: Array = X) -> Mapping[str, Array]:
    assert plugin.load is not None
    return plugin.load(LoadRequest(path=path, format=ONNX)).infer({"x": x})


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("lengths", [[], [5, 5, 5], [5, 2, 1]], ids=str)
@pytest.mark.parametrize("kind", GATES)
def test_sequences_of_different_lengths(
    kind: str, lengths: list[int], direction: str, tmp_path: Path
) -> None:
    path = network(tmp_path, kind, lengths, {"direction": direction})
    wanted = answer(ONNXRUNTIME, path)
    for plugin in (REFERENCE, OPENVINO):
        found = answer(plugin, path)
        for name in wanted:
            np.testing.assert_allclose(found[name], wanted[name], atol=2e-5, err_msg=f"{plugin.name} {name}")


@pytest.mark.parametrize(
    ("plugin", "kind", "words", "reason"),
    [
        (REFERENCE, "LSTM", {"activations": ["HardSigmoid", "Tanh", "Tanh"]}, "activations of LSTM"),
        (REFERENCE, "GRU", {"activations": ["Sigmoid", "Relu"]}, "activations of GRU"),
        (REFERENCE, "RNN", {"clip": 0.5}, "clip of RNN"),
        (REFERENCE, "LSTM", {"input_forget": 1}, "input_forget of LSTM"),
        (OPENVINO, "LSTM", {"input_forget": 1}, "passes over input_forget of LSTM"),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_what_is_passed_over_is_refused(
    plugin: Accelerator, kind: str, words: Mapping[str, Any], reason: str, tmp_path: Path
) -> None:
    assert plugin.load is not None
    with pytest.raises(ModelRejected, match=reason):
        plugin.load(LoadRequest(path=network(tmp_path, kind, [], words), format=ONNX))


@pytest.mark.parametrize("plugin", [REFERENCE, OPENVINO], ids=lambda one: one.name)
def test_the_usual_words_are_taken(plugin: Accelerator, tmp_path: Path) -> None:
    words = {"activations": ["Sigmoid", "Tanh", "Tanh"], "input_forget": 0}
    path = network(tmp_path, "LSTM", [], words)
    np.testing.assert_allclose(answer(plugin, path)["y"], answer(ONNXRUNTIME, path)["y"], atol=2e-5)


PICTURE = np.random.default_rng(2).normal(size=(2, 3, 6, 7)).astype(np.float32)


def written(
    folder: Path, operator: str, opset: int, words: Mapping[str, Any], *, branch: bool = False
) -> Path:
    """One operator over a picture, or the same in a branch that is taken."""
    inputs = ["x", "", "", "size"] if operator == "Resize" else ["x"]
    node = helper.make_node(operator, inputs, ["y"], **words)
    floats = TensorProto.FLOAT
    shape = (2, 3, 3, 4) if operator == "Resize" else PICTURE.shape
    given = helper.make_tensor_value_info("x", floats, PICTURE.shape)
    gives = helper.make_tensor_value_info("y", floats, shape if "axes" not in words else (2, 1, 1, 7))
    size = numpy_helper.from_array(np.array((2, 3, 3, 4)), "size")
    nodes = [node]
    if branch:
        body = helper.make_graph([node], "branch", [], [gives])
        nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body)]
    constants = [size, numpy_helper.from_array(np.array(True), "yes")]
    graph = helper.make_graph(nodes, "words", [given], [gives], constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8),
        folder / "m.onnx",
    )
    return folder / "m.onnx"


@pytest.mark.parametrize("branch", [False, True])
@pytest.mark.parametrize(
    ("operator", "opset", "words", "name"),
    [
        ("ReduceL1", 13, {"axes": [1, 2]}, "axes"),
        ("ReduceLogSumExp", 17, {"axes": [1, 2]}, "axes"),
        ("Resize", 18, {"mode": "linear", "antialias": 1}, "antialias"),
        ("Resize", 13, {"mode": "cubic", "exclude_outside": 1}, "exclude_outside"),
        ("Resize", 18, {"keep_aspect_ratio_policy": "not_larger"}, "keep_aspect_ratio_policy"),
    ],
)
def test_openvino_is_not_asked_for_what_its_reader_passes_over(
    operator: str, opset: int, words: Mapping[str, Any], name: str, branch: bool, tmp_path: Path
) -> None:
    assert OPENVINO.load is not None
    path = written(tmp_path, operator, opset, words, branch=branch)
    with pytest.raises(
        ModelRejected, match=f"OpenVINO passes over {name} of {operator}, and would make other"
    ):
        OPENVINO.load(LoadRequest(path=path, format=ONNX))


@pytest.mark.parametrize(
    ("plugin", "operator", "opset", "words"),
    [
        (OPENVINO, "ReduceL1", 11, {"axes": [1, 2]}),
        (OPENVINO, "ReduceL2", 13, {"axes": [1, 2]}),
        (OPENVINO, "Resize", 18, {"mode": "linear", "antialias": 0, "keep_aspect_ratio_policy": "stretch"}),
        (REFERENCE, "LpNormalization", 17, {"p": 1, "axis": 1}),
        (REFERENCE, "LpNormalization", 17, {}),
    ],
)
def test_what_is_not_passed_over_is_right(
    plugin: Accelerator, operator: str, opset: int, words: Mapping[str, Any], tmp_path: Path
) -> None:
    path = written(tmp_path, operator, opset, words)
    found, wanted = (answer(one, path, PICTURE)["y"] for one in (plugin, ONNXRUNTIME))
    np.testing.assert_allclose(found, wanted, atol=2e-5)
