"""What a stand-in has and NVIDIA's own bindings have not, or have otherwise.

As a program, for bindings that can be loaded in a process of their own only:
`comparing.py tensorrt tensorrt_bindings` prints the differences, the real version and its builder's flags as JSON.
"""

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from enum import IntEnum
from types import ModuleType
from typing import Any

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


def main(stand_in: str, real: str) -> None:
    ours, theirs = importlib.import_module(stand_in), importlib.import_module(real)
    said = {
        "version": theirs.__version__,
        "differences": differences(ours, theirs, set(types(ours))),
        "flags": sorted(theirs.BuilderFlag.__members__),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
