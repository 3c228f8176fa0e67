"""Model files are told apart by what is in them, whatever they are called."""

import bz2
import gzip
import io
import json
import lzma
import mmap
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from edgex_inference.contracts import protobuf
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine.formats.kinds import ABOUT, Kind
from edgex_inference.engine.formats.recognize import recognize
from edgex_inference.testing import onnx_models


def field(number: int, content: bytes | int) -> bytes:
    """A protobuf field."""
    if isinstance(content, int):
        return bytes([number << 3]) + bytes([content])
    tag = number << 3 | 2
    head = bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])
    return head + bytes([len(content)]) + content


def archive(names: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in names.items():
            file.writestr(name, content)
    return out.getvalue()


NODE = field(1, b"x") + field(2, b"Placeholder")
BLOCK = field(1, 0) + field(2, 0) + field(3, b"\x0a\x01v")
LAYER = field(1, b"conv1") + field(2, b"Convolution")
OLD_LAYER = field(4, b"conv1") + field(5, 4)

CONTENTS: list[tuple[str, bytes, Kind]] = [
    ("tflite", b"\x1c\0\0\0TFL3" + bytes(40), Kind.TFLITE),
    ("compiled", b"\x1c\0\0\0TFL3" + bytes(40) + b"edgetpu-custom-op", Kind.TFLITE_EDGETPU),
    ("keras h5", b"\x89HDF\r\n\x1a\n" + bytes(9000) + b'model_config{"class_name"', Kind.KERAS_H5),
    ("other h5", b"\x89HDF\r\n\x1a\n" + bytes(99), Kind.HDF5_WEIGHTS),
    ("keras", archive({"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": b""}), Kind.KERAS),
    ("pt2", archive({"m/archive_format": b"pt2", "m/models/model.json": b"{}"}), Kind.TORCH_EXPORT),
    ("old pt2", archive({"serialized_exported_program.json": b"{}", "version": b"1"}), Kind.TORCH_EXPORT),
    (
        "torchscript",
        archive({"m/data.pkl": b"", "m/code/__torch__/m.py": b"", "m/version": b"3"}),
        Kind.TORCHSCRIPT,
    ),
    ("state", archive({"m/data.pkl": b"", "m/data/0": b"", "m/version": b"3"}), Kind.TORCH_WEIGHTS),
    ("npz", archive({"a.npy": b""}), Kind.NUMPY),
    ("pickle", pickle.dumps([1]), Kind.PICKLE),
    ("xgboost", json.dumps({"learner": {}, "version": [3, 2, 0]}).encode(), Kind.XGBOOST),
    ("ubjson", b"{L" + struct.pack(">q", 7) + b"learner{", Kind.XGBOOST),
    ("lightgbm", b"tree\nversion=v4\n", Kind.LIGHTGBM),
    ("mxnet graph", json.dumps({"nodes": [], "arg_nodes": [], "heads": []}).encode(), Kind.MXNET),
    ("mxnet weights", struct.pack("<QQQ", 0x112, 0, 0), Kind.MXNET),
    ("pir", json.dumps({"base_code": {"magic": "pir"}, "program": {}}).encode(), Kind.PADDLE_PIR),
    ("tfjs", json.dumps({"modelTopology": {}, "weightsManifest": []}).encode(), Kind.TFJS),
    ("ir", b'<?xml version="1.0"?>\n<net name="m" version="11">', Kind.OPENVINO_IR),
    ("pmml", b'<?xml version="1.0"?>\n<PMML version="4.4">', Kind.PMML),
    ("prototxt", b'name: "net"\n# layers\nlayer {\n  name: "a"\n}', Kind.CAFFE),
    ("old prototxt", b'input: "data"\nlayers {\n}', Kind.CAFFE),
    ("caffemodel", field(1, b"net") + field(100, LAYER), Kind.CAFFE),
    ("old caffemodel", field(1, b"net") + field(2, OLD_LAYER), Kind.CAFFE),
    ("kaldi", b"\0B<Nnet3> \n", Kind.KALDI),
    ("kaldi text", b"<TransitionModel> \n<Topology>", Kind.KALDI),
    ("kaldi nnet1", b"<Nnet> \n<AffineTransform> 1 1", Kind.KALDI),
    ("frozen", field(1, NODE) + field(4, field(1, 5)), Kind.FROZEN),
    ("paddle", field(1, BLOCK), Kind.PADDLE),
    ("gguf", b"GGUF\x03\0\0\0", Kind.GGUF),
    ("safetensors", struct.pack("<Q", 10) + b'{"a":1}   ' + bytes(99), Kind.SAFETENSORS),
    ("darknet", b"[net]\nbatch=1\n", Kind.DARKNET),
    ("ncnn", b"7767517\n75 83\n", Kind.NCNN),
]


@pytest.mark.parametrize(("name", "content", "kind"), CONTENTS, ids=[one[0] for one in CONTENTS])
@pytest.mark.parametrize("suffix", ["", ".bin"])
def test_a_kind_is_told_by_its_content(
    name: str, content: bytes, kind: Kind, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    assert recognize(path) is kind


def test_onnx_with_any_name(tmp_path: Path) -> None:
    made = onnx_models.write_affine(tmp_path / "m.onnx")
    assert recognize(made.rename(tmp_path / "model")) is Kind.ONNX


@pytest.mark.parametrize(
    "compress",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        partial(lzma.compress, format=lzma.FORMAT_ALONE),
        zlib.compress,
    ],
    ids=["gzip", "bzip2", "xz", "lzma", "zlib"],
)
def test_pickles_in_each_compression_that_joblib_knows(
    compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "m.joblib"
    path.write_bytes(compress(pickle.dumps([*range(1000)])))
    assert recognize(path) is Kind.PICKLE


def test_a_folder_of_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    assert recognize(tmp_path) is Kind.SAVED_MODEL


def test_a_folder_with_one_graph_says_which_file(tmp_path: Path) -> None:
    (tmp_path / "inference.pdmodel").write_bytes(b"")
    with pytest.raises(ModelRejected, match=r"name the file in it, .*inference\.pdmodel"):
        recognize(tmp_path)


def test_a_checkpoint_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("model_checkpoint_path: 'm'")
    assert ABOUT[recognize(tmp_path)].nearest.startswith("save the model")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\xff" * 64, b"PK\x03\x04" + bytes(9), b'{"nodes": [', b'{"a": 1}']
)
@pytest.mark.parametrize("suffix", ["", ".onnx", ".json"])
def test_what_is_no_model_is_refused_in_a_sentence(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelRejected) as caught:
        recognize(path)
    assert str(path) in str(caught.value)


def test_every_kind_is_known_by_a_name() -> None:
    assert set(ABOUT) == set(Kind)


@pytest.mark.parametrize("share", [1, 2, 3, 5, 8, 13, 30, 90])
def test_a_truncated_file_is_refused_or_told_apart_and_never_fails_otherwise(
    share: int, tmp_path: Path
) -> None:
    for name, content, _ in CONTENTS:
        path = tmp_path / "file"
        path.write_bytes(content[: max(1, len(content) * share // 100)])
        try:
            recognize(path)
        except ModelRejected:
            continue
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"{name}: {error!r}")


def test_a_part_of_a_saved_model_names_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pb"
    path.write_bytes(field(1, 1) + field(2, b""))
    with pytest.raises(ModelRejected, match=f"name its folder, {tmp_path}"):
        recognize(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    for path in (tmp_path / "m.onnx", Path("/dev/zero")):
        with pytest.raises(ModelRejected, match="is no file"):
            recognize(path)


def test_a_large_file_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.onnx"
    onnx_models.write_affine(path)
    monkeypatch.setattr(protobuf, "_MOST_READ", 10)
    assert recognize(path) is Kind.ONNX
    assert isinstance(protobuf.contents(path).obj, mmap.mmap)
