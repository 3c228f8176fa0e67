"""A compiled library as one file: TVM's shared object, and behind it a label of ours that says what is in it.

TVM keeps neither names nor types of inputs and outputs. Whatever loads shared objects passes over what lies behind
their sections, so one file is enough. Its hash is checked first: a shared object is code, and a damaged one would end
the process.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from accelerators.tvm.targets import arch, here
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import TensorSpec

_MARK = b"edgex-inference tvm library 1\n"
_ELF = b"\x7fELF\x02\x01"
"""Of 64 bits, little-endian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a library is: made by which TVM for which processor, and its inputs and outputs in their order."""

    tvm: str
    triple: str
    cpu: str
    needs: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    calls: int
    metadata: Mapping[str, str]


def seal(code: bytes, label: Label) -> bytes:
    """The shared object, its label, the label's length in 8 bytes, the hash of all that, and a mark."""
    text = msgspec.json.encode(label)
    whole = code + text + len(text).to_bytes(8, "little")
    return whole + hashlib.sha256(whole).digest() + _MARK


def read(path: Path) -> tuple[bytes, Label]:
    """The shared object and its label; raises ModelRejected for what is damaged, foreign or for another machine."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelRejected(path, error.strerror or str(error)) from error
    if not content.startswith(_ELF):
        raise ModelRejected(path, "is no library that TVM compiled for a 64-bit Linux: compile it again")
    machine, mine = int.from_bytes(content[18:20], "little"), here()
    if machine != mine.machine:
        reason = (
            f"is compiled for {arch(machine)}, this machine is {mine.id}: compile it with --for tvm:{mine.id}"
        )
        raise ModelRejected(path, reason)
    if not content.endswith(_MARK):
        reason = (
            "has no label at its end: it was cut short, or made without `edgex-inference compile`, which says "
            "what its inputs and outputs are"
        )
        raise ModelRejected(path, reason)
    return _parted(path, content)


@contextmanager
def private_copy(code: bytes) -> Iterator[Path]:
    """The shared object in a folder that nobody else can reach, until it is loaded.

    What is loaded stays mapped for as long as it runs: whoever cut that file short would end the process.
    """
    with tempfile.TemporaryDirectory(prefix="edgex-inference-tvm-") as folder:
        path = Path(folder) / "library.so"
        path.write_bytes(code)
        yield path


def _parted(path: Path, content: bytes) -> tuple[bytes, Label]:
    end = len(content) - len(_MARK) - hashlib.sha256().digest_size
    whole, digest = content[:end], content[end : -len(_MARK)]
    if hashlib.sha256(whole).digest() != digest:
        raise ModelRejected(path, "is damaged: it is not what was compiled; compile it again")
    start = end - 8 - int.from_bytes(whole[-8:], "little")
    try:
        return whole[:start], msgspec.json.decode(whole[start:-8], type=Label)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ModelRejected(path, "its label is one of another release: compile it again") from error
