"""What a TensorFlow Lite file says of itself: a JSON object in an archive at its end, as exporters of YOLO write it."""

import ast
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

_NAMES = ("metadata.json", "temp_meta.txt")
"""The second is how Ultralytics called it before, with a dict of Python in it."""
_LONGEST = 1 << 20


def metadata(path: Path) -> Mapping[str, str]:
    """The texts by name, other values as JSON; empty where there are none. Runs nothing, reads at most 1 MiB."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next((one for one in _NAMES if one in archive.namelist()), None)
            if name is None:
                return {}
            with archive.open(name) as file:
                text = file.read(_LONGEST).decode("utf-8")
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError):
        return {}  # a model that says nothing of itself is a good model
    return {key: _text(value) for key, value in _parsed(text).items() if isinstance(key, str)}


def append(content: bytes, said: Mapping[str, str]) -> bytes:
    """The file with these texts at its end; as it is where there are none."""
    if not said:
        return content
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a") as archive:  # without a date: the same model is the same file
        archive.writestr(zipfile.ZipInfo(_NAMES[0]), json.dumps(dict(said), ensure_ascii=False))
    return out.getvalue()


def _parsed(text: str) -> Mapping[object, object]:
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return found if isinstance(found, dict) else {}
    return {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
