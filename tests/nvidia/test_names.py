"""The stand-ins say nothing that NVIDIA's own bindings do not say: names, parameters, members of enumerations."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from types import ModuleType
from typing import Any

import pytest

CALLED_BACK = {"reallocate_output", "reallocate_output_async", "notify_shape"}
"""Methods of an allocator: the bindings look for them in the subclass, and have none of their own to compare."""

OF_THE_RUNTIME = {
    *("DataType", "TensorIOMode", "TensorLocation", "ILogger", "IOutputAllocator", "IHostMemory"),
    *("Runtime", "ICudaEngine", "IExecutionContext", "HardwareCompatibilityLevel"),
}
"""What TensorRT's lean library has of the whole."""


def types(stand_in: ModuleType) -> Mapping[str, type]:
    return {name: one for name, one in vars(stand_in).items() if inspect.isclass(one) and name != "IntEnum"}


def parameters(real: Any) -> list[list[str]]:
    """The names of the parameters in pybind's documentation, one list for each overload."""
    found = re.findall(r"^(?:\d+\. )?\w+\(self: [\w.]+(.*)\) -> ", real.__doc__ or "", re.MULTILINE)
    return [re.findall(r", (\w+): ", rest) for rest in found]


def methods(one: type) -> Iterator[tuple[str, Any]]:
    """The public members that a stand-in's class or its bases bring."""
    for base in one.__mro__:
        if base in (object, bytes):
            continue
        yield from ((name, value) for name, value in vars(base).items() if not name.startswith("_"))


def differences(stand_in: ModuleType, real: ModuleType, names: set[str]) -> list[str]:
    """Everything that the stand-in has and the real bindings have not, or have otherwise."""
    wrong = []
    for name, ours in types(stand_in).items():
        if name not in names:
            continue
        theirs = getattr(real, name, None)
        if theirs is None:
            wrong.append(f"{name} is missing")
        elif issubclass(ours, IntEnum):
            wrong += [f"{name}.{member}" for member in ours.__members__ if member not in theirs.__members__]
        else:
            wrong += [f"{name}.{said}" for said in _members(ours, theirs)]
    return wrong


def _members(ours: type, theirs: type) -> Iterator[str]:
    for name, member in methods(ours):
        real = getattr(theirs, name, None)
        if name in CALLED_BACK:
            continue
        if real is None:
            yield f"{name} is missing"
        elif inspect.isfunction(member):
            wanted = list(inspect.signature(member).parameters)[1:]
            if wanted not in parameters(real):
                yield f"{name}({', '.join(wanted)}) has parameters {parameters(real)}"
        elif isinstance(member, property) and not isinstance(real, property):
            yield f"{name} is no property"


@pytest.fixture
def rtx(wheel: Callable[[str], ModuleType], nvidia: Callable[..., Any]) -> tuple[ModuleType, ModuleType]:
    """The stand-in of TensorRT-RTX and the real one."""
    real = wheel("tensorrt_rtx_bindings")
    nvidia("rtx")
    import tensorrt_rtx

    return tensorrt_rtx, real


def test_tensorrt_rtx(rtx: tuple[ModuleType, ModuleType]) -> None:
    stand_in, real = rtx
    assert len(types(stand_in)) > 25
    assert differences(stand_in, real, set(types(stand_in))) == []
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
    wheel: Callable[[str], ModuleType], nvidia: Callable[..., Any]
) -> None:
    real = wheel("tensorrt_lean_bindings")
    nvidia("eleven")
    import tensorrt

    assert set(types(tensorrt)) >= OF_THE_RUNTIME
    assert differences(tensorrt, real, OF_THE_RUNTIME) == []
    assert real.__version__ == tensorrt.__version__


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


def test_a_name_that_is_made_up_is_noticed(rtx: tuple[ModuleType, ModuleType], monkeypatch: Any) -> None:
    stand_in, real = rtx
    monkeypatch.setattr(stand_in.Runtime, "load_engine", lambda self, path: None, raising=False)
    monkeypatch.setattr(stand_in.Builder, "create_network", lambda self, layers: None)
    assert differences(stand_in, real, {"Runtime", "Builder"}) == [
        "Builder.create_network(layers) has parameters [['flags']]",
        "Runtime.load_engine is missing",
    ]
