"""TensorRT's plug-in on stand-ins of TensorRT 10, 11 and RTX: making engines, running them, and everything that fails.

The stand-ins compute; what they were never compared with is silicon.
"""

import json
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelerators.tensorrt import PLUGIN
from accelerators.tensorrt.library import Library
from edgex_inference.contracts.accelerator import ONNX, Artefact, Batch, LoadRequest, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    EdgexInferenceError,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.options import decode
from edgex_inference.testing.onnx_models import save, write_affine

ONES = np.ones((1, 4), np.float32)
FATAL = np.full((1, 4), 1000, np.float32)
FLAVORS = ("ten", "eleven", "rtx")


def request(path: Path, **keys: Any) -> LoadRequest:
    options = decode(PLUGIN, keys.pop("options", {}))
    return LoadRequest(path=path, format=ONNX, cache=path.parent / "cache", options=options, **keys)


def made(wanted: LoadRequest) -> Artefact:
    assert PLUGIN.compile is not None
    return PLUGIN.compile(wanted)


def loaded(wanted: LoadRequest, artefact: Artefact) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(replace(wanted, path=artefact.path, format=artefact.format))


def opened(path: Path, **keys: Any) -> Session:
    wanted = request(path, **keys)
    return loaded(wanted, made(wanted))


def told(artefact: Artefact) -> dict[str, Any]:
    """What the stand-in wrote into its engine: flags, profile."""
    content = artefact.path.read_bytes()[64:]
    found: dict[str, Any] = json.loads(content[4 : 4 + int.from_bytes(content[:4], "little")])
    return found


@pytest.fixture(params=FLAVORS)
def gpu(request: pytest.FixtureRequest, nvidia: Callable[..., Any]) -> Any:
    return nvidia(request.param, gpus=2)


@pytest.fixture
def affine(tmp_path: Path) -> Path:
    """y = 2x + 1 for any number of rows."""
    return write_affine(tmp_path / "affine.onnx")


# Making


def test_rows_of_small_and_of_large_inputs(gpu: Any, affine: Path, tmp_path: Path) -> None:
    assert opened(affine).traits.batch == Batch(kind="range", most=64)
    assert opened(affine, options={"maxBatch": 3}).traits.batch == Batch(kind="range", most=3)
    large = write_affine(tmp_path / "large.onnx", shape=("N", 70_000))
    assert opened(large).traits.batch == Batch(kind="range", most=8)
    with opened_for(affine, options={"maxBatch": 3}) as session, pytest.raises(SignatureMismatch) as caught:
        session.infer({"x": np.ones((4, 4), np.float32)})
    assert "x cannot have the shape [4, 4]; the engine takes x FP32[?, 4]" in str(caught.value)


class opened_for:
    """A session that is closed at the end."""

    def __init__(self, path: Path, **keys: Any) -> None:
        self._session = opened(path, **keys)

    def __enter__(self) -> Session:
        return self._session

    def __exit__(self, *_: object) -> None:
        self._session.close()


def test_open_extents_need_a_profile_and_keep_to_it(gpu: Any, tmp_path: Path) -> None:
    spec = (TensorProto.FLOAT, ("N", "L"))
    path = save(tmp_path / "open.onnx", [helper.make_node("Neg", ["x"], ["y"])], {"x": spec}, {"y": spec})
    with pytest.raises(ModelRejected) as caught:
        opened(path)
    assert "the input x leaves more open than its first axis [-1, -1]: give the option profiles" in str(
        caught.value
    )
    with opened_for(path, options={"profiles": {"x": [[1, 1], [1, 8], [4, 16]]}}) as session:
        for shape in ((1, 8), (4, 16), (2, 1)):
            x = np.ones(shape, np.float32)
            assert np.array_equal(session.infer({"x": x})["y"], -x)
        with pytest.raises(SignatureMismatch, match="cannot have the shape"):
            session.infer({"x": np.ones((1, 17), np.float32)})
        assert np.all(session.infer({"x": np.ones((1, 8), np.float32)})["y"] == -1), "it goes on"
    with pytest.raises(ModelRejected, match="has 2 axes, its profile"):
        opened(path, options={"profiles": {"x": [[1], [1], [4]]}})
    with pytest.raises(ModelRejected, match=r"there is no input z \(inputs are x\)"):
        opened(path, options={"profiles": {"z": [[1], [1], [4]]}})
    with opened_for(path, shapes={"x": (None, 8)}) as session:
        assert session.inputs[0].shape == (None, 8)


def test_an_operator_that_tensorrt_lacks(gpu: Any, tmp_path: Path) -> None:
    spec = (TensorProto.FLOAT, (1, 4))
    nodes = [
        helper.make_node("Relu", ["x"], ["z"]),
        helper.make_node("Scaler", ["z"], ["y"], domain="ai.onnx.ml"),
    ]
    nodes[1].name = "scaling"
    with pytest.raises(ModelRejected) as caught:
        opened(save(tmp_path / "tree.onnx", nodes, {"x": spec}, {"y": spec}))
    assert "the node scaling (Scaler): TensorRT has no such operator" in caught.value.reason


def test_quantized_the_wrong_way(gpu: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelRejected) as caught:
        opened(quantized(tmp_path, np.int32))
    assert "the node widened (DequantizeLinear)" in caught.value.reason
    assert "TensorRT takes symmetric quantization only" in caught.value.reason
    assert "QuantizeBias false" in caught.value.reason
    assert opened(quantized(tmp_path, np.int8)).traits.precision == "int8"


def quantized(folder: Path, kind: type) -> Path:
    """y = x rounded to halves, plus a constant that is dequantized from this type."""
    constants = [
        numpy_helper.from_array(np.float32(0.5), "step"),
        numpy_helper.from_array(np.int8(0), "zero"),
        numpy_helper.from_array(np.full((1, 4), 2, kind), "whole"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["whole", "step"], ["w"], name="widened"),
        helper.make_node("Add", ["d", "w"], ["y"]),
    ]
    spec = (TensorProto.FLOAT, (1, 4))
    return save(folder / f"q{kind.__name__}.onnx", nodes, {"x": spec}, {"y": spec}, constants)


def test_texts_and_broken_files(gpu: Any, tmp_path: Path) -> None:
    spec = (TensorProto.STRING, (1,))
    path = save(
        tmp_path / "text.onnx", [helper.make_node("Identity", ["x"], ["y"])], {"x": spec}, {"y": spec}
    )
    with pytest.raises(ModelRejected, match="is no ONNX model that TensorRT reads: Failed to convert"):
        opened(path)
    path.write_bytes(b"garbage" * 9)
    with pytest.raises(ModelRejected, match="is no ONNX model that TensorRT reads: Failed to parse"):
        opened(path)


def test_words_of_the_file_and_weights_beside_it(gpu: Any, tmp_path: Path) -> None:
    path = write_affine(tmp_path / "split.onnx", external=True)
    model = onnx.load(path, load_external_data=False)
    helper.set_model_props(model, {"names": "{0: 'cat'}"})
    onnx.save(model, path)
    with opened_for(path) as session:
        assert session.metadata == {"names": "{0: 'cat'}"}
        assert np.all(session.infer({"x": ONES})["y"] == 3)


def test_precision_is_a_flag_in_tensorrt_10(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("ten")
    half, exact, native = (made(request(affine, precision=one)) for one in ("f16", "f32", "native"))
    assert (told(half)["flags"], told(half)["typed"]) == (["FP16"], False)
    assert (told(exact)["flags"], told(exact)["typed"]) == ([], True), "f32 is not TF32"
    assert told(native)["flags"] == ["TF32"]
    assert loaded(request(affine), half).traits.precision == "f16"
    assert loaded(request(affine), native).traits.precision == "tf32"


@pytest.mark.parametrize("flavor", ["eleven", "rtx"])
def test_precision_is_the_files_in_tensorrt_11(nvidia: Callable[..., Any], flavor: str, affine: Path) -> None:
    nvidia(flavor)
    with pytest.raises(
        ModelRejected, match="what the file says, f32, not in f16: convert the file to float16"
    ):
        opened(affine, precision="f16")
    with pytest.raises(ModelRejected, match="f32, not in int8: quantize the file"):
        opened(affine, precision="int8")
    half = write_affine(affine.with_name("half.onnx"), element=TensorProto.FLOAT16)
    with opened_for(half, precision="f16") as session:
        assert session.traits.precision == "f16"
        assert np.all(session.infer({"x": ONES.astype(np.float16)})["y"] == 3)


@pytest.mark.parametrize("flavor", ["ten", "eleven"])
def test_timings_are_kept_in_a_file(
    nvidia: Callable[..., Any], flavor: str, affine: Path, tmp_path: Path
) -> None:
    nvidia(flavor)
    kept = tmp_path / "timings"
    lengths = []
    for _ in range(3):
        made(request(affine, options={"timingCache": str(kept)}))
        lengths.append(len(kept.read_bytes()))
    assert lengths[0] < lengths[1] < lengths[2], "each build adds to what was known"
    kept.write_bytes(b"of another version")
    made(request(affine, options={"timingCache": str(kept)}))
    assert len(kept.read_bytes()) == lengths[0], "begun anew"


def test_rtx_is_not_made_to_look_for_a_gpu_by_timings(
    nvidia: Callable[..., Any], affine: Path, tmp_path: Path
) -> None:
    nvidia("rtx", driver="absent")
    kept = tmp_path / "timings"
    made(request(affine, device="SM86", options={"timingCache": str(kept)}))
    assert not kept.exists()


def test_progress_of_a_build(gpu: Any, affine: Path) -> None:
    steps: list[tuple[float | None, str]] = []
    made(request(affine, progress=lambda share, what: steps.append((share, what))))
    assert steps[0] == (0.0, "building engine")
    assert (0.0, "tactic selection") in steps
    assert steps[-1] == (1.0, "building engine")

    def fails(share: float | None, what: str) -> None:
        raise RuntimeError("nobody listens")

    made(request(affine, progress=fails))


def test_no_memory_to_build(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("eleven", fault="build")
    with pytest.raises(AcceleratorUnavailable, match=r"no memory to build affine\.onnx: .*; lower maxBatch"):
        opened(affine)


# For where


def test_an_engine_for_another_machines_gpu(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("rtx", driver="absent")
    wanted = request(affine, device="SM89")
    ahead = made(wanted)
    assert ahead.format == "tensorrt-rtx-engine"
    assert PLUGIN.identity is not None
    assert ahead.made_with == PLUGIN.identity(wanted)
    assert ahead.made_with["compute capability"] == "8.9"
    with pytest.raises(AcceleratorUnavailable, match="SM89 is what models are compiled for"):
        loaded(wanted, ahead)
    nvidia(compute="8.9")
    assert PLUGIN.identity(request(affine)) == ahead.made_with, "as if it had been made there"
    assert np.all(loaded(request(affine), ahead).infer({"x": ONES})["y"] == 3)
    nvidia(compute="8.6")
    with pytest.raises(
        ModelRejected, match=r"compute capability 8\.9, this one has 8\.6: compile the model again"
    ):
        loaded(request(affine), ahead)
    with pytest.raises(AcceleratorUnavailable, match="compiles for SM120, SM121, SM75, SM80, SM86, SM89"):
        made(request(affine, device="SM87"))


def test_tensorrt_itself_compiles_for_its_own_machine_only(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("eleven")
    with pytest.raises(
        AcceleratorUnavailable, match="for the GPU of its own machine only; TensorRT-RTX compiles"
    ):
        made(request(affine, device="SM86", options={"library": "tensorrt"}))


def test_an_engine_of_another_version_or_gpu(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("ten")
    old = made(request(affine))
    nvidia("eleven")
    with pytest.raises(
        ModelRejected, match=r"made with TensorRT 10\.13\.3\.9, here is 11\.4\.0\.106: compile"
    ):
        loaded(request(affine), old)
    old.beside[0].unlink()
    with pytest.raises(ModelRejected) as caught:
        loaded(request(affine), old)
    assert "expecting library version 11.4.0.106 got 10.13.3.9" in caught.value.reason
    nvidia("ten", compute="8.9")
    with pytest.raises(ModelRejected, match=r"incompatible device, expecting compute 8\.6 got compute 8\.9"):
        loaded(request(affine), old)


def test_an_engine_that_came_alone(gpu: Any, affine: Path) -> None:
    found = made(request(affine))
    found.beside[0].unlink()
    session = loaded(request(affine), found)
    assert (session.traits.precision, session.metadata) == ("native", {})
    assert np.all(session.infer({"x": ONES})["y"] == 3)


def test_an_engine_for_ampere_and_later_gpus(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("eleven")
    keys: dict[str, Any] = {"options": {"hardwareCompatibility": "ampere"}}
    found = made(request(affine, **keys))
    nvidia(compute="12.0")
    assert np.all(loaded(request(affine, **keys), found).infer({"x": ONES})["y"] == 3)
    nvidia(compute="7.5")
    with pytest.raises(ModelRejected, match=r"8\.0 and later, this one has 7\.5"):
        loaded(request(affine, **keys), found)
    nvidia("rtx")
    with pytest.raises(ModelRejected, match="hardwareCompatibility is not for this TensorRT"):
        made(request(affine, **keys))


# Running


def test_outputs_whose_extents_only_the_run_knows(gpu: Any, tmp_path: Path) -> None:
    given, answer = (TensorProto.FLOAT, (1, 4)), (TensorProto.INT64, (2, "amount"))
    nodes = [helper.make_node("NonZero", ["x"], ["y"])]
    with opened_for(save(tmp_path / "found.onnx", nodes, {"x": given}, {"y": answer})) as session:
        for row in ([0, 5, 0, 7], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 2, 0]):
            found = session.infer({"x": np.array([row], np.float32)})["y"]
            assert np.array_equal(found, np.nonzero([row])), row


def test_runs_from_many_threads_on_the_second_gpu(gpu: Any, affine: Path) -> None:
    with (
        opened_for(affine, device="gpu.1", options={"contexts": 3}) as session,
        ThreadPoolExecutor(6) as pool,
    ):
        assert session.parallel == 3
        assert session.traits.placement.keys() == {"GPU.1"}
        xs = [
            np.random.default_rng(seed).normal(size=(1 + seed % 5, 4)).astype(np.float32)
            for seed in range(90)
        ]
        ys = list(pool.map(lambda x: session.infer({"x": x}, timeout=60)["y"], xs))
    assert all(np.allclose(y, 2 * x + 1) for x, y in zip(xs, ys, strict=True))


def test_everything_is_given_back(gpu: Any, affine: Path) -> None:
    session = opened(affine, options={"contexts": 2})
    assert gpu.WORLD.blocks
    session.infer({"x": np.ones((64, 4), np.float32)})
    session.close()
    session.close()
    assert not gpu.WORLD.blocks
    assert not gpu.WORLD.streams
    assert not gpu.WORLD.events


def test_infer_waits_for_a_free_context_no_longer_than_it_may(gpu: Any, affine: Path) -> None:
    session = opened(affine, options={"contexts": 1})
    taken = session._take(None)  # type: ignore[attr-defined]
    with pytest.raises(DeadlineExceeded, match=r"no free context within 0\.01 s"):
        session.infer({"x": ONES}, timeout=0.01)
    session._give(taken)  # type: ignore[attr-defined]
    assert np.all(session.infer({"x": ONES}, timeout=30)["y"] == 3)


# Failing


def test_an_engine_that_is_not_taken(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("eleven")
    found = made(request(affine))
    nvidia(fault="deserialize")
    with pytest.raises(ModelRejected, match="cannot run here: the GPU does not answer"):
        loaded(request(affine), found)


def test_no_memory_for_a_context_or_for_tensors(nvidia: Callable[..., Any], affine: Path) -> None:
    world = nvidia("eleven").WORLD
    found = made(request(affine))
    for fault in ({"fault": "context"}, {"fault": "memory", "from": 1}):
        nvidia(**fault)
        with pytest.raises(AcceleratorUnavailable, match=r"memory.*lower contexts or maxBatch"):
            loaded(request(affine), found)
        assert not world.blocks
        assert not world.streams


def test_no_memory_for_a_run_fails_this_run_only(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("eleven")
    with opened_for(affine, options={"contexts": 1}) as session:
        nvidia(fault="memory", **{"from": 500})
        with pytest.raises(InferenceFailed, match="no memory for this run"):
            session.infer({"x": np.ones((64, 4), np.float32)})
        assert np.all(session.infer({"x": ONES})["y"] == 3)
        nvidia()
        assert np.all(session.infer({"x": np.ones((64, 4), np.float32)})["y"] == 3)


def test_a_run_that_is_not_taken_fails_alone(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("eleven", fault="enqueue")
    with opened_for(affine, options={"contexts": 1}) as session:
        with pytest.raises(InferenceFailed, match="on tensorrt:GPU: No results here"):
            session.infer({"x": FATAL})
        assert np.all(session.infer({"x": ONES})["y"] == 3)


@pytest.mark.parametrize(("code", "words"), [("700", "an illegal memory access"), ("999", "unknown error")])
def test_a_gpu_that_is_lost(nvidia: Callable[..., Any], code: str, words: str, affine: Path) -> None:
    world = nvidia("eleven", fault=code).WORLD
    session = opened(affine, options={"contexts": 2})
    with pytest.raises(DeviceLost, match=f"tensorrt:GPU is lost: .*{words}.*CUDA error {code}"):
        session.infer({"x": FATAL})
    for _ in range(3):
        with pytest.raises(DeviceLost):
            session.infer({"x": ONES})
    session.close()
    with pytest.raises(AcceleratorUnavailable, match=f"CUDA error {code}"):
        opened(affine)
    world.reset()


def test_a_gpu_that_is_lost_behind_a_run_that_is_not_taken(nvidia: Callable[..., Any], affine: Path) -> None:
    """TensorRT says False and no more: whether the GPU is still there, CUDA must be asked."""
    world = nvidia("eleven", fault="enqueue-700").WORLD
    session = opened(affine)
    with pytest.raises(DeviceLost, match="CUDA error 700"):
        session.infer({"x": FATAL})
    world.reset()


def test_a_gpu_that_is_lost_between_two_runs(nvidia: Callable[..., Any], affine: Path) -> None:
    world = nvidia("eleven").WORLD
    session = opened(affine)
    world.broken[0] = 719
    with pytest.raises(DeviceLost):
        session.infer({"x": ONES})
    world.reset()


async def test_a_run_that_hangs_costs_one_answer(nvidia: Callable[..., Any], affine: Path) -> None:
    gpu = nvidia("eleven", fault="hang")
    wanted = request(affine)
    artefact = made(wanted)
    lane = Lane("tensorrt:GPU affine", lambda: loaded(wanted, artefact))
    await lane.open()
    try:
        assert np.all((await lane.infer({"x": ONES}))["y"] == 3)
        with pytest.raises(DeadlineExceeded):
            await lane.infer({"x": FATAL}, timeout=0.3)
        assert np.all((await lane.infer({"x": ONES}, timeout=30))["y"] == 3), (
            "on a session that was opened anew"
        )
        assert lane.leaked == 1
    finally:
        await lane.close()
        gpu.NEVER.set()


async def test_a_lost_gpu_is_left_by_the_lane(
    nvidia: Callable[..., Any], affine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = nvidia("eleven", fault=700).WORLD
    wanted = request(affine)
    artefact = made(wanted)
    lane = Lane("tensorrt:GPU affine", lambda: loaded(wanted, artefact))
    await lane.open()
    try:
        with caplog.at_level(logging.WARNING), pytest.raises(DeviceLost):
            await lane.infer({"x": FATAL})
        assert lane.lost
        assert len([one for one in caplog.records if "is lost" in one.message]) == 1
    finally:
        await lane.close()
        world.reset()


def test_nan_is_refused(gpu: Any, affine: Path) -> None:
    with opened_for(affine) as session, pytest.raises(SignatureMismatch, match="x holds NaN"):
        session.infer({"x": np.array([[1, np.nan, 3, 4]], np.float32)})


# Not here


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"driver": "absent"},
            r"the NVIDIA driver is missing or too old: install the current one \(CUDA error 35\)",
        ),
        ({"gpus": 0}, r"the NVIDIA driver finds no GPU on this machine"),
    ],
)
def test_no_gpu(nvidia: Callable[..., Any], settings: dict[str, object], reason: str, affine: Path) -> None:
    nvidia("eleven", **settings)
    for ask in (PLUGIN.devices, lambda: made(request(affine)), lambda: PLUGIN.identity(request(affine))):  # type: ignore[misc]
        with pytest.raises(AcceleratorUnavailable, match=reason):
            ask()


def test_no_tensorrt(nvidia: Callable[..., Any], affine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia("eleven")
    monkeypatch.setattr(Library, "version", None)
    for ask in (PLUGIN.devices, lambda: made(request(affine))):
        with pytest.raises(
            AcceleratorUnavailable, match=r'TensorRT is missing: pip install "edgex-inference\[tensorrt\]"'
        ):
            ask()
    with pytest.raises(AcceleratorUnavailable, match=r"TensorRT-RTX is missing: .*\[tensorrt-rtx\]"):
        made(request(affine, device="SM86"))
    assert PLUGIN.version() is None


def test_no_bindings_of_cuda(nvidia: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia("eleven")
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(AcceleratorUnavailable, match=r"cuda\.bindings\.runtime is missing: pip install"):
        PLUGIN.devices()


def test_a_gpu_of_a_higher_number(gpu: Any, affine: Path) -> None:
    with pytest.raises(
        AcceleratorUnavailable, match=r"tensorrt:GPU\.2': not on this machine \(found GPU, GPU\.1\)"
    ):
        opened(affine, device="GPU.2")


def test_a_tensorrt_without_a_driver_it_likes(
    nvidia: Callable[..., Any], affine: Path, monkeypatch: Any
) -> None:
    """The bindings' own words for it are of no use to anybody."""
    nvidia("eleven")
    import tensorrt

    def refuses(*_: object) -> None:
        raise TypeError("pybind11::init(): factory function returned nullptr")

    found = made(request(affine))
    monkeypatch.setattr(tensorrt.Builder, "__init__", refuses)
    monkeypatch.setattr(tensorrt.Runtime, "__init__", refuses)
    with pytest.raises(AcceleratorUnavailable, match="TensorRT cannot build here"):
        made(request(affine))
    with pytest.raises(AcceleratorUnavailable, match="TensorRT cannot start here: is the driver new enough"):
        loaded(request(affine), found)


def test_the_plugin_is_listed_with_its_gpus(gpu: Any) -> None:
    assert [device.id for device in PLUGIN.devices()] == ["GPU", "GPU.1"]
    assert "compute capability 8.6" in PLUGIN.devices()[0].name
    assert PLUGIN.version() in ("10.13.3.9", "11.4.0.106", "RTX 1.7.1.116")


def test_an_engine_cannot_be_kept(gpu: Any, affine: Path) -> None:
    (affine.parent / "cache").write_text("in the way")
    with pytest.raises(EdgexInferenceError, match=r"cannot be kept in .*cache"):
        made(request(affine))


def test_no_folder_is_no_engine(gpu: Any, affine: Path) -> None:
    with pytest.raises(ModelRejected, match=r"set Inference\.CacheDir"):
        made(replace(request(affine), cache=None))
