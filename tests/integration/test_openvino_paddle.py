"""Paddle models straight through OpenVINO: a graph and its weights, written here byte by byte as Paddle saves them."""

import importlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from accelerators.openvino import PLUGIN
from edgex_inference.cli.main import main
from edgex_inference.contracts.accelerator import PADDLE, LoadRequest
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Datatype

if os.environ.get("EDGEX_INFERENCE_STRICT") == "1":
    importlib.import_module("openvino")
else:
    pytest.importorskip("openvino", reason='openvino is missing: pip install "edgex-inference[openvino]"')

WEIGHTS = np.float32([[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]])
_FP32, _LOD_TENSOR, _FEED, _FETCH = 5, 7, 9, 10
_INT, _BOOLEAN = 0, 6


def number(value: int) -> bytes:
    """A varint; negative ones have ten bytes."""
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def field(index: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return number(index << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(index << 3 | 2) + number(len(data)) + data


def tensor(*dims: int) -> bytes:
    return field(1, _FP32) + b"".join(field(2, extent) for extent in dims)


def variable(name: str, *dims: int, kind: int = _LOD_TENSOR, kept: bool = False) -> bytes:
    described = field(3, field(1, tensor(*dims))) if kind == _LOD_TENSOR else b""
    return field(3, field(1, name) + field(2, field(1, kind) + described) + field(3, int(kept)))


def operator(kind: str, takes: dict[str, str], gives: dict[str, str], **attributes: int | bool) -> bytes:
    def ends(index: int, names: dict[str, str]) -> bytes:
        return b"".join(field(index, field(1, one) + field(2, name)) for one, name in names.items())

    said = b"".join(
        field(4, field(1, name) + (field(2, _BOOLEAN) + field(10, int(value)) if isinstance(value, bool)
        else field(2, _INT) + field(3, value)))
        for name, value in attributes.items()
    )  # fmt: skip
    return field(4, ends(1, takes) + ends(2, gives) + field(3, kind) + said)


def write(path: Path) -> Path:
    """y = x · WEIGHTS over [open, 4]."""
    block = (
        field(1, 0) + field(2, -1)
        + variable("feed", kind=_FEED) + variable("fetch", kind=_FETCH)
        + variable("x", -1, 4) + variable("w", 4, 3, kept=True) + variable("y", -1, 3)
        + operator("feed", {"X": "feed"}, {"Out": "x"}, col=0)
        + operator("matmul_v2", {"X": "x", "Y": "w"}, {"Out": "y"}, trans_x=False, trans_y=False)
        + operator("fetch", {"X": "y"}, {"Out": "fetch"}, col=0)
    )  # fmt: skip
    path.write_bytes(field(1, block) + field(4, field(1, 2_000_000)))
    described = tensor(*WEIGHTS.shape)
    head = struct.pack("<IQIi", 0, 0, 0, len(described))
    path.with_suffix(".pdiparams").write_bytes(head + described + WEIGHTS.tobytes())
    return path


def test_a_graph_with_its_weights(tmp_path: Path) -> None:
    assert PLUGIN.load is not None
    session = PLUGIN.load(LoadRequest(path=write(tmp_path / "m.pdmodel"), format=PADDLE))
    (given,), (answer,) = session.inputs, session.outputs
    assert (given.datatype, given.shape, answer.shape) == (Datatype.FP32, (None, 4), (None, 3))
    rows = np.float32([[1, 0, 0, 0], [1, 2, 3, 4]])
    found = session.infer({given.name: rows})[answer.name]
    np.testing.assert_allclose(found, rows @ WEIGHTS, rtol=1e-6)
    session.close()


def test_broken_files_are_rejected(tmp_path: Path) -> None:
    assert PLUGIN.load is not None
    path = write(tmp_path / "m.pdmodel")
    whole = path.with_suffix(".pdiparams").read_bytes()
    path.with_suffix(".pdiparams").write_bytes(whole[:-8])
    with pytest.raises(ModelRejected):
        PLUGIN.load(LoadRequest(path=path, format=PADDLE))
    path.with_suffix(".pdiparams").write_bytes(whole)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelRejected):
        PLUGIN.load(LoadRequest(path=path, format=PADDLE))


def test_from_the_file_to_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add = ["model", "add", str(write(tmp_path / "m.pdmodel")), "--models", str(tmp_path / "s")]
    assert main([*add, "--task", "regression"]) == 0
    assert (tmp_path / "s/m/1/m.pdiparams").is_file()
    assert main(["model", "check", "m", "--models", str(tmp_path / "s")]) == 0
    assert "openvino:CPU     unproven" in capsys.readouterr().out
