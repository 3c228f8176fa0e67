"""Writes compiled `.xmodel` files as XIR's protocol buffers, with a program that the stand-in runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def _field(number: int, body: bytes) -> bytes:
    return _number(number << 3 | 2) + _number(len(body)) + body


def _attribute(key: str, value: str | int) -> bytes:
    told = _field(11, value.encode()) if isinstance(value, str) else _number(8 << 3) + _number(value)
    return _field(5, _field(1, key.encode()) + _field(2, told))


def part(name: str, device: str, **attributes: str | int) -> bytes:
    """A subgraph beneath the root."""
    said = {"device": device, **attributes}
    return _field(10, _field(1, name.encode()) + b"".join(_attribute(*one) for one in said.items()))


def write(path: Path, *, parts: Sequence[bytes] | None = None, **program: Any) -> Path:
    """A graph for the DPU alone, or with these parts; `program` is what the stand-in computes."""
    whole = {"scale": 2, "offset": 1, "shape": [1, 4], "dtype": "float32", **program}
    known = {"dpu_name": "DPUCV2DX8G_ISA1_C20B14", "dpu_fingerprint": 0x901231131110104}
    mine = part("dpu", "DPU", **known, program=f"program:{json.dumps(whole)}\0")
    every = parts if parts is not None else [part("input", "USER"), mine]
    path.parent.mkdir(parents=True, exist_ok=True)
    root = _field(1, b"root") + b"".join(every)
    path.write_bytes(_field(1, b"simulated") + _field(10, root))
    return path
