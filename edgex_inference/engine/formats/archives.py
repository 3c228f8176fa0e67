"""Zip archives and pickles, looked into without unpacking or running them."""

import bz2
import io
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Iterator, Set
from pathlib import Path
from typing import IO

from edgex_inference.contracts.errors import ModelRejected

WORD = "say --trust if you know who made it"
MOST_FILES = 100_000
MOST_UNPACKED = 16 << 30
MOST_RATIO = 200
_SMALL = 64 << 20
"""Bytes that may unpack from however little."""
_MOST_PICKLE = 64 << 20

HARMLESS = frozenset(
    {
        "collections.OrderedDict",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor_v2",
        "torch._tensor._rebuild_from_type_v2",
        "torch.Size",
        "torch.serialization._get_layout",
        "torch.device",
    }
    | {f"torch.{kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short")}
    | {f"torch.{kind}Storage" for kind in ("Char", "Byte", "Bool")}
    | {"torch.storage.UntypedStorage", "torch.storage.TypedStorage"}
    | {
        f"torch.{kind}"
        for kind in ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int8", "uint8")
    }
)
"""Names that a file of weights alone needs, as torch.load(weights_only=True) allows them too."""


_MOST_XZ = 64 << 20
"""Bytes of memory for an xz file, whose first bytes may ask for gigabytes."""


def unpacked(head: bytes, most: int = 1024) -> bytes:
    """The first bytes of what a compressed file holds, by its own first ones; empty where these tell nothing."""
    try:
        if head.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(head, most)
        if head.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(head, most)
        if head.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
            return lzma.LZMADecompressor(memlimit=_MOST_XZ).decompress(head, most)
        return zlib.decompressobj().decompress(head, most) if head[:1] == b"\x78" else b""
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError):
        return b""


_BROKEN = (
    zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError, RuntimeError, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What reading a damaged entry raises; NotImplementedError, for a compression that is unknown, is a RuntimeError."""


def names_in(path: Path) -> Set[str]:
    """The names in an archive; raises ModelRejected for what is no archive or must not be unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except _BROKEN as error:
        raise ModelRejected(path, f"is an archive that is broken or cut short ({error})") from None
    if len(entries) > MOST_FILES:
        raise ModelRejected(path, f"is an archive of {len(entries)} files, more than a model has")
    unpacked = sum(one.file_size for one in entries)
    if unpacked > MOST_UNPACKED or (unpacked > _SMALL and unpacked > MOST_RATIO * path.stat().st_size):
        raise ModelRejected(
            path, f"is an archive of {path.stat().st_size} bytes that unpacks to {unpacked}: no model does"
        )
    for one in entries:
        parts = Path(one.filename).parts
        if Path(one.filename).is_absolute() or ".." in parts or "\\" in one.filename or "\0" in one.filename:
            raise ModelRejected(path, f"is an archive with a file outside of it, {one.filename!r}")
        if one.flag_bits & 1:
            raise ModelRejected(path, "is an archive with a password: unpack it first")
    return {one.filename for one in entries if not one.is_dir()}


def read_text(path: Path, name: str, *, most: int = 64 << 20) -> str:
    """A text in an archive that `names_in` has passed; raises ModelRejected."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            data = file.read(most + 1)
            text = data.decode("utf-8") if len(data) <= most else None
    except _BROKEN as error:
        raise ModelRejected(path, f"{name} in it cannot be read ({error})") from None
    if text is None:  # the rest would not have been looked at
        raise ModelRejected(
            path, f"{name} in it is longer than the {most >> 20} MiB that such a text may have"
        )
    return text


def imports_of_archive(path: Path) -> Set[str]:
    """What the pickles in an archive would import, as `module.name`."""
    found: set[str] = set()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".pkl"):
                with archive.open(name) as file:
                    found |= imports_of(path, io.BytesIO(file.read(_MOST_PICKLE)))
    return found


def imports_of(path: Path, file: IO[bytes]) -> Set[str]:
    """What a pickle would import, without running it; raises ModelRejected for what is none."""
    return imports_seen(path, file, until="")[0]


_ARRAY = "joblib.numpy_pickle.NumpyArrayWrapper"
"""Behind one of these joblib writes an array's bytes as they are, where no disassembler finds its way."""


def imports_seen(path: Path, file: IO[bytes], *, until: str = _ARRAY) -> tuple[Set[str], bool]:
    """What a pickle would import, up to the one named `until`, and whether that is all; raises as `imports_of`."""
    found: set[str] = set()
    try:
        for name in _imports(file):
            if name == until:
                return found, False
            found.add(name)
    except Exception:  # noqa: BLE001 - the disassembler raises whatever broken bytes make it raise
        raise ModelRejected(path, "is a pickle that is broken or cut short") from None
    return found, True


def _imports(file: IO[bytes]) -> Iterator[str]:
    """The names, followed through the memo; `?` where one is put together in a way that cannot be followed."""
    pushed: list[str | None] = []
    memo: dict[int, str | None] = {}
    for operation, argument, _ in pickletools.genops(file):
        name = operation.name
        if name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif name == "STACK_GLOBAL":
            module, _, attribute = (*pushed[-2:-1], "", *pushed[-1:]) if len(pushed) > 1 else (None, "", None)
            yield f"{module}.{attribute}" if module and attribute else "?"
        elif name == "MEMOIZE":
            memo[len(memo)] = pushed[-1] if pushed else None
        elif name in ("PUT", "BINPUT", "LONG_BINPUT") and isinstance(argument, int | str):
            memo[int(argument)] = pushed[-1] if pushed else None
        elif name in ("GET", "BINGET", "LONG_BINGET") and isinstance(argument, int | str):
            pushed.append(memo.get(int(argument)))
        elif name not in ("PROTO", "FRAME", "MARK", "STOP"):
            pushed.append(argument if isinstance(argument, str) and "UNICODE" in name else None)
