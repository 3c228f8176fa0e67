"""Hostile files are refused by what is in them; nothing of them runs."""

import io
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
from onnx import TensorProto

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine.formats import archives
from edgex_inference.engine.formats.archives import imports_of, names_in, read_text
from edgex_inference.engine.formats.kinds import Kind
from edgex_inference.engine.formats.screen import screen
from edgex_inference.testing import onnx_models


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.folder,)


def zipped(path: Path, names: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in names.items():
            file.writestr(name, content)
    return path


def test_a_pickle_needs_the_users_word_and_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ModelRejected, match="say --trust"):
        screen(path, Kind.PICKLE, trust=False)
    screen(path, Kind.PICKLE, trust=True)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_what_a_pickle_would_import_is_seen_without_running_it(protocol: int, tmp_path: Path) -> None:
    found = imports_of(
        tmp_path, io.BytesIO(pickle.dumps([Trap(tmp_path / "sprung"), Trap(tmp_path)], protocol))
    )
    assert any(name.endswith(".mkdir") for name in found)
    assert not (tmp_path / "sprung").exists()


def test_names_behind_the_memo_are_followed_or_called_unknown(tmp_path: Path) -> None:
    # "os", memoized, and "mkdir" pushed, then the first fetched again: no text stands right before STACK_GLOBAL
    content = b"\x80\x04\x8c\x02os\x94\x8c\x05mkdir\x940h\x00h\x01\x93."
    assert imports_of(tmp_path, io.BytesIO(content)) == {"os.mkdir"}
    put_together = b"\x80\x04\x8c\x02os\x8c\x05mkdirN\x93."
    assert imports_of(tmp_path, io.BytesIO(put_together)) == {"?"}


def test_weights_alone_pass_and_a_program_among_them_does_not(tmp_path: Path) -> None:
    good = zipped(tmp_path / "good.pt", {"m/data.pkl": pickle.dumps(OrderedDict(a=1)), "m/data/0": b""})
    screen(good, Kind.TORCH_WEIGHTS, trust=False)
    bad = zipped(
        tmp_path / "bad.pt", {"m/data.pkl": pickle.dumps(Trap(tmp_path / "sprung")), "m/data/0": b""}
    )
    for trust in (False, True):
        with pytest.raises(ModelRejected, match=r"imports \w+\.mkdir, not weights alone"):
            screen(bad, Kind.TORCH_WEIGHTS, trust=trust)
    assert not (tmp_path / "sprung").exists()


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.keras", {"config.json": b"{}", "big": bytes(80 << 20)})
    with pytest.raises(ModelRejected, match="unpacks to"):
        screen(path, Kind.KERAS, trust=True)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with pytest.raises(ModelRejected, match="4 files"):
        names_in(zipped(tmp_path / "m.pt2", dict.fromkeys("abcd", b"")))


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil"])
def test_an_archive_that_reaches_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="outside"):
        screen(zipped(tmp_path / "m.pt2", {name: b""}), Kind.TORCH_EXPORT, trust=True)


@pytest.mark.parametrize("kind", [Kind.KERAS, Kind.KERAS_H5])
def test_a_lambda_layer_is_a_program(kind: Kind, tmp_path: Path) -> None:
    config = json.dumps({"layers": [{"class_name": "Lambda", "config": {}}]}).encode()
    path = tmp_path / "m"
    if kind is Kind.KERAS:
        zipped(path, {"config.json": config, "metadata.json": b"{}"})
    else:
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + config)
    with pytest.raises(ModelRejected, match=r"Lambda layer.*--trust"):
        screen(path, kind, trust=False)
    screen(path, kind, trust=True)


@pytest.mark.parametrize("kind", [Kind.KERAS, Kind.KERAS_H5])
def test_a_lambda_layer_is_seen_however_it_is_spelled(kind: Kind, tmp_path: Path) -> None:
    text = '{"class\\u005fname" : "\\u004cambda", "config": {}}'
    assert json.loads(text)["class_name"] == "Lambda"
    path = zipped(tmp_path / "m.keras", {"config.json": text.encode(), "metadata.json": b"{}"})
    if kind is Kind.KERAS_H5:
        path.write_bytes(b"\x89HDF\r\n\x1a\nmodel_config" + text.encode())
    with pytest.raises(ModelRejected, match="Lambda layer"):
        screen(path, kind, trust=False)


def test_a_configuration_that_is_nested_too_deeply(tmp_path: Path) -> None:
    text = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    path = zipped(tmp_path / "m.keras", {"config.json": text, "metadata.json": b"{}"})
    with pytest.raises(ModelRejected, match="nested too deeply"):
        screen(path, Kind.KERAS, trust=False)


@pytest.mark.parametrize("operator", ["WriteFile", "EagerPyFunc"])
def test_operators_that_reach_out_of_the_graph(operator: str, tmp_path: Path) -> None:
    node = b"\x0a\x01w\x12" + bytes([len(operator)]) + operator.encode()
    path = tmp_path / "m.pb"
    path.write_bytes(b"\x0a" + bytes([len(node)]) + node)
    with pytest.raises(ModelRejected, match=f"operator {operator}"):
        screen(path, Kind.FROZEN, trust=False)
    screen(path, Kind.FROZEN, trust=True)


def test_a_link_out_of_a_saved_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")
    (folder / "variables").symlink_to("/etc")
    with pytest.raises(ModelRejected, match="link to a place outside"):
        screen(folder, Kind.SAVED_MODEL, trust=True)


def external(path: Path, place: str, extents: list[int]) -> Path:
    model = onnx_models.write_affine(path)
    import onnx

    loaded = onnx.load(model)
    tensor = loaded.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=extents)
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place
    path.write_bytes(loaded.SerializeToString())
    return path


@pytest.mark.parametrize("place", ["/etc/passwd", "../secret"])
def test_weights_outside_of_the_folder(place: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="outside its folder"):
        screen(external(tmp_path / "m.onnx", place, [1]), Kind.ONNX, trust=True)


def test_weights_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "w.bin").symlink_to("/etc/hostname")
    with pytest.raises(ModelRejected, match="link to a place outside"):
        screen(external(tmp_path / "m.onnx", "w.bin", [1]), Kind.ONNX, trust=True)


def test_weights_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match=r"needs the file 'w\.bin' beside it"):
        screen(external(tmp_path / "m.onnx", "w.bin", [1]), Kind.ONNX, trust=True)


def test_a_tensor_larger_than_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"1234")
    with pytest.raises(ModelRejected, match="declares a tensor of 1000000000000 numbers"):
        screen(external(tmp_path / "m.onnx", "w.bin", [10**6, 10**6]), Kind.ONNX, trust=True)


def test_an_honest_model_passes(tmp_path: Path) -> None:
    screen(onnx_models.write_affine(tmp_path / "m.onnx", external=True), Kind.ONNX, trust=False)


def test_what_is_damaged_or_too_long_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/code/a.py", "x = 1\n" * 400_000)
    with pytest.raises(ModelRejected, match=r"a\.py in it is longer than the 1 MiB"):
        read_text(path, "m/code/a.py", most=1 << 20)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(ModelRejected, match=r"a\.py in it cannot be read"):
        read_text(path, "m/code/a.py")
