"""OpenVINO on real files of every format, and on what it would get wrong in silence."""

import importlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from accelerators.openvino import PLUGIN
from edgex_inference.contracts.accelerator import (
    ONNX,
    OPENVINO_IR,
    PADDLE,
    TENSORFLOW,
    TFLITE,
    Format,
    LoadRequest,
    Session,
)
from edgex_inference.contracts.errors import (
    DeadlineExceeded,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.tensors import Datatype
from edgex_inference.testing import onnx_models
from edgex_inference.testing.kinds import Kind

if os.environ.get("EDGEX_INFERENCE_STRICT") == "1":
    ov = importlib.import_module("openvino")
else:
    ov = pytest.importorskip(
        "openvino", reason='openvino is missing: pip install "edgex-inference[openvino]"'
    )
FLOAT = TensorProto.FLOAT
ONES = np.ones((1, 4), np.float32)


def opened(path: Path, format_: Format = ONNX, **keys: object) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(LoadRequest(path=path, format=format_, **keys))  # type: ignore[arg-type]


@pytest.fixture
def affine(tmp_path: Path) -> Path:
    """y = 2x + 1 over [N, 4]."""
    return onnx_models.write(Kind.ANY, tmp_path)


@pytest.fixture
def ir(affine: Path) -> Path:
    """The same as IR: a graph and its weights."""
    path = affine.with_name("affine.xml")
    ov.save_model(ov.Core().read_model(affine), path, compress_to_fp16=False)
    return path


# Formats


@pytest.mark.parametrize(
    ("file", "format_", "inputs", "outputs", "batch"),
    [
        ("face-rfb320/version-RFB-320.onnx", ONNX, "input FP32[1, 3, 240, 320]", "scores FP32[1, 4420, 2]", "none"),
        (
            "face-rfb320/version-RFB-320_without_postprocessing.tflite",
            TFLITE,
            "input_1 FP32[?, 240, 320, 3]",
            "Identity FP32[?, 4420, 4]",
            "any",
        ),
        ("mlperf-tiny/ad01_int8.tflite", TFLITE, "input_1 INT8[?, 640]", "Identity INT8[?, 640]", "any"),
        (
            "mlperf-tiny/vww_96_int8.tflite",
            TFLITE,
            "input_1_int8 INT8[?, 96, 96, 3]",
            "Identity_int8 INT8[?, 2]",
            "any",
        ),
        ("mlperf-tiny/kws_saved_model", TENSORFLOW, "input_1 FP32[?, 49, 10, 1]", "dense FP32[?, 12]", "any"),
        ("vitis/ae0.pb", TENSORFLOW, "X:0 FP32[?, 784]", "output:0 FP32[?, 784]", "any"),
    ],
)  # fmt: skip
def test_real_files(
    testdata: Path, file: str, format_: Format, inputs: str, outputs: str, batch: str
) -> None:
    loaded = opened(testdata / "models" / file, format_)
    assert str(loaded.inputs[0]) == inputs
    assert str(loaded.outputs[0]) == outputs
    assert loaded.traits.batch.kind == batch
    assert loaded.traits.precision == ("int8" if "int8" in file else "f32")
    assert sum(loaded.traits.placement.values()) > 3
    shape = tuple(extent or 1 for extent in loaded.inputs[0].shape)
    answer = loaded.infer({loaded.inputs[0].name: np.zeros(shape, loaded.inputs[0].datatype.numpy)})
    assert loaded.outputs[0].accepts(answer[loaded.outputs[0].name].shape)


def test_ir_is_a_graph_and_its_weights(ir: Path) -> None:
    assert np.all(opened(ir, OPENVINO_IR).infer({"x": ONES})["y"] == 3)
    ir.with_suffix(".bin").unlink()
    with pytest.raises(ModelRejected, match=r"its weights affine\.bin are missing"):
        opened(ir, OPENVINO_IR)


def test_names_of_classes_that_an_exporter_left(tmp_path: Path, ir: Path) -> None:
    model = ov.Core().read_model(ir)
    model.set_rt_info("bolt nut", ["model_info", "labels"])
    ov.save_model(model, tmp_path / "labels.xml", compress_to_fp16=False)
    assert opened(tmp_path / "labels.xml", OPENVINO_IR).metadata["labels"] == "bolt nut"
    spec = (FLOAT, (1, 4))
    nodes = [helper.make_node("Abs", ["x"], ["y"])]
    said = {"names": "{0: 'bolt', 1: 'Mütter'}", "empty": ""}
    path = onnx_models.save(tmp_path / "named.onnx", nodes, {"x": spec}, {"y": spec}, metadata=said)
    assert opened(path).metadata == said


def test_paddle_wants_its_parameters_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "model.pdmodel"
    path.write_bytes(b"")
    with pytest.raises(ModelRejected, match=r"its weights model\.pdiparams are missing"):
        opened(path, PADDLE)
    path.with_suffix(".pdiparams").write_bytes(b"")
    with pytest.raises(ModelRejected):
        opened(path, PADDLE)


@pytest.mark.parametrize(
    ("file", "format_", "reason"),
    [
        (
            "coral/mobilenet_v1_0.25_128_quant_edgetpu.tflite",
            TFLITE,
            "No translator found for edgetpu-custom-op node.",
        ),
        ("coral/model_invoking_error.tflite", TFLITE, "malformed flatbuffer"),
        ("coral/split_concat.tflite", ONNX, "Model can't be parsed"),
        ("mlperf-tiny/ad01.h5", ONNX, "Model can't be parsed"),
        ("face-rfb320/version-RFB-320.onnx", TFLITE, "InputModel"),
        ("vitis", TENSORFLOW, "the folder holds no saved_model.pb"),
        ("mlperf-tiny/kws_saved_model", ONNX, "only TensorFlow SavedModels are folders"),
    ],
)
def test_foreign_files_are_rejected_in_one_line(
    testdata: Path, file: str, format_: Format, reason: str
) -> None:
    with pytest.raises(ModelRejected) as caught:
        opened(testdata / "models" / file, format_)
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason
    assert "src/" not in caught.value.reason


def test_operators_that_it_lacks_are_named() -> None:
    forest = Path(__file__).parents[1] / "data" / "models" / "isolation-forest.onnx"
    with pytest.raises(
        ModelRejected, match=r"No conversion rule found for operations: ai\.onnx\.ml\.LabelEncoder"
    ):
        opened(forest)


def test_types_that_the_port_lacks_are_named(tmp_path: Path) -> None:
    spec = (TensorProto.BFLOAT16, ("N",))
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    path = onnx_models.save(tmp_path / "b.onnx", nodes, {"x": spec}, {"y": spec})
    with pytest.raises(ModelRejected, match="type bf16"):
        opened(path)


# Shapes


def test_extents_can_be_fixed(tmp_path: Path) -> None:
    spec = (FLOAT, ("batch", "length"))
    nodes = [helper.make_node("Abs", ["x"], ["y"])]
    path = onnx_models.save(tmp_path / "m.onnx", nodes, {"x": spec}, {"y": spec})
    loaded = opened(path, shapes={"x": (None, 6)})
    assert loaded.inputs[0].shape == (None, 6)
    with pytest.raises(SignatureMismatch, match="shape"):
        loaded.infer({"x": np.zeros((1, 7), np.float32)})
    with pytest.raises(ModelRejected):
        opened(path, shapes={"x": (None, 6, 2)})


def test_a_bounded_batch_is_a_range(affine: Path) -> None:
    model = ov.Core().read_model(affine)
    model.reshape({"x": ov.PartialShape([ov.Dimension(1, 8), 4])})
    path = affine.with_name("bounded.xml")
    ov.save_model(model, path, compress_to_fp16=False)
    loaded = opened(path, OPENVINO_IR)
    assert (loaded.traits.batch.kind, loaded.traits.batch.most) == ("range", 8)
    assert loaded.infer({"x": np.ones((8, 4), np.float32)})["y"].shape == (8, 4)
    with pytest.raises(SignatureMismatch, match="9"):
        loaded.infer({"x": np.ones((9, 4), np.float32)})


# Precision and placement


def test_precision_is_what_was_asked_and_stated(tmp_path: Path) -> None:
    path = onnx_models.write(Kind.SUM, tmp_path)
    x = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    exact = float(x.sum(dtype=np.float64))
    seen = {
        precision: (loaded.traits.precision, abs(float(loaded.infer({"x": x})["y"][0, 0]) - exact))
        for precision in ("f32", "native")
        for loaded in [opened(path, precision=precision)]
    }
    assert seen["f32"][0] == "f32"
    assert seen["f32"][1] < 1e-5
    assert (seen["native"][0] == "bf16") == (seen["native"][1] > 1e-4), "what is stated is what was computed"


def test_precision_that_cannot_be_had_is_refused(affine: Path) -> None:
    with pytest.raises(ModelRejected, match="use a quantized build"):
        opened(affine, precision="int8")
    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if "BF16" in able and "FP16" not in able:
        with pytest.raises(ModelRejected, match="would run it in bf16, not in f16: say bf16 or native"):
            opened(affine, precision="f16")


def test_a_cached_model_does_not_forget_its_precision(tmp_path: Path) -> None:
    path, cache = onnx_models.write(Kind.SUM, tmp_path), tmp_path / "cache"
    x = np.random.default_rng(1).normal(size=(1, 64)).astype(np.float32)
    for precision in ("native", "f32", "native", "f32"):
        loaded = opened(path, precision=precision, cache=cache)
    assert loaded.traits.precision == "f32"
    assert np.allclose(loaded.infer({"x": x})["y"], x.sum(dtype=np.float64), atol=1e-5)
    assert list(cache.rglob("*.blob")), "something was kept"


def test_replaced_weights_of_the_same_size_are_not_answered_from_the_cache(ir: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert np.all(opened(ir, OPENVINO_IR, cache=cache).infer({"x": ONES})["y"] == 3)
    weights = ir.with_suffix(".bin")
    numbers = np.frombuffer(weights.read_bytes(), np.float32).copy()
    weights.write_bytes(np.where(numbers == 2, np.float32(5), numbers).tobytes())
    assert np.all(opened(ir, OPENVINO_IR, cache=cache).infer({"x": ONES})["y"] == 6)


def test_a_cache_in_the_way_is_said_once(
    affine: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        assert np.all(opened(affine, cache=tmp_path / "file").infer({"x": ONES})["y"] == 3)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        f"openvino works without its cache {tmp_path}/file/openvino-{PLUGIN.version()}"
    ]


# Runs


def test_a_call_beyond_the_pool_waits_and_then_says_so(affine: Path) -> None:
    loaded: Any = opened(affine)
    taken = [loaded._pool.take(1) for _ in range(loaded.parallel)]
    with pytest.raises(DeadlineExceeded, match="no free request"):
        loaded.infer({"x": ONES}, timeout=0.01)
    loaded.close()
    for slot in taken:
        loaded._pool.give(slot)
    with pytest.raises(InferenceFailed, match="closed"):
        loaded.infer({"x": ONES})


def test_doubles_are_doubles_at_the_port(tmp_path: Path) -> None:
    spec = (TensorProto.DOUBLE, ("N", 4))
    nodes = [helper.make_node("Abs", ["x"], ["y"])]
    loaded = opened(onnx_models.save(tmp_path / "d.onnx", nodes, {"x": spec}, {"y": spec}))
    assert loaded.inputs[0].datatype is Datatype.FP64
    assert loaded.infer({"x": -np.ones((1, 4))})["y"].dtype == np.float64


def test_external_data_lies_beside_the_graph(tmp_path: Path) -> None:
    path = onnx_models.write_affine(tmp_path / "big.onnx", external=True)
    assert np.all(opened(path).infer({"x": ONES})["y"] == 3)
    shutil.move(tmp_path / "big.onnx.data", tmp_path / "elsewhere.data")
    with pytest.raises(ModelRejected):
        opened(path)


def test_large_inputs_are_lent_and_come_back_as_they_were(tmp_path: Path) -> None:
    spec = (FLOAT, ("N", 40_000))
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Neg", ["r"], ["y"])]
    loaded = opened(onnx_models.save(tmp_path / "r.onnx", nodes, {"x": spec}, {"y": spec}))
    answers, wanted = [], []
    for rows, seed in ((1, 0), (2, 1), (1, 2), (1, 3)):
        x = np.random.default_rng(seed).normal(size=(rows, 40_000)).astype(np.float32)
        for given in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
            before = given.copy()
            answers.append(loaded.infer({"x": given})["y"])
            wanted.append(-np.maximum(before, 0))
            assert np.array_equal(given, before)
            given[:] = 7  # the caller's memory is the caller's again
    assert all(np.array_equal(answer, want) for answer, want in zip(answers, wanted, strict=True))
    x[0, 39_999] = np.nan
    with pytest.raises(SignatureMismatch, match="x holds NaN"):
        loaded.infer({"x": x})
