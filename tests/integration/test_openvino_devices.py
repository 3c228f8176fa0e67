"""OpenVINO's devices by name, its options, and its absence."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from accelerators.openvino import PLUGIN, session
from accelerators.openvino.devices import target
from accelerators.openvino.options import Options
from edgex_inference.contracts.accelerator import (
    ONNX,
    Format,
    LoadRequest,
    Session,
)
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    ModelRejected,
)
from edgex_inference.engine.options import decode
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


@pytest.mark.parametrize(
    "device", ["CPU", "cpu", "AUTO", "AUTO:GPU,CPU", "AUTO:NPU,CPU", "HETERO:GPU,CPU", "BATCH:CPU(4)", "MULTI:CPU"]
)  # fmt: skip
def test_devices_by_name(tmp_path: Path, device: str) -> None:
    loaded = opened(onnx_models.write(Kind.ONE, tmp_path), device=device)
    x = np.random.default_rng(0).normal(size=(1, 4)).astype(np.float32)
    assert np.allclose(loaded.infer({"x": x})["y"], 2 * x + 1, atol=1e-6)
    assert sum(loaded.traits.placement.values()) >= 1
    assert set(loaded.traits.placement) == {"CPU"}


def test_who_takes_fixed_shapes_only_gets_the_rows_of_the_binding(affine: Path) -> None:
    for batch, rows in ((None, 1), (3, 3)):
        loaded = opened(affine, device="BATCH:CPU(4)", batch=batch)
        assert loaded.inputs[0].shape == (rows, 4)
        x = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
        assert np.allclose(loaded.infer({"x": x})["y"], 2 * x + 1, atol=1e-6)


def test_an_npu_is_told_every_extent(affine: Path) -> None:
    """No NPU was at hand: what it would be given."""
    place = target("NPU", ["CPU", "NPU"])
    assert (place.static, target("AUTO:NPU,CPU", ["CPU", "NPU"]).static) == (True, True)
    assert not target("HETERO:GPU,CPU", ["CPU", "GPU"]).static
    request = LoadRequest(path=affine, format=ONNX, batch=8)
    model = session.read(request, session._rows(request, place))
    assert list(model.inputs[0].get_shape()) == [8, 4]


def test_rows_of_a_binding_on_the_cpu(affine: Path) -> None:
    """An open axis stays open there, which need not be a batch."""
    assert opened(affine, batch=1).inputs[0].shape == (None, 4)
    assert opened(affine, batch=8).inputs[0].shape == (None, 4)


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("GPU", r"not on this machine \(found CPU"),
        ("CPU.1", r"not on this machine \(found CPU"),
        ("AUTO:GPU,NPU", r"not on this machine \(found CPU"),
        ("AUTO:-CPU", r"not on this machine \(found CPU"),
        ("MYRIAD", "Movidius devices with OpenVINO 2022.3"),
        ("HDDL", "Movidius"),
        ("VPU", "Movidius"),
        ("GNA", "2023.3"),
        ("FPGA", "FPGA AI Suite"),
        ("nGraph", "no device"),
        ("HETERO:MYRIAD,CPU", "Movidius"),
    ],
)
def test_devices_that_are_not_there(affine: Path, device: str, reason: str) -> None:
    if any(one.kind in ("gpu", "npu") for one in PLUGIN.devices()) and "U" in device:
        return
    with pytest.raises(AcceleratorUnavailable, match=reason):
        opened(affine, device=device)


def test_a_lost_gpu_is_a_lost_device(affine: Path) -> None:
    loaded: Any = opened(affine)

    class Lost:
        def run(self, *_: object) -> object:
            raise RuntimeError(
                "Exception from src/inference/src/cpp/infer_request.cpp:224:\n[GPU] CL_OUT_OF_RESOURCES\n"
            )

    for _ in range(loaded.parallel):
        loaded._pool.take(1)
    loaded._pool.give(Lost())
    with pytest.raises(DeviceLost, match=r"openvino:CPU is lost: \[GPU\] CL_OUT_OF_RESOURCES"):
        loaded.infer({"x": ONES})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, object]]:
    """The properties of each model that is compiled."""
    seen: list[Mapping[str, object]] = []
    real = session._native

    def compile_(job: Any, said: Any) -> Any:
        seen.append(said)
        return real(job, said)

    monkeypatch.setattr(session, "_native", compile_)
    return seen


def test_options_reach_the_runtime(affine: Path, asked: list[Mapping[str, object]]) -> None:
    raw = {"performanceHint": "throughput", "threads": 1, "properties": {"PERF_COUNT": "YES"}, "requests": 3}
    assert opened(affine, options=decode(PLUGIN, raw)).parallel == 3
    assert asked[-1] == {
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "THROUGHPUT",
        "PERF_COUNT": "YES",
    }
    assert opened(affine, options=Options(streams=2), threads=1).parallel == 2
    assert (asked[-1]["NUM_STREAMS"], asked[-1]["INFERENCE_NUM_THREADS"]) == (2, 2)


@pytest.mark.parametrize(
    "raw",
    [
        {"streams": 0},
        {"performanceHint": "fast"},
        {"batchTimeout": -1},
        {"cacheMode": "best"},
        {"threads": "2"},
        {"plugins": 3},
    ],
)
def test_options_of_another_kind_are_refused(raw: Mapping[str, object]) -> None:
    with pytest.raises(AcceleratorUnavailable, match=next(iter(raw))):
        decode(PLUGIN, raw)


def test_a_property_that_it_does_not_know_is_refused(affine: Path) -> None:
    with pytest.raises(ModelRejected, match="FROBNICATE"):
        opened(affine, options=Options(properties={"FROBNICATE": "yes"}))


def test_a_plugins_file_is_asked_for_its_devices(affine: Path, tmp_path: Path) -> None:
    file = tmp_path / "plugins.xml"
    library = next((Path(ov.__file__).parent / "libs").glob("libopenvino_intel_cpu_plugin.so*"))
    file.write_text(f'<ie><plugins><plugin name="MYCPU" location="{library}"></plugin></plugins></ie>')
    with pytest.raises(AcceleratorUnavailable, match="not on this machine"):
        opened(affine, device="MYCPU")
    loaded = opened(affine, device="MYCPU", options=Options(plugins=str(file)))
    assert np.all(loaded.infer({"x": ONES})["y"] == 3)
    with pytest.raises(AcceleratorUnavailable, match=r"plug-ins file /nowhere\.xml"):
        opened(affine, options=Options(plugins="/nowhere.xml"))


def test_a_small_model_runs_where_it_is_called_and_a_large_one_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Mapping[str, object]]
) -> None:
    monkeypatch.setattr(session.os, "sched_getaffinity", lambda _: set(range(40)))
    with (
        monkeypatch.context() as patient
    ):  # on a busy machine it takes a while until one run is not interrupted
        patient.setattr(session, "_TRYING", 60.0)
        assert opened(onnx_models.write(Kind.ONE, tmp_path)).parallel == 1
    assert [one["NUM_STREAMS"] for one in asked] == [8, 1][-len(asked) :]
    asked.clear()
    opened(onnx_models.write(Kind.SLOW, tmp_path))
    assert [one["NUM_STREAMS"] for one in asked] == [8]


def test_a_missing_runtime_is_one_sentence(monkeypatch: pytest.MonkeyPatch, affine: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(
        AcceleratorUnavailable, match=r'openvino is missing: pip install "edgex-inference\[openvino'
    ):
        opened(affine)


def test_the_runtime_of_somebody_else_is_named(monkeypatch: pytest.MonkeyPatch, affine: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", SimpleNamespace())
    with pytest.raises(AcceleratorUnavailable, match="another product"):
        opened(affine)


@pytest.mark.parametrize("asked", ["f16", "bf16"])
def test_a_precision_that_is_granted_and_not_computed_in_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """As on ARM without f16, where the wish is kept and every node runs in f32."""
    monkeypatch.setattr(session, "granted", lambda _: asked)
    monkeypatch.setattr(session, "nodes", lambda _: [("FullyConnected", "f32"), ("Eltwise", asked)])
    with pytest.raises(ModelRejected, match=f"would run it in f32, not in {asked}: say f32 or native"):
        opened(onnx_models.write(Kind.SUM, tmp_path), precision=asked)
