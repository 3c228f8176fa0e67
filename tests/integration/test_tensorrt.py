"""TensorRT's plug-in on stand-ins of TensorRT 10, 11 and RTX: running engines, and everything that fails.

The stand-ins compute; what they were never compared with is silicon.
"""

import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from accelerators.tensorrt import PLUGIN
from accelerators.tensorrt.library import Library
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
from edgex_inference.testing.onnx_models import save, write_affine
from tests.tensorrt_engines import FLAVORS, ONES, loaded, made, opened, opened_for, request

FATAL = np.full((1, 4), 1000, np.float32)


@pytest.fixture(params=FLAVORS)
def gpu(request: pytest.FixtureRequest, nvidia: Callable[..., Any]) -> Any:
    return nvidia(request.param, gpus=2)


@pytest.fixture
def affine(tmp_path: Path) -> Path:
    """y = 2x + 1 for any number of rows."""
    return write_affine(tmp_path / "affine.onnx")


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
            await lane.infer({"x": FATAL}, timeout=1)
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
