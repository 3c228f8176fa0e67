"""The stand-ins say nothing that NVIDIA's own bindings do not say: names, parameters, members of enumerations."""

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BINDINGS = ROOT / "build" / "nvidia"
"""TensorRT's own bindings of two generations, without their libraries, as `make nvidia` lays them there."""

_STUB = """
#define GIVES_NOTHING(name) void *name(void) { return 0; }
GIVES_NOTHING(createInferBuilder_INTERNAL) GIVES_NOTHING(createInferRefitter_INTERNAL)
GIVES_NOTHING(createInferRuntime_INTERNAL) GIVES_NOTHING(createNvOnnxParserRefitter_INTERNAL)
GIVES_NOTHING(createNvOnnxParser_INTERNAL) GIVES_NOTHING(getBuilderPluginRegistry)
GIVES_NOTHING(getNvOnnxParserVersion) GIVES_NOTHING(getPluginRegistry) GIVES_NOTHING(initLibNvInferPlugins)
"""
"""A libnvinfer that can nothing: the bindings load over it, and tell their names."""


@pytest.fixture(scope="session")
def comparing() -> Any:
    """The module of that name in this folder."""
    spec = importlib.util.spec_from_file_location("comparing", Path(__file__).with_name("comparing.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rtx(wheel: Callable[[str], ModuleType], nvidia: Callable[..., Any]) -> tuple[ModuleType, ModuleType]:
    """The stand-in of TensorRT-RTX and the real one."""
    real = wheel("tensorrt_rtx_bindings")
    nvidia("rtx")
    import tensorrt_rtx

    return tensorrt_rtx, real


def test_tensorrt_rtx(rtx: tuple[ModuleType, ModuleType], comparing: Any) -> None:
    stand_in, real = rtx
    assert len(comparing.types(stand_in)) > 25
    assert comparing.differences(stand_in, real, set(comparing.types(stand_in))) == []
    assert real.__version__ == stand_in.__version__, (
        "compared with another release: look, then change the stand-in's"
    )


def test_what_is_set_and_read_on_objects(rtx: tuple[ModuleType, ModuleType]) -> None:
    """Attributes that no class declares: those of a builder's configuration, of tensors and of layers."""
    stand_in, real = rtx

    class Quiet(stand_in.ILogger):  # type: ignore[misc, name-defined]
        def log(self, severity: Any, msg: str) -> None:
            return

    builder = stand_in.Builder(Quiet())
    config = builder.create_builder_config()
    for name in [name for name in vars(config) if not name.startswith("_")]:
        assert isinstance(getattr(real.IBuilderConfig, name, None), property), name
    for kind, names in (("ITensor", ("name", "dtype", "shape")), ("ILayer", ("name", "type"))):
        assert all(isinstance(getattr(getattr(real, kind), name), property) for name in names)


def test_the_lean_runtime_of_tensorrt_11(
    wheel: Callable[[str], ModuleType], nvidia: Callable[..., Any], comparing: Any
) -> None:
    real = wheel("tensorrt_lean_bindings")
    nvidia("eleven")
    import tensorrt

    assert set(comparing.types(tensorrt)) >= comparing.OF_THE_RUNTIME
    assert comparing.differences(tensorrt, real, comparing.OF_THE_RUNTIME) == []
    assert real.__version__ == tensorrt.__version__


@pytest.mark.parametrize(("flavor", "major"), [("ten", "10"), ("eleven", "11")])
def test_tensorrt_itself(flavor: str, major: str, tmp_path: Path) -> None:
    """The whole of TensorRT, builder and parser included; its real libraries are only in NVIDIA's own index."""
    bindings = BINDINGS / major
    if not bindings.is_dir():
        reason = (
            f"{bindings} holds no bindings of TensorRT {major}: make nvidia lays them there and runs this"
        )
        (pytest.fail if os.environ.get("EDGEX_INFERENCE_NVIDIA") == "1" else pytest.skip)(reason)
    (tmp_path / "stub.c").write_text(_STUB)
    for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        library = f"lib{name}.so.{major}"
        command = ("cc", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", library, "stub.c")
        subprocess.run(command, cwd=tmp_path, check=True, timeout=250)
    folder = ROOT / "tests" / "simulators" / "nvidia"
    places = (folder / flavor, folder / "common", bindings)
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("comparing.py"), "tensorrt", "tensorrt_bindings"],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(map(str, places))},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["differences"] == []
    assert said["version"].startswith(f"{major}.")
    assert ("FP16" in said["flags"]) is (flavor == "ten"), "how it is told which of the two this is"


def test_cuda(wheel: Callable[[str], ModuleType], nvidia: Callable[..., Any]) -> None:
    real = wheel("cuda.bindings.runtime")
    nvidia("eleven")
    import cuda.bindings.runtime as stand_in

    assert stand_in is not real
    calls = {
        name: one
        for name, one in vars(stand_in).items()
        if name.startswith("cuda") and inspect.isfunction(one)
    }
    assert len(calls) > 15
    for name, ours in calls.items():
        theirs = inspect.signature(getattr(real, name))
        assert list(inspect.signature(ours).parameters) == list(theirs.parameters), name
    for name in (
        "cudaHostAllocDefault",
        "cudaStreamNonBlocking",
        "cudaEventBlockingSync",
        "cudaEventDisableTiming",
    ):
        assert getattr(real, name) == getattr(stand_in, name)
    for name in ("cudaMemcpyKind", "cudaDeviceAttr"):
        kinds = getattr(stand_in, name).__members__
        assert {key: int(value) for key, value in kinds.items()} == {
            key: int(getattr(getattr(real, name), key)) for key in kinds
        }


def test_cudas_answers_without_a_driver(wheel: Callable[[str], ModuleType]) -> None:
    """As the stand-in gives them; a machine with a GPU is another matter."""
    real = wheel("cuda.bindings.runtime")
    error, amount = real.cudaGetDeviceCount()
    if int(error) == 0:
        pytest.skip("there is a GPU here: what happens without one is not to be seen")
    assert (int(error) in (35, 100), amount) == (True, None)
    assert real.cudaGetErrorName(error)[1] in (b"cudaErrorInsufficientDriver", b"cudaErrorNoDevice")
    assert real.cudaGetErrorString(real.cudaError_t(700))[1] == b"an illegal memory access was encountered"


def test_a_name_that_is_made_up_is_noticed(
    rtx: tuple[ModuleType, ModuleType], monkeypatch: Any, comparing: Any
) -> None:
    stand_in, real = rtx
    monkeypatch.setattr(stand_in.Runtime, "load_engine", lambda self, path: None, raising=False)
    monkeypatch.setattr(stand_in.Builder, "create_network", lambda self, layers: None)
    assert comparing.differences(stand_in, real, {"Runtime", "Builder"}) == [
        "Builder.create_network(layers) has parameters [['flags']]",
        "Runtime.load_engine is missing",
    ]
