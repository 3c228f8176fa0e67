"""What must not be in a model file, looked for before anything opens it: programs, traps, weights of elsewhere.

A toolchain is a process of its own, not a cage: what runs there can read and write what the user can. So whatever
would run the author's code needs the user's word, `--trust`.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.protobuf import as_message, contents, fields, varint
from edgex_inference.engine.files import companions, is_inside
from edgex_inference.engine.formats.archives import (
    HARMLESS,
    WORD,
    imports_of,
    imports_of_archive,
    names_in,
    read_text,
)
from edgex_inference.engine.formats.kinds import Kind
from edgex_inference.engine.formats.torch_archives import screen_program, screen_script

_REACHING = (
    *("WriteFile", "ReadFile", "PyFunc", "PyFuncStateless", "EagerPyFunc", "MatchingFiles", "ImmutableConst"),
    *("DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "CreateSummaryFileWriter", "LMDBReader"),
)
"""TensorFlow's operators that reach out of the graph."""
_SPARE = 64
_ESCAPED = re.compile(r"\\u00([2-7][0-9a-fA-F])")


def screen(path: Path, kind: Kind, *, trust: bool) -> None:
    """Raises ModelRejected with what is in the file and what to do; runs nothing of it."""
    if path.is_dir():
        closed(path)
    check = _CHECKS.get(kind)
    if check is not None:
        check(path, trust)


def closed(folder: Path) -> None:
    """Raises ModelRejected for a folder with a link out of it, or with what is neither file nor folder."""
    root = folder.resolve()
    for one in folder.rglob("*"):
        if not one.resolve().is_relative_to(root):
            raise ModelRejected(folder, f"{one.relative_to(folder)} in it is a link to a place outside of it")
        if not one.is_file() and not (one.is_dir() and not one.is_symlink()):
            raise ModelRejected(folder, f"{one.relative_to(folder)} in it is no file")


def _onnx(path: Path, trust: bool) -> None:
    outside = [name for name in companions(path, ONNX) if not is_inside(name)]
    if outside:
        raise ModelRejected(path, f"its weights lie outside its folder, in {outside[0]!r}")
    beside = [path.parent / name for name in companions(path, ONNX)]
    missing = [one.name for one in beside if not one.is_file()]
    if missing:
        raise ModelRejected(path, f"it needs the file {missing[0]!r} beside it, which is missing")
    for one in beside:
        if not one.resolve().is_relative_to(path.parent.resolve()):
            raise ModelRejected(path, f"its weights {one.name!r} are a link to a place outside its folder")
    bytes_there = sum(one.stat().st_size for one in (path, *beside))
    try:
        most = max(_elements(contents(path)), default=0)
    except (ValueError, IndexError):
        raise ModelRejected(path, "is an ONNX model that is broken or cut short") from None
    if most > 8 * bytes_there + _SPARE:
        raise ModelRejected(path, f"declares a tensor of {most} numbers and has {bytes_there} bytes")


def _elements(data: memoryview) -> Iterator[int]:
    """The sizes of the graph's constant tensors, as they are declared."""
    graph = as_message(next((value for number, value in fields(data) if number == 7), memoryview(b"")))
    for number, value in fields(graph):
        if number != 5:
            continue
        extents: list[int] = []
        for inner, one in fields(as_message(value)):
            if inner == 1:
                extents += [one] if isinstance(one, int) else _packed(as_message(one))
        yield math.prod(extents)


def _packed(data: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    return found


def _pickle(path: Path, trust: bool) -> None:
    if not trust:
        raise ModelRejected(
            path,
            f"is a pickle, which runs whatever its author put into it when it is opened: {WORD}, "
            "or save it as ONNX in the program that trained it",
        )


def _weights(path: Path, trust: bool) -> None:
    """Of a factory's weights: what torch.load(weights_only=True) would refuse too, told without torch."""
    with path.open("rb") as file:
        archive = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        found = imports_of_archive(path) if archive and names_in(path) else imports_of(path, file)
    foreign = sorted(found - HARMLESS)
    if foreign:
        raise ModelRejected(
            path,
            f"is a pickle that imports {foreign[0]}, not weights alone: save module.state_dict(), or export the "
            "module with torch.export.save(torch.export.export(module, inputs), 'model.pt2')",
        )


def _keras(path: Path, trust: bool) -> None:
    names_in(path)
    text = read_text(path, "config.json")
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise ModelRejected(path, "its config.json is no JSON, or nested too deeply") from None
    _lambda(path, text, trust)


def _keras_h5(path: Path, trust: bool) -> None:
    _lambda(path, path.read_bytes().decode("latin-1"), trust)


def _lambda(path: Path, text: str, trust: bool) -> None:
    plain = _ESCAPED.sub(
        lambda found: chr(int(found[1], 16)), text
    )  # JSON may spell any letter as its number
    if not trust and re.search(r'"class_name"\s*:\s*"(?:Lambda|__lambda__)"', plain):
        raise ModelRejected(path, f"has a Lambda layer, which is a program of its author: {WORD}")


def _tensorflow(path: Path, trust: bool) -> None:
    graphs = [path / name for name in ("saved_model.pb", "saved_model.pbtxt")] if path.is_dir() else [path]
    for graph in graphs:
        if trust or not graph.is_file():
            continue
        data = graph.read_bytes()
        for name in _REACHING:
            if bytes([0x12, len(name)]) + name.encode() in data or f'op: "{name}"'.encode() in data:
                raise ModelRejected(path, f"has the operator {name}, which reaches out of the model: {WORD}")
        if b"PrintV2" in data and b"file://" in data:
            raise ModelRejected(path, f"prints into a file: {WORD}")


def _paddle(path: Path, trust: bool) -> None:
    if not trust and re.search(rb"\x07py_func|\"py_func\"", path.read_bytes()):
        raise ModelRejected(path, f"has the operator py_func, which runs Python of its author: {WORD}")


_CHECKS: Mapping[Kind, Callable[[Path, bool], None]] = {
    Kind.ONNX: _onnx,
    Kind.PICKLE: _pickle,
    Kind.TORCH_WEIGHTS: _weights,
    Kind.TORCH_EXPORT: screen_program,
    Kind.TORCHSCRIPT: screen_script,
    Kind.KERAS: _keras,
    Kind.KERAS_H5: _keras_h5,
    Kind.SAVED_MODEL: _tensorflow,
    Kind.FROZEN: _tensorflow,
    Kind.PADDLE: _paddle,
    Kind.PADDLE_PIR: _paddle,
}
