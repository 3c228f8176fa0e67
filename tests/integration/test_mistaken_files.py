"""Files that are no model, as users bring them to `model info|add|check|convert`: one sentence, with the fix."""

import gzip
import io
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgex_inference.cli.main import main
from edgex_inference.testing import onnx_models

Capture = pytest.CaptureFixture[str]
DEMO = Path(__file__).parents[2] / "edgex_inference" / "demo" / "models"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html>\n<html lang='en'><head><title>Sign in</title></head></html>"
TFLITE = b"\x1c\0\0\0TFL3" + bytes(400)


def model(folder: Path) -> bytes:
    return onnx_models.write_affine(folder / "whole.onnx").read_bytes()


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("export/m.onnx", content)
    return out.getvalue()


def tarred(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo("export/m.onnx")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


Make = Callable[[bytes], bytes]
MISTAKEN: list[tuple[str, str, Make, str]] = [
    (
        "a Git LFS pointer",
        "m.onnx",
        lambda _: POINTER,
        "is a Git LFS pointer, which stands for the model: run `git lfs pull`",
    ),
    (
        "its web page",
        "m.onnx",
        lambda _: PAGE,
        "is a web page: the link led to a page about the model, download the file itself",
    ),
    ("a web page of TFLite", "m.tflite", lambda _: PAGE, "is a web page"),
    ("a pointer of IR", "m.xml", lambda _: POINTER, "is a Git LFS pointer"),
    ("gzip", "m.onnx.gz", gzip.compress, "is compressed: unpack it first, `gunzip < m.onnx.gz > m.onnx`"),
    ("gzip under its name", "m.onnx", gzip.compress, "`gunzip < m.onnx > unpacked-m.onnx`"),
    ("zip", "m.zip", zipped, "is an archive: unpack it first, `unzip m.zip`, and name the model in it"),
    ("zip under its name", "m.onnx", zipped, "is an archive: unpack it first"),
    ("tar", "m.tar.gz", tarred, "is a packed folder (tar): unpack it first, `tar -xf m.tar.gz`"),
    ("nothing", "m.onnx", lambda _: b"", "the file is empty: a download or a copy broke off, get it again"),
    ("a half", "m.onnx", lambda whole: whole[: len(whole) // 2], "it again"),
    ("a part of TFLite", "m.tflite", lambda _: TFLITE[:8] + b"\xff" * 40, "it again"),
    (
        "another format",
        "m.onnx",
        lambda _: TFLITE,
        "is a TensorFlow Lite model, whatever its name says: call it m.tflite",
    ),
    (
        "and the other way",
        "m.tflite",
        lambda whole: whole,
        "is an ONNX model, whatever its name says: call it m.onnx",
    ),
    (
        "an excuse",
        "m.onnx",
        lambda _: b"404: Not Found\n",
        "is a text, no model; it begins with '404: Not Found'",
    ),
]
"""What it is, how it is called, its content from a whole ONNX model's, and words of the sentence."""


def told(capsys: Capture, *arguments: object) -> str:
    """What a command says that fails, which is one line for the reader."""
    assert main([*map(str, arguments)]) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    lines = said.err.strip().splitlines()
    assert lines, said.out
    return lines[-1]


@pytest.mark.parametrize(
    ("name", "make", "words"), [one[1:] for one in MISTAKEN], ids=[one[0] for one in MISTAKEN]
)
@pytest.mark.parametrize("command", ["info", "add"])
def test_looked_into_or_added(
    command: str, name: str, make: Make, words: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / name
    path.write_bytes(make(model(tmp_path)))
    assert words in told(capsys, "model", command, path, "--models", tmp_path / "store")
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").rglob("*"))


CONVERTED = [one for one in MISTAKEN if "other" not in one[0]]
"""What a conversion cannot take either: it goes by the content, whatever a file is called."""


@pytest.mark.parametrize(
    ("name", "make", "words"), [one[1:] for one in CONVERTED], ids=[one[0] for one in CONVERTED]
)
def test_converted(name: str, make: Make, words: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / name
    path.write_bytes(make(model(tmp_path)))
    assert words in told(capsys, "model", "convert", path, "--to", "openvino", "--models", tmp_path / "store")
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").rglob("*"))


def store_with(tmp_path: Path, content: bytes) -> Path:
    """A store whose one model had its file replaced."""
    shutil.copytree(DEMO / "spindle-ae", tmp_path / "spindle-ae")
    (file,) = (tmp_path / "spindle-ae").rglob("*.onnx")
    file.write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("content", "words"),
    [(POINTER, "is a Git LFS pointer"), (PAGE, "is a web page"), (b"", "the file is empty")],
)
@pytest.mark.parametrize("hashed", [True, False], ids=["with a hash", "without"])
def test_a_file_of_the_store(
    content: bytes, words: str, hashed: bool, tmp_path: Path, capsys: Capture
) -> None:
    store = store_with(tmp_path, content)
    if not hashed:
        card = next(store.rglob("model.yaml"))
        card.write_text(re.sub(r", sha256: \"?[0-9a-f]+\"?", "", card.read_text()))
    assert main(["model", "check", "spindle-ae", "--models", str(store)]) == 1
    said = capsys.readouterr()
    assert words in said.out + said.err


def test_a_file_is_no_model_of_the_store_yet(tmp_path: Path, capsys: Capture) -> None:
    path = onnx_models.write_affine(tmp_path / "my.onnx")
    said = told(capsys, "model", "check", path)
    assert "is a file, and models of the store are checked" in said
    assert f"`edgex-inference model add {path}`" in said


@pytest.mark.parametrize("command", ["info", "add", "convert"])
def test_a_folder_where_a_file_should_be(command: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "export").mkdir()
    more = ["--to", "openvino"] if command == "convert" else []
    assert "folder" in told(capsys, "model", command, tmp_path / "export", *more) or command == "convert"
    path = onnx_models.write_affine(tmp_path / "export" / "m.onnx")
    assert f"name the file in it, {path}" in told(capsys, "model", command, tmp_path / "export", *more)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to read everything."""
    mine = os.geteuid()
    if mine:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


@pytest.mark.parametrize("command", ["info", "add", "convert"])
@pytest.mark.parametrize("closed", ["file", "folder"])
def test_what_must_not_be_read(command: str, closed: str, capsys: Capture) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        home = Path(folder)
        home.chmod(0o755)
        (home / "in").mkdir()
        path = onnx_models.write_affine(home / "in" / "m.onnx")
        (path if closed == "file" else path.parent).chmod(0)
        with as_nobody():
            said = told(capsys, "model", command, path, "--models", home / "store")
        path.parent.chmod(0o755)
    assert "cannot be read: Permission denied" in said
