"""Kaldi's network files as it writes them, text and binary, for tests; needs numpy only."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Items = Sequence[tuple[str, Any]]
"""A token (none: `""`) and what stands behind it: a number, a bool, a list of integers or of pairs, an array, a
network within."""


@dataclass(frozen=True, slots=True)
class KaldiPart:
    """A component: its type, and its tokens and values in order."""

    kind: str
    items: Items = ()
    name: str = ""


class _Out:
    """A stream as Kaldi writes it."""

    def __init__(self, *, binary: bool) -> None:
        self._binary = binary
        self.parts: list[bytes] = [b"\x00B"] if binary else []

    def token(self, text: str) -> None:
        self.parts.append(f"{text} ".encode())

    def line(self, text: str = "") -> None:
        self.parts.append(f"{text}\n".encode())

    def value(self, value: Any) -> None:
        if isinstance(value, KaldiNet):
            value._nnet1(self)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, list):
            self._listed(value)
        elif not self._binary:
            self.parts.append(
                ({True: "T", False: "F"}[value] if isinstance(value, bool) else f"{value} ").encode() + b" "
            )
        elif isinstance(value, bool):
            self.parts.append(b"T" if value else b"F")
        else:
            self.parts.append(b"\x04" + struct.pack("<i" if isinstance(value, int) else "<f", value))

    def _listed(self, values: list[Any]) -> None:
        flat = np.array(values, np.int32)
        if self._binary:
            self.parts.append(b"\x04" + struct.pack("<i", len(values)) + flat.tobytes())
            return
        texts = (",".join(map(str, np.atleast_1d(one))) for one in flat)
        self.parts.append(f"[ {' '.join(texts)} ]\n".encode())

    def _array(self, array: Any) -> None:
        if self._binary:
            double = array.dtype == np.float64
            tag = ("D" if double else "F") + ("M" if array.ndim == 2 else "V") + " "
            sizes = b"".join(b"\x04" + struct.pack("<i", extent) for extent in array.shape)
            self.parts.append(tag.encode() + sizes + array.astype("<f8" if double else "<f4").tobytes())
        elif array.ndim == 2:
            rows = "".join("\n  " + " ".join(repr(float(one)) for one in row) for row in array)
            self.parts.append(f" [{rows} ]\n".encode())
        else:
            self.parts.append(f" [ {' '.join(repr(float(one)) for one in array)} ]\n".encode())


@dataclass(frozen=True, slots=True)
class KaldiNet:
    """A network of `nnet1`, `nnet2` or `nnet3`; `lines` wire the nodes of nnet3."""

    generation: str
    parts: Sequence[KaldiPart]
    lines: Sequence[str] = ()
    within_model: bool = False
    """As part of an acoustic model (`.mdl`), a transition model before it."""
    dims: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """Of nnet1's components: outputs and inputs."""

    def write(self, path: Path, *, binary: bool) -> Path:
        """Writes it to a path, and gives that."""
        path.write_bytes(self.encoded(binary=binary))
        return path

    def encoded(self, *, binary: bool) -> bytes:
        out = _Out(binary=binary)
        if self.within_model:
            for token in ("<TransitionModel>", "<Topology>", "</Topology>", "</TransitionModel>"):
                out.token(token)
        {"nnet1": self._nnet1, "nnet2": self._nnet2, "nnet3": self._nnet3}[self.generation](out)
        return b"".join(out.parts)

    def _nnet1(self, out: _Out) -> None:
        out.token("<Nnet>")
        if not out._binary:
            out.line()
        for index, part in enumerate(self.parts):
            out.token(f"<{part.kind}>")
            for extent in self.dims[index]:
                out.value(extent)
            _items(out, part)
            out.token("<!EndOfComponent>")
        out.token("</Nnet>")

    def _nnet2(self, out: _Out) -> None:
        out.token("<Nnet>")
        out.token("<NumComponents>")
        out.value(len(self.parts))
        out.token("<Components>")
        for part in self.parts:
            _component(out, part)
        out.token("</Components>")
        out.token("</Nnet>")
        out.value(np.full(3, 1 / 3, np.float32))  # the priors, behind the network

    def _nnet3(self, out: _Out) -> None:
        out.token("<Nnet3>")
        out.line()
        for line in self.lines:
            out.line(line)
        out.line()
        out.token("<NumComponents>")
        out.value(len(self.parts))
        for part in self.parts:
            out.token("<ComponentName>")
            out.token(part.name)
            _component(out, part)
        out.token("</Nnet3>")


def _component(out: _Out, part: KaldiPart) -> None:
    out.token(f"<{part.kind}>")
    _items(out, part)
    out.token(f"</{part.kind}>")


def _items(out: _Out, part: KaldiPart) -> None:
    for token, value in part.items:
        if token:
            out.token(f"<{token}>")
        if value is not None:
            out.value(value)
