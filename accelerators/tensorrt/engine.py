"""An engine's file: whether it can run here at all, what it takes and gives, how many rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from accelerators.tensorrt.library import LIBRARIES, Library
from accelerators.tensorrt.words import Listener, sentence
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Datatype, TensorSpec

_AGAIN = "compile the model again on this machine"
_TYPES: Mapping[str, Datatype] = {
    "FLOAT": Datatype.FP32,
    "HALF": Datatype.FP16,
    "INT8": Datatype.INT8,
    "INT32": Datatype.INT32,
    "INT64": Datatype.INT64,
    "UINT8": Datatype.UINT8,
    "BOOL": Datatype.BOOL,
}
_CERTAIN = ("VERSION_MISMATCH", "MALFORMED_ENGINE")
"""What a header tells for sure: of GPUs that it does not know, RTX calls good engines invalid too."""
_LENGTH, _VERSION, _HEADER = 4, slice(24, 28), 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What TensorRT is given of a file, the version that its header names, and words that an exporter put before it."""

    content: bytes
    version: str
    metadata: Mapping[str, str]


def plan(path: Path, content: bytes, library: Library) -> Plan:
    """Looks at an engine's header; raises ModelRejected for what is no engine of this library."""
    metadata: Mapping[str, str] = {}
    begin = int.from_bytes(content[:_LENGTH], "little") + _LENGTH
    if content[begin : begin + _LENGTH] == library.magic:  # Ultralytics puts the length of a JSON text first
        metadata, content = _words(content[_LENGTH:begin]), content[begin:]
    other = next((one for one in LIBRARIES.values() if content.startswith(one.magic)), None)
    if other is None or len(content) < _HEADER:
        raise ModelRejected(path, f"is no {library.title} engine, or only a part of one: {_AGAIN}")
    if other is not library:
        raise ModelRejected(path, f"is an engine of {other.title}: say format {other.format}")
    made = ".".join(map(str, content[_VERSION]))
    return Plan(content=content, version=made, metadata=metadata)


def _words(text: bytes) -> Mapping[str, str]:
    try:
        said = dict(json.loads(text))
    except ValueError:
        return {}
    return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in said.items()}


def differs(known: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Why an engine made with `known` cannot run `here`; empty when it can."""
    for name, wanted in known.items():
        have = here.get(name, "")
        if wanted == have or (wanted == "8.0 and later" and _number(have) >= 8.0):
            continue
        if name == "compute capability":
            return f"was made for a GPU of compute capability {wanted}, this one has {have}: {_AGAIN}"
        if name == "machine":
            return f"was made on {wanted}, this is {have}: {_AGAIN}"
        return f"was made with {name} {wanted}, here is {have or 'none'}: {_AGAIN}"
    return ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def deserialize(trt: ModuleType, runtime: Any, listener: Listener, path: Path, plan: Plan) -> Any:
    """The engine; raises ModelRejected."""
    made = f"it was made with {plan.version}, here is {trt.__version__}: {_AGAIN}"
    with listener.listening() as said:
        doubts = _doubts(trt, runtime, plan.content)
        certain = [doubt for doubt in doubts if doubt in _CERTAIN]
        if certain:
            raise ModelRejected(path, f"its header says {_spelled(certain)}; {made}")
        engine = runtime.deserialize_cuda_engine(plan.content)
        if engine is None:
            reason = sentence(said or listener.strays(), _spelled(doubts) or "TensorRT does not say why")
            raise ModelRejected(path, f"cannot run here: {reason}; {made}")
    return engine


def _doubts(trt: ModuleType, runtime: Any, content: bytes) -> Sequence[str]:
    """What the library has against an engine after a look at its header; nothing where it cannot look."""
    if not hasattr(runtime, "get_engine_validity"):
        return ()
    validity, bits = runtime.get_engine_validity(content)
    if validity != trt.EngineValidity.INVALID:
        return ()
    flags = trt.EngineInvalidityDiagnostics.__members__
    return [name for name, flag in flags.items() if int(flag) & int(bits)]


def _spelled(doubts: Sequence[str]) -> str:
    return ", ".join(doubt.lower().replace("_", " ") for doubt in doubts)


def ports(trt: ModuleType, path: Path, native: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs as the engine declares them; raises ModelRejected for what cannot be fed or read."""
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    for index in range(native.num_io_tensors):
        name = native.get_tensor_name(index)
        given = native.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        what = f"the {'input' if given else 'output'} {name}"
        kind = native.get_tensor_dtype(name).name
        if kind not in _TYPES:
            raise ModelRejected(path, f"{what} is of type {kind.lower()}, which cannot be fed or read")
        if native.get_tensor_location(name) != trt.TensorLocation.DEVICE:
            raise ModelRejected(path, f"{what} is a shape and no tensor: export the model with fixed extents")
        shape = tuple(None if extent < 0 else int(extent) for extent in native.get_tensor_shape(name))
        (inputs if given else outputs).append(TensorSpec(name=name, datatype=_TYPES[kind], shape=shape))
    return tuple(inputs), tuple(outputs)


def most_rows(path: Path, native: Any, inputs: Sequence[TensorSpec]) -> int | None:
    """The most rows that the engine's profile takes; None where axis 0 is fixed. Raises ModelRejected."""
    found = None
    for spec in inputs:
        if not spec.shape or spec.shape[0] is not None:
            continue
        least, _, most = (int(shape[0]) for shape in native.get_tensor_profile_shape(spec.name, 0))
        if least > 1:
            raise ModelRejected(
                path, f"the input {spec.name} takes {least} rows or more: build it for 1 and more"
            )
        found = most if found is None else min(found, most)
    return found
