"""LiteRT on real TFLite files, float and quantized, and on files that are none."""

import importlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelerators.litert import PLUGIN
from edgex_inference.contracts.accelerator import ONNX, TFLITE, LoadRequest, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.tensors import Datatype, Quantization
from edgex_inference.engine.options import decode

if os.environ.get("EDGEX_INFERENCE_STRICT") == "1":
    importlib.import_module("ai_edge_litert.interpreter")
else:
    pytest.importorskip(
        "ai_edge_litert", reason='ai-edge-litert is missing: pip install "edgex-inference[litert]"'
    )

from edgex_inference.testing import tflite_models
from edgex_inference.testing.kinds import Kind
from edgex_inference.testing.tflite_models import Node, Tensor

ONES = np.ones((1, 4), np.float32)


def opened(path: Path, **keys: Any) -> Session:
    assert PLUGIN.load is not None
    keys.setdefault("format", TFLITE)
    keys["options"] = decode(PLUGIN, keys.pop("options", {}))
    return PLUGIN.load(LoadRequest(path=path, **keys))


@pytest.mark.parametrize(
    ("file", "inputs", "outputs", "batch", "precision"),
    [
        (
            "face-rfb320/version-RFB-320_without_postprocessing.tflite",
            ["input_1 FP32[?, 240, 320, 3]"],
            ["Identity FP32[?, 4420, 4]", "Identity_1 FP32[?, 4420, 2]"],
            "any",
            "f32",
        ),
        ("mlperf-tiny/ad01_fp32.tflite", ["input_1 FP32[?, 640]"], ["Identity FP32[?, 640]"], "any", "f32"),
        ("mlperf-tiny/ad01_int8.tflite", ["input_1 INT8[?, 640]"], ["Identity INT8[?, 640]"], "any", "int8"),
        (
            "mlperf-tiny/vww_96_int8.tflite",
            ["input_1_int8 INT8[?, 96, 96, 3]"],
            ["Identity_int8 INT8[?, 2]"],
            "any",
            "int8",
        ),
        (
            "coral/mobilenet_v1_0.25_128_quant.tflite",
            ["input UINT8[1, 128, 128, 3]"],
            ["MobilenetV1/Predictions/Reshape_1 UINT8[1, 1001]"],
            "none",
            "int8",
        ),
        (
            "coral/split_concat.tflite",
            ["input1 UINT8[1, 8, 8, 3]", "inputs/rnn1 UINT8[1, 8, 8, 1]", "inputs/rnn2 UINT8[1, 8, 8, 2]"],
            [
                "concat/split0 UINT8[1, 8, 8, 1]",
                "concat/split2 UINT8[1, 8, 8, 1]",
                "concat/split4 UINT8[1, 8, 8, 1]",
                "outputs/rnn1 UINT8[1, 8, 8, 1]",
                "outputs/rnn2 UINT8[1, 8, 8, 2]",
            ],
            "none",
            "int8",
        ),
    ],
)
def test_real_files(
    testdata: Path, file: str, inputs: list[str], outputs: list[str], batch: str, precision: str
) -> None:
    loaded = opened(testdata / "models" / file)
    assert [str(spec) for spec in loaded.inputs] == inputs
    assert [str(spec) for spec in loaded.outputs] == outputs
    assert loaded.traits.batch.kind == batch
    assert loaded.traits.precision == precision
    assert loaded.traits.placement["CPU"] >= 3
    given = {
        spec.name: np.zeros([extent or 2 for extent in spec.shape], spec.datatype.numpy)
        for spec in loaded.inputs
    }
    answer = loaded.infer(given)
    assert all(spec.accepts(answer[spec.name].shape) for spec in loaded.outputs)


def test_the_file_says_what_its_whole_numbers_stand_for(testdata: Path) -> None:
    loaded = opened(testdata / "models" / "mlperf-tiny" / "ad01_int8.tflite")
    assert loaded.inputs[0].quantization == Quantization(scale=pytest.approx(0.39101523), zero=89)
    assert loaded.outputs[0].quantization == Quantization(scale=pytest.approx(0.36449847), zero=96)
    assert opened(testdata / "models" / "mlperf-tiny" / "ad01_fp32.tflite").inputs[0].quantization is None


def test_rows_in_any_number_and_order_answer_like_single_ones(testdata: Path) -> None:
    loaded = opened(testdata / "models" / "mlperf-tiny" / "ad01_fp32.tflite", options={"interpreters": 1})
    rows = np.random.default_rng(0).normal(size=(9, 640)).astype(np.float32)
    single = np.concatenate([loaded.infer({"input_1": row[None]})["Identity"] for row in rows])
    for amount in (
        9,
        2,
        5,
        1,
        *[9] * 20,
        2,
        *[3] * 20,
        1,
    ):  # after many alike an interpreter is made for them
        several = loaded.infer({"input_1": rows[:amount]})["Identity"]
        assert np.allclose(several, single[:amount], rtol=1e-4, atol=1e-4)
    with pytest.raises(SignatureMismatch, match="no rows"):
        loaded.infer({"input_1": rows[:0]})
    assert np.allclose(loaded.infer({"input_1": rows[:3]})["Identity"], single[:3], rtol=1e-4, atol=1e-4)


def test_an_interpreter_that_cannot_make_room_is_replaced(tmp_path: Path) -> None:
    """A RESHAPE to fixed numbers, as most files of model zoos have: declared open, true for one row only."""
    path = tflite_models.save(
        tmp_path / "zoo.tflite",
        [
            Node(
                kind="RESHAPE",
                inputs=["x", "shape"],
                outputs=["y"],
                options={"newShape": np.array([4], np.int32)},
            )
        ],
        [Tensor(name="x", shape=(None, 4)), Tensor(name="y", shape=(4,))],
        {"shape": np.array([4], np.int32)},
    )
    loaded = opened(path, options={"interpreters": 1})
    assert loaded.traits.batch.kind == "none", "tried out at load, and not so"
    for _ in range(3):
        with pytest.raises(InferenceFailed):
            loaded.infer({"x": np.ones((2, 4), np.float32)})
        assert np.all(loaded.infer({"x": 3 * ONES})["y"] == 3)


def test_extents_can_be_fixed(tmp_path: Path) -> None:
    path = tflite_models.save(
        tmp_path / "open.tflite",
        [Node(kind="ADD", inputs=["x", "one"], outputs=["y"])],
        [Tensor(name="x", shape=(None, None)), Tensor(name="y", shape=(None, None))],
        {"one": np.ones(1, np.float32)},
    )
    loaded = opened(path, shapes={"x": (None, 6)})
    assert loaded.inputs[0].shape == (None, 6)
    assert loaded.infer({"x": np.zeros((2, 6), np.float32)})["y"].shape == (2, 6)
    with pytest.raises(SignatureMismatch, match="shape"):
        loaded.infer({"x": np.zeros((1, 7), np.float32)})
    with pytest.raises(ModelRejected, match="x has 2 axes, 3 are asked for"):
        opened(path, shapes={"x": (None, 6, 2)})


# Refusals


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("coral/mobilenet_v1_0.25_128_quant_edgetpu.tflite", "is compiled for the Edge TPU: its format is"),
        ("coral/split_concat_edgetpu.tflite", "is compiled for the Edge TPU: its format is"),
        ("coral/model_invoking_error.tflite", "unresolved custom op: fake-op-double"),
        ("face-rfb320/version-RFB-320.onnx", "is no TFLite model, or only a part of one"),
        ("mlperf-tiny/ad01.h5", "is no TFLite model, or only a part of one"),
        ("vitis/tf2.xmodel", "is no TFLite model, or only a part of one"),
        ("mlperf-tiny", "Is a directory"),
    ],
)
def test_foreign_files_are_rejected_in_one_line(testdata: Path, file: str, reason: str) -> None:
    with pytest.raises(ModelRejected) as caught:
        opened(testdata / "models" / file)
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason
    assert "https" not in caught.value.reason


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    path = tflite_models.write(Kind.ONE, tmp_path)
    with pytest.raises(ModelRejected, match="litert reads tflite, not onnx"):
        opened(path, format=ONNX)
    with pytest.raises(AcceleratorUnavailable, match=r"litert:GPU.*has the CPU only"):
        opened(path, device="GPU")
    with pytest.raises(ModelRejected, match="quantizing the file"):
        opened(path, precision="int8")
    with pytest.raises(ModelRejected, match="runs it in f32, not in f16: say f32 or native"):
        opened(path, precision="f16")
    with pytest.raises(AcceleratorUnavailable, match="threads: must be 1 or more"):
        opened(path, options={"threads": 0})
    assert opened(path, precision="native").traits.precision == "f32"


@pytest.mark.parametrize(("dtype", "named"), [(object, "object"), (np.complex64, "complex64")])
def test_types_that_the_port_lacks_are_named(tmp_path: Path, dtype: Any, named: str) -> None:
    path = tflite_models.save(
        tmp_path / "odd.tflite",
        [Node(kind="RESHAPE", inputs=["x", "shape"], outputs=["y"])],
        [Tensor(name="x", shape=(1, 4), dtype=dtype), Tensor(name="y", shape=(4,), dtype=dtype)],
        {"shape": np.array([4], np.int32)},
    )
    with pytest.raises(ModelRejected, match=rf"input x is of type (bytes|{named})"):
        opened(path)


def test_an_int8_file_may_be_asked_for_int8(testdata: Path) -> None:
    path = testdata / "models" / "mlperf-tiny" / "ad01_int8.tflite"
    assert opened(path, precision="int8").traits.precision == "int8"


_DAMAGED = """
import sys
from pathlib import Path
from accelerators.litert import PLUGIN
from edgex_inference.contracts.accelerator import TFLITE, LoadRequest
from edgex_inference.contracts.errors import ModelRejected
loaded = refused = 0
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        PLUGIN.load(LoadRequest(path=path, format=TFLITE)).close()
        loaded += 1
    except ModelRejected:
        refused += 1
print(loaded, refused)
"""


def test_damaged_files_never_end_the_process(testdata: Path, tmp_path: Path) -> None:
    """Cut short, bits flipped, bytes of the tables replaced: in a child process, which must come back."""
    dice, amount = random.Random(7), 0
    for file in (
        "coral/split_concat.tflite",
        "mlperf-tiny/ad01_int8.tflite",
        "mlperf-tiny/vww_96_int8.tflite",
    ):
        whole = (testdata / "models" / file).read_bytes()
        ends = [*range(min(3000, len(whole))), *range(max(0, len(whole) - 3000), len(whole))]
        for turn in range(30):
            content = bytearray(whole[: dice.randrange(len(whole))] if turn % 3 == 0 else whole)
            for _ in range(turn % 3 * 4):
                content[ends[dice.randrange(len(ends))]] = dice.randrange(256)
            (tmp_path / f"{amount:03}.tflite").write_bytes(content)
            amount += 1
    command = [sys.executable, "-P", "-c", _DAMAGED, str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-500:]}"
    loaded, refused = map(int, done.stdout.split())
    assert loaded + refused == amount
    assert refused > amount // 3, "the damage is real"


# Runs


def test_kernels_agree(testdata: Path) -> None:
    path = testdata / "models" / "mlperf-tiny" / "ad01_fp32.tflite"
    x = np.random.default_rng(3).normal(size=(2, 640)).astype(np.float32)
    answers = [
        opened(path, options={"kernels": kernels}).infer({"input_1": x})["Identity"]
        for kernels in ("xnnpack", "builtin", "reference")
    ]
    assert np.allclose(answers[0], answers[2], rtol=1e-4, atol=1e-4)
    assert np.allclose(answers[1], answers[2], rtol=1e-4, atol=1e-4)


def test_a_call_beyond_the_pool_waits_and_then_says_so(tmp_path: Path) -> None:
    loaded: Any = opened(tflite_models.write(Kind.ONE, tmp_path), options={"interpreters": 3})
    assert loaded.parallel == 3
    taken = [loaded._pool.take(1) for _ in range(3)]
    with pytest.raises(DeadlineExceeded, match="no free interpreter"):
        loaded.infer({"x": ONES}, timeout=0.01)
    loaded.close()
    for slot in taken:
        loaded._pool.give(slot)
    with pytest.raises(InferenceFailed, match="closed"):
        loaded.infer({"x": ONES})


def test_a_new_version_is_another_file(tmp_path: Path) -> None:
    path = tflite_models.write(Kind.ONE, tmp_path)
    first = opened(path)
    shutil.copy(tflite_models.write(Kind.OTHER, tmp_path / "other"), path)
    assert np.all(first.infer({"x": ONES})["y"] == 3)
    assert np.all(opened(path).infer({"x": ONES})["y"] == 2)


def test_doubly_given_and_nameless_tensors(tmp_path: Path) -> None:
    path = tflite_models.save(
        tmp_path / "twice.tflite",
        [Node(kind="ADD", inputs=["", "x"], outputs=["y"])],
        [Tensor(name="", shape=(1, 4)), Tensor(name="x", shape=(1, 4)), Tensor(name="y", shape=(1, 4))],
        {},
        inputs=("", "x"),
        outputs=("y", "y"),
    )
    loaded = opened(path)
    assert [spec.name for spec in loaded.inputs] == ["input0", "x"]
    assert [spec.name for spec in loaded.outputs] == ["y"]
    assert np.all(loaded.infer({"input0": ONES, "x": ONES})["y"] == 2)
    assert loaded.inputs[0].datatype is Datatype.FP32


def test_a_recurrent_operator_begins_each_run_afresh(tmp_path: Path) -> None:
    one = np.eye(4, dtype=np.float32)
    path = tflite_models.save(
        tmp_path / "rnn.tflite",
        [
            Node(
                kind="UNIDIRECTIONAL_SEQUENCE_RNN",
                inputs=["x", "w", "r", "b", "state"],
                outputs=["y"],
                options={"timeMajor": True},
            )
        ],
        [
            Tensor(name="x", shape=(2, 1, 4)),
            Tensor(name="state", shape=(1, 4), variable=True),
            Tensor(name="y", shape=(2, 1, 4)),
        ],
        {"w": one, "r": one, "b": np.zeros(4, np.float32)},
    )
    session = opened(path)
    steps = np.stack([ONES, 2 * ONES])
    for _ in range(3):
        assert session.infer({"x": steps})["y"][:, 0, 0].tolist() == [1, 3]
    session.close()
