"""What a TFLite file says of itself, in an archive at its end."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from edgex_inference.contracts.appended import append, metadata

MODEL = b"\x1c\0\0\0TFL3" + bytes(60)


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(append(MODEL, {"names": "{0: 'good', 1: 'bád'}", "stride": "32"}))
    assert path.read_bytes().startswith(MODEL)
    assert metadata(path) == {"names": "{0: 'good', 1: 'bád'}", "stride": "32"}


def test_nothing_changes_where_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(append(MODEL, {}))
    assert path.read_bytes() == MODEL
    assert metadata(path) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.json", json.dumps({"names": {"0": "a"}, "stride": 32, "task": "detect"})),
        ("temp_meta.txt", str({"names": {"0": "a"}, "stride": 32, "task": "detect"})),
    ],
)
def test_as_exporters_of_yolo_write_it(name: str, text: str, tmp_path: Path) -> None:
    assert metadata(_with(tmp_path, name, text.encode())) == {
        "names": '{"0": "a"}',
        "stride": "32",
        "task": "detect",
    }


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"\xff\xfe", b"[" * 100_000, b"{" * 1000, b"__import__('os').getcwd()"]
)
def test_what_says_nothing(content: bytes, tmp_path: Path) -> None:
    assert metadata(_with(tmp_path, "metadata.json", content)) == {}


def test_a_broken_archive_says_nothing(tmp_path: Path) -> None:
    path = _with(tmp_path, "metadata.json", b'{"a": "b"}' + b" " * 50)
    whole = path.read_bytes()
    for cut in range(len(MODEL), len(whole) - 22, 7):
        path.write_bytes(whole[:cut] + bytes(len(whole) - cut - 22) + whole[-22:])
        assert metadata(path) in ({}, {"a": "b"})


def _with(folder: Path, name: str, content: bytes) -> Path:
    out = io.BytesIO(MODEL)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    path = folder / "m.tflite"
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_damaged_appendix_says_nothing(method: int, tmp_path: Path) -> None:
    path, out = tmp_path / "m.tflite", io.BytesIO(MODEL)
    with zipfile.ZipFile(out, "a", method) as archive:
        archive.writestr("metadata.json", json.dumps({"names": [str(one) for one in range(300)]}))
    content = bytearray(out.getvalue())
    for at in range(len(MODEL) + 44, len(content) - 120, 7):
        path.write_bytes(content[:at] + b"\xff" * 12 + content[at + 12 :])
        assert isinstance(metadata(path), dict)
