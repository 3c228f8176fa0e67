"""What real models have and those of tests seldom: names behind Identity, whole weights, states, open sizes."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper
from openvino import opset13 as ops

from accelerators import tflite
from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME
from accelerators.openvino import PLUGIN as OPENVINO
from accelerators.openvino.weights import write_out
from accelerators.reference import PLUGIN as REFERENCE
from edgex_inference.cli.main import main
from edgex_inference.cli.models import checking
from edgex_inference.contracts.accelerator import ONNX, Accelerator, LoadRequest
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine.lane import Lane
from edgex_inference.pipeline.planning.choosing import difference
from edgex_inference.testing import onnx_models

Capture = pytest.CaptureFixture[str]


def test_an_output_behind_identity_keeps_its_name(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Softmax", ["x"], ["p"]),
        helper.make_node("Identity", ["p"], ["save/scale_0.tmp_1"]),
        helper.make_node("Neg", ["x"], ["n"]),
        helper.make_node("Identity", ["n"], ["save/scale_1.tmp_1"]),
    ]
    spec = (TensorProto.FLOAT, ("N", 3))
    outputs = {"save/scale_0.tmp_1": spec, "save/scale_1.tmp_1": spec}
    path = onnx_models.save(tmp_path / "m.onnx", nodes, {"x": spec}, outputs)
    assert OPENVINO.load is not None
    session = OPENVINO.load(LoadRequest(path=path, format=ONNX))
    x = np.array([[0.5, -1, 2]], np.float32)
    answers = session.infer({"x": x})
    assert [one.name for one in session.outputs] == list(outputs) == list(answers)
    np.testing.assert_array_equal(answers["save/scale_1.tmp_1"], -x)


def saved(folder: Path, graph: onnx.GraphProto, *, opset: int) -> Path:
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(made, folder / "m.onnx")
    return folder / "m.onnx"


async def test_answers_to_texts_whose_number_of_axes_the_file_does_not_say(tmp_path: Path) -> None:
    """Models that take texts are not tried out at load: only the file tells their outputs."""
    wanted = numpy_helper.from_array(np.array(["a"], object), "wanted")
    nodes = [
        helper.make_node("Equal", ["x", "wanted"], ["same"]),
        helper.make_node("NonZero", ["same"], ["at"]),
        helper.make_node("Transpose", ["at"], ["turned"]),
        helper.make_node("Squeeze", ["turned"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.STRING, [1, 4])
    y = helper.make_tensor_value_info("y", TensorProto.INT64, None)
    path = saved(tmp_path, helper.make_graph(nodes, "places", [x], [y], [wanted]), opset=19)
    assert ONNXRUNTIME.load is not None
    lane = Lane("texts", partial(ONNXRUNTIME.load, LoadRequest(path=path, format=ONNX)))
    await lane.open()
    answer = await lane.infer({"x": np.array([["a", "b", "a", "c"]], object)}, timeout=60)
    assert answer["y"].tolist() == [[0, 0], [0, 2]]
    await lane.close()


def test_hardmax_over_a_whole_picture_takes_no_square_of_it(tmp_path: Path) -> None:
    """Before operator set 13 it ran over all that follows its axis."""
    x = np.zeros((1, 3, 320, 320), np.float32)
    x[0, 1, 2, 3] = 1
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape)] for name in "xy"]
    graph = helper.make_graph([helper.make_node("Hardmax", ["x"], ["y"])], "hardest", *ends)
    path = saved(tmp_path, graph, opset=11)
    assert REFERENCE.load is not None
    np.testing.assert_array_equal(REFERENCE.load(LoadRequest(path=path, format=ONNX)).infer({"x": x})["y"], x)


def inside(kind: str) -> onnx.GraphProto:
    """A Softmax over [2, 3, 4] in a branch, a loop or a scan."""

    def floats(name: str, *more: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, (*more, 2, 3, 4))

    flag, at = (helper.make_tensor_value_info(n, t, []) for n, t in (("c", 9), ("i", 7)))
    soft, on = helper.make_node("Softmax", ["s"], ["t"]), helper.make_node("Identity", ["c"], ["d"])
    if kind == "If":
        then = helper.make_graph([helper.make_node("Softmax", ["x"], ["t"])], "then", [], [floats("t")])
        other = helper.make_graph([helper.make_node("Neg", ["x"], ["u"])], "else", [], [floats("u")])
        nodes = [helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)]
        return helper.make_graph(nodes, kind, [floats("x"), flag], [floats("y")])
    if kind == "Loop":
        ends = [helper.make_tensor_value_info("d", TensorProto.BOOL, []), floats("t")]
        body = helper.make_graph([soft, on], "body", [at, flag, floats("s")], ends)
        nodes = [helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)]
        once = numpy_helper.from_array(np.array(1), "n")
        return helper.make_graph(nodes, kind, [floats("x")], [floats("y")], [once])
    body = helper.make_graph([soft], "body", [floats("s")], [floats("t")])
    nodes = [helper.make_node("Scan", ["x"], ["y"], body=body, num_scan_inputs=1)]
    return helper.make_graph(nodes, kind, [floats("x", 5)], [floats("y", 5)])


@pytest.mark.parametrize("kind", ["If", "Loop", "Scan"])
def test_a_softmax_that_openvino_misreads_is_found_in_branches_and_loops(kind: str, tmp_path: Path) -> None:
    path = saved(tmp_path, inside(kind), opset=12)
    assert OPENVINO.load is not None
    with pytest.raises(ModelRejected, match=r"computes Softmax of operator sets 11 and 12 otherwise"):
        OPENVINO.load(LoadRequest(path=path, format=ONNX))


@pytest.mark.parametrize("plugin", [REFERENCE, ONNXRUNTIME], ids=lambda one: one.name)
def test_a_loop_without_a_condition_and_what_its_rounds_give(plugin: Accelerator, tmp_path: Path) -> None:
    """A matrix that doubles round by round; each round gives it, and its number."""

    def tensor(name: str, kind: int, *shape: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    floats, whole = TensorProto.FLOAT, TensorProto.INT64
    nodes = [
        helper.make_node("Add", ["s", "s"], ["t"]),
        helper.make_node("Identity", ["t"], ["each"]),
        helper.make_node("Identity", ["i"], ["number"]),
        helper.make_node("Identity", ["c"], ["d"]),
    ]
    body = helper.make_graph(
        nodes,
        "body",
        [tensor("i", whole), tensor("c", TensorProto.BOOL), tensor("s", floats, 2, 2)],
        [
            tensor("d", TensorProto.BOOL),
            tensor("t", floats, 2, 2),
            tensor("each", floats, 2, 2),
            tensor("number", whole),
        ],
    )
    outer = [helper.make_node("Loop", ["n", "", "x"], ["y", "every", "numbers"], body=body)]
    graph = helper.make_graph(
        outer,
        "doubling",
        [tensor("n", whole, 1), tensor("x", floats, 2, 2)],
        [tensor("y", floats, 2, 2), tensor("every", floats, "R", 2, 2), tensor("numbers", whole, "R")],
    )
    assert plugin.load is not None
    session = plugin.load(LoadRequest(path=saved(tmp_path, graph, opset=13), format=ONNX))
    x = np.array([[1, 2], [3, 4]], np.float32)
    answer = session.infer({"n": np.array([3]), "x": x})
    np.testing.assert_array_equal(answer["y"], 8 * x)
    np.testing.assert_array_equal(answer["every"], [2 * x, 4 * x, 8 * x])
    np.testing.assert_array_equal(answer["numbers"], [0, 1, 2])
    np.testing.assert_array_equal(session.infer({"n": np.array([0]), "x": x})["y"], x)


def convolution(*, quantized: bool) -> openvino.Model:
    """A convolution whose weights are kept as int8 with a scale, as TFLite's dynamic range quantization has it."""
    x = ops.parameter([1, 2, 6, 6], np.float32, name="x")
    whole = np.random.default_rng(0).integers(-127, 127, (4, 2, 3, 3)).astype(np.int8)
    floats = ops.multiply(ops.convert(ops.constant(whole), "f32"), np.float32(0.01))
    given = ops.fake_quantize(x, *(np.float32(one) for one in (-1, 1, -1, 1)), levels=256) if quantized else x
    found = ops.convolution(given, floats, [1, 1], [0, 0], [0, 0], [1, 1])
    return openvino.Model([found], [x])


def kinds(model: openvino.Model) -> list[str]:
    return [node.get_type_name() for node in model.get_ops()]


@pytest.mark.parametrize("convolutions", [False, True])
def test_whole_weights_are_written_out(convolutions: bool) -> None:
    x = np.random.default_rng(1).uniform(-1, 1, (1, 2, 6, 6)).astype(np.float32)
    model, f32 = convolution(quantized=False), {"INFERENCE_PRECISION_HINT": "f32"}
    before = openvino.Core().compile_model(model, "CPU", f32)(x)[0]
    assert "Convert" in kinds(model)
    write_out(model, openvino.op.Constant, convolutions=convolutions)
    assert "Convert" not in kinds(model)
    np.testing.assert_allclose(openvino.Core().compile_model(model, "CPU", f32)(x)[0], before, atol=1e-5)


@pytest.mark.parametrize("convolutions", [False, True])
def test_compressed_products_of_an_ir_stay_compressed(convolutions: bool) -> None:
    x = ops.parameter([1, 8], np.float32, name="x")
    whole = ops.constant(np.arange(32, dtype=np.int8).reshape(8, 4))
    floats = ops.multiply(ops.convert(whole, "f32"), np.float32(0.01))
    model = openvino.Model([ops.matmul(x, floats, False, False)], [x])
    write_out(model, openvino.op.Constant, convolutions=convolutions)
    assert ("Convert" in kinds(model)) is convolutions


def test_those_of_a_model_in_8_bits_stay() -> None:
    model = convolution(quantized=True)
    write_out(model, openvino.op.Constant)
    assert "Convert" in kinds(model)


@pytest.mark.parametrize(
    ("nodes", "stateful"), [(["CONV_2D", "VAR_HANDLE", "ADD"], True), (["CONV_2D"], False)]
)
def test_states_are_seen(nodes: list[str], stateful: bool) -> None:
    raw = SimpleNamespace(NumNodes=lambda: len(nodes), NodeName=lambda at: nodes[at])
    assert tflite._keeps_states(SimpleNamespace(_interpreter=raw)) is stateful


def recording(folder: Path) -> Path:
    """Takes 16 numbers and no others, and leaves that open."""
    weights = numpy_helper.from_array(np.full((16, 1), 0.25, np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    inputs = {"x": (TensorProto.FLOAT, ("N", "L"))}
    return onnx_models.save(folder / "m.onnx", nodes, inputs, {"y": (TensorProto.FLOAT, ("N", 1))}, [weights])


def test_an_open_size_is_asked_for_and_taken_from_the_card(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_LONGEST", 0.02)
    store = ["--models", str(tmp_path / "s")]
    assert main(["model", "add", str(recording(tmp_path)), "--task", "raw", *store]) == 0
    assert "still to say: inputs.x.shape: of one sample; the file leaves it open (x FP32[?, ?])" in (
        capsys.readouterr().out
    )
    check = ["model", "check", "m", "--accelerator", "onnxruntime", *store]
    assert main(check) == 1
    assert "the file leaves x FP32[?, ?] open: say inputs.x.shape in the card, [N]" in capsys.readouterr().out
    card = tmp_path / "s" / "m" / "1" / "model.yaml"
    card.write_text(card.read_text().replace("x: {kind: vector", "x: {kind: vector, shape: [16]"))
    assert main([*check, "--accelerator", "openvino"]) == 0
    assert "agrees" in capsys.readouterr().out


def test_a_conversion_asks_the_source_in_the_size_that_is_said(tmp_path: Path, capsys: Capture) -> None:
    convert = [
        "model",
        "convert",
        str(recording(tmp_path)),
        "--to",
        "openvino",
        "--models",
        str(tmp_path / "s"),
    ]
    assert main(convert) == 1
    assert "cannot run it" in capsys.readouterr().err
    assert main([*convert, "--shape", "1,16"]) == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "fine"),
    [([3e-8], [1e-9], True), ([1e-3], [2e-3], False), ([500.1], [500.0], True), ([501.0], [500.0], False)],
)
def test_what_rounding_leaves_of_small_numbers_is_no_difference(
    ours: list[float], theirs: list[float], fine: bool
) -> None:
    def tensors(of: list[float]) -> dict[str, Any]:
        return {"y": np.array(of, np.float32)}

    assert difference.agree(difference.apart(tensors(ours), tensors(theirs)), "f32") is fine
