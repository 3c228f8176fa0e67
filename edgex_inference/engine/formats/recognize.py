"""What kind of model a file is, by its content; suffixes only break ties. Nothing is run, little is read."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.protobuf import as_message, as_number, as_text, contents, fields
from edgex_inference.engine.formats.archives import names_in, unpacked
from edgex_inference.engine.formats.kinds import ABOUT, Kind

_HEAD = 4096
_MOST_JSON = 512 << 20
"""Bytes of a text that is looked into as JSON; larger ones are no graph."""

_PICKLED = re.compile(rb"\x80[\x02-\x05]")
_COMPRESSED = (
    b"\x1f\x8b",
    b"\x5d\0\0",
    b"\x78\x01",
    b"\x78\x5e",
    b"\x78\x9c",
    b"\x78\xda",
    b"BZh",
    b"\xfd7zXZ\x00",
    b"ZF0x",
)
_KALDI = re.compile(rb"\s*(\x00B)?\s*<(Nnet|Nnet2|Nnet3|TransitionModel|NumComponents|AffineTransform)>")
_CAFFE_TEXT = re.compile(rb"^\s*layers?\s*\{", re.MULTILINE)
_MAGIC: tuple[tuple[int, bytes, Kind], ...] = (
    (4, b"TFL3", Kind.TFLITE),
    (0, b"GGUF", Kind.GGUF),
    (0, b"\x93NUMPY", Kind.NUMPY),
    (0, b"7767517", Kind.NCNN),
    (0, b"\x12\x01\0\0\0\0\0\0", Kind.MXNET),
    (0, b"tree\n", Kind.LIGHTGBM),
    (0, b"[net]", Kind.DARKNET),
)
"""Where a kind's first bytes stand; MXNet's are those of a list of arrays."""


def recognize(path: Path) -> Kind:
    """The kind of a file or folder; raises ModelRejected with what is known instead, OSError."""
    if path.is_dir():
        found = _folder(path)
    elif path.name in _SAVED and path.is_file():
        raise ModelRejected(path, f"is a part of a SavedModel: name its folder, {path.parent}")
    elif path.exists() and not path.is_file():  # a pipe keeps who opens it waiting, a device has no end
        raise ModelRejected(path, "is no file")
    else:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if not head:
            raise ModelRejected(path, "the file is empty")
        found = _by_magic(path, head) or _by_text(path, head) or _by_protobuf(path, head)
    if found is None:
        raise ModelRejected(path, f"is no model file that this release knows; {known()}")
    return found


def known() -> str:
    """The kinds in a sentence."""
    return "it knows " + ", ".join(about.label for about in ABOUT.values() if not about.nearest)


_SAVED = ("saved_model.pb", "saved_model.pbtxt")


def _folder(path: Path) -> Kind | None:
    if any((path / name).is_file() for name in _SAVED):
        return Kind.SAVED_MODEL
    if any(path.glob("*.index")) or (path / "checkpoint").is_file():
        return Kind.CHECKPOINT
    inside = [one for one in path.iterdir() if one.is_file()]
    graphs = [one for one in inside if one.suffix.lower() in _GRAPHS or one.name == "inference.json"]
    if len(graphs) == 1:
        raise ModelRejected(path, f"is a folder: name the file in it, {graphs[0]}")
    if graphs:
        raise ModelRejected(
            path, f"is a folder: name one of the files in it, {', '.join(sorted(map(str, graphs))[:5])}"
        )
    return Kind.COREML if path.suffix == ".mlpackage" else None


_GRAPHS = (".pdmodel", ".xml", ".onnx", ".tflite", ".keras", ".caffemodel")


def _by_magic(path: Path, head: bytes) -> Kind | None:
    for at, magic, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return _of_tflite(path) if kind is Kind.TFLITE else kind
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return Kind.KERAS_H5 if _contains(path, b"model_config") else Kind.HDF5_WEIGHTS
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    if (
        head.startswith(b"{")
        and (b"learner" in head[:64] or b"\x00learner" in head[:64])
        and head[1:2] != b'"'
    ):
        return Kind.XGBOOST  # UBJSON
    if _PICKLED.match(head) or _holds_pickle(path, head):
        return Kind.PICKLE if path.suffix not in (".pt", ".pth") else Kind.TORCH_WEIGHTS
    if _KALDI.match(head):
        return Kind.KALDI
    if len(head) > 16 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return Kind.SAFETENSORS
    return None


def _holds_pickle(path: Path, head: bytes) -> bool:
    """Whether it is a compressed pickle: by the first bytes in it, where too few are there by its name."""
    if path.suffix not in _PICKLE_SUFFIXES or not head.startswith(_COMPRESSED):
        return False
    inside = unpacked(head)
    return bool(_PICKLED.match(inside)) if inside else not set(path.suffixes) & set(_SUFFIXES)


_PICKLE_SUFFIXES = (".joblib", ".pkl", ".pickle", ".sav", ".gz", ".z", ".bz2", ".xz")


def _of_tflite(path: Path) -> Kind:
    return Kind.TFLITE_EDGETPU if _contains(path, b"edgetpu-custom-op") else Kind.TFLITE


def _contains(path: Path, words: bytes) -> bool:
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(1 << 20):
            if words in tail + chunk:
                return True
            tail = chunk[-len(words) :]
    return False


def _of_zip(path: Path) -> Kind | None:
    """What a zip archive holds, by the names in it; raises ModelRejected for one that must not be unpacked."""
    names = names_in(path)
    inner = {name.partition("/")[2] or name for name in names}
    if {"config.json", "metadata.json"} <= names:
        return Kind.KERAS
    if "archive_format" in inner or any(name.endswith("serialized_exported_program.json") for name in names):
        return Kind.TORCH_EXPORT
    if "data.pkl" in inner:
        return Kind.TORCHSCRIPT if any(name.startswith("code/") for name in inner) else Kind.TORCH_WEIGHTS
    return Kind.NUMPY if names and all(name.endswith(".npy") for name in names) else None


def _by_text(path: Path, head: bytes) -> Kind | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"<"):
        return Kind.PMML if b"<PMML" in head else Kind.OPENVINO_IR if b"<net" in head else None
    if start.startswith(b"{"):
        return _of_json(path)
    return Kind.CAFFE if _CAFFE_TEXT.search(head) and b"\0" not in head else None


_JSON: Mapping[frozenset[str], Kind] = {
    frozenset({"nodes", "arg_nodes", "heads"}): Kind.MXNET,
    frozenset({"learner", "version"}): Kind.XGBOOST,
    frozenset({"base_code", "program"}): Kind.PADDLE_PIR,
    frozenset({"modelTopology", "weightsManifest"}): Kind.TFJS,
}


def _of_json(path: Path) -> Kind | None:
    if path.stat().st_size > _MOST_JSON:
        return None
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ModelRejected(path, "is no JSON, or only a part of one") from None
    return next((kind for keys, kind in _JSON.items() if keys <= found.keys()), None)


def _by_protobuf(path: Path, head: bytes) -> Kind | None:
    """The schemas that a protobuf fits; a truncated one fits none, and then its suffix says what it should be."""
    try:
        data = contents(path)
        numbers = {number for number, _ in fields(data)}
    except (ValueError, IndexError):
        if path.suffix in _SUFFIXES:
            raise ModelRejected(
                path,
                f"is {ABOUT[_SUFFIXES[path.suffix]].label} that is broken or cut short: copy or download it again",
            ) from None
        return None
    for kind, fits in _SCHEMAS.items():
        try:
            if numbers and fits(data, numbers):
                return kind
        except (ValueError, IndexError, KeyError, UnicodeDecodeError):
            continue
    return _SUFFIXES.get(path.suffix) if path.suffix == ".xmodel" else None


_SUFFIXES: Mapping[str, Kind] = {
    ".onnx": Kind.ONNX,
    ".pb": Kind.FROZEN,
    ".pdmodel": Kind.PADDLE,
    ".caffemodel": Kind.CAFFE,
    ".xmodel": Kind.XMODEL,
    ".mlmodel": Kind.COREML,
}


def _first(data: memoryview, wanted: int) -> memoryview:
    """The first message of this number; raises KeyError where there is none."""
    for number, value in fields(data):
        if number == wanted:
            return as_message(value)
    raise KeyError(wanted)


def _is_onnx(data: memoryview, numbers: set[int]) -> bool:
    """ModelProto: a graph (7) and operator sets (8)."""
    return {7, 8} <= numbers and numbers <= set(range(1, 30)) and bool(as_message(dict(fields(data))[7]))


def _is_frozen(data: memoryview, numbers: set[int]) -> bool:
    """GraphDef: nodes (1) that begin with a name (1) and an operator (2)."""
    node = dict(fields(_first(data, 1)))
    return numbers <= {1, 2, 3, 4, 5} and bool(as_text(node[1])) and as_text(node[2])[:1].isupper()


def _is_paddle(data: memoryview, numbers: set[int]) -> bool:
    """ProgramDesc: blocks (1) with an index (1), a parent (2) and variables (3)."""
    block = dict(fields(_first(data, 1)))
    return (
        numbers <= {1, 2, 3, 4, 5} and as_number(block[1]) == 0 and isinstance(block[2], int) and 3 in block
    )


def _is_caffe(data: memoryview, numbers: set[int]) -> bool:
    """NetParameter: layers, of the new kind (100) or the old (2), that have a name and a type."""
    if not numbers & {2, 100}:
        return False
    number = 100 if 100 in numbers else 2
    layer = dict(fields(_first(data, number)))
    if number == 100:
        return bool(as_text(layer[2])[:1].isupper())
    return 4 in layer and isinstance(layer[5], int)


def _is_coreml(data: memoryview, numbers: set[int]) -> bool:
    """Model: the specification's version (1) and a description (2)."""
    found = dict(fields(data))
    return 0 < as_number(found[1]) < 32 and {1, 2} <= numbers and max(numbers) >= 200


_SCHEMAS: Mapping[Kind, Callable[[memoryview, set[int]], bool]] = {
    Kind.ONNX: _is_onnx,
    Kind.FROZEN: _is_frozen,
    Kind.PADDLE: _is_paddle,
    Kind.CAFFE: _is_caffe,
    Kind.COREML: _is_coreml,
}
