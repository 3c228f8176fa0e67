"""What a compiled `.xmodel` says of itself, read without Vitis AI: its parts, where each runs, for which DPU.

The file is a protocol buffer of XIR's graph: field 1 its name, field 10 the root subgraph; of a subgraph field 1 is the
name, 3 the operators, 5 the attributes, 10 its parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgex_inference.contracts.protobuf import Damaged, fields

_NAME, _OPERATOR, _ATTRIBUTE, _PART = 1, 3, 5, 10
_KEY, _VALUE, _NUMBER, _TEXT = 1, 2, 8, 11
MOST_BYTES = 1 << 30
_MOST_PARTS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A subgraph beneath the root; `fingerprint` is 0 where it is not the DPU's."""

    name: str
    device: str
    dpu: str = ""
    fingerprint: int = 0
    operators: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Xmodel:
    """A graph and the parts that the compiler made of it, in their order in the file."""

    name: str
    parts: Sequence[Part]

    @property
    def placement(self) -> dict[str, int]:
        """How many parts run on each device; what a user feeds is none."""
        counts: dict[str, int] = {}
        for part in self.parts:
            if part.device != "USER":
                counts[part.device] = counts.get(part.device, 0) + 1
        return counts


def read(data: bytes) -> Xmodel:
    """Raises Damaged; executes nothing, and follows no size that the bytes do not have."""
    name, root = "", memoryview(b"")
    for field, value in fields(memoryview(data)):
        if field == _NAME and isinstance(value, memoryview):
            name = _text(value)
        elif field == _PART and isinstance(value, memoryview):
            root = value
    if not root:
        raise Damaged("it has no root subgraph: it is no XIR graph, or not compiled")
    parts = [
        _part(value) for field, value in fields(root) if field == _PART and isinstance(value, memoryview)
    ]
    if not parts or len(parts) > _MOST_PARTS:
        raise Damaged(f"its root has {len(parts)} parts: it is not compiled")
    return Xmodel(name=name, parts=parts)


def _part(data: memoryview) -> Part:
    name, operators = "", 0
    said: dict[str, memoryview | int] = {}
    for field, value in fields(data):
        if field == _NAME and isinstance(value, memoryview):
            name = _text(value)
        elif field == _OPERATOR:
            operators += 1
        elif field == _ATTRIBUTE and isinstance(value, memoryview):
            key, told = _attribute(value)
            if key in ("device", "dpu_name", "dpu_fingerprint"):
                said[key] = told
    device, dpu, fingerprint = (said.get(key) for key in ("device", "dpu_name", "dpu_fingerprint"))
    return Part(
        name=name,
        device=_text(device) if isinstance(device, memoryview) else "",
        dpu=_text(dpu) if isinstance(dpu, memoryview) else "",
        fingerprint=fingerprint if isinstance(fingerprint, int) else 0,
        operators=operators,
    )


def _attribute(data: memoryview) -> tuple[str, memoryview | int]:
    """Key and value of a map's entry; values that are neither text nor number are empty."""
    key: str = ""
    told: memoryview | int = memoryview(b"")
    for field, value in fields(data):
        if field == _KEY and isinstance(value, memoryview):
            key = _text(value)
        elif field == _VALUE and isinstance(value, memoryview) and key:
            told = next((one for kind, one in fields(value) if kind in (_NUMBER, _TEXT)), told)
    return key, told


def _text(data: memoryview) -> str:
    return str(data, "utf-8", "replace")
