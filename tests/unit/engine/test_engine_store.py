"""The model store: which card is taken, and what is said when there is none."""

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgex_inference.contracts.errors import ModelNotFound, ModelRejected, ProfileError
from edgex_inference.engine.store import Store, natural, verify


def model(root: Path, name: str, version: str, *, more: str = "", content: bytes = b"x") -> Path:
    folder = root / name / version
    folder.mkdir(parents=True)
    (folder / "m.onnx").write_bytes(content)
    card = f'schema: 1\nname: {name}\nversion: "{version}"\ntask: raw\nfiles: [{{path: m.onnx{more}}}]\n'
    (folder / "model.yaml").write_text(card)
    return folder


def test_the_newest_ready_version_in_natural_order(tmp_path: Path) -> None:
    for version in ("9", "10", "1.9", "2026.2"):
        model(tmp_path, "m", version)
    newest = model(tmp_path, "m", "2026.11")
    store = Store([tmp_path])
    assert store.find("m").version == "2026.11"
    card = newest / "model.yaml"
    card.write_text(card.read_text() + "ready: false\n")
    assert store.find("m").version == "2026.2"
    assert store.versions("m") == ["2026.11", "2026.2", "10", "9", "1.9"]
    assert store.find("m", "2026.11").ready is False


def test_versions_sort_as_people_count() -> None:
    assert sorted(["1.10", "1.9", "2", "1", "1.9-rc1"], key=natural) == ["1", "1.9", "1.9-rc1", "1.10", "2"]


def test_the_first_folder_with_the_name_wins(tmp_path: Path) -> None:
    mine, packaged = tmp_path / "mine", tmp_path / "packaged"
    model(mine, "a", "1")
    model(packaged, "a", "2")
    model(packaged, "b", "1")
    store = Store([mine, packaged])
    assert store.find("a").version == "1"
    assert store.find("b").folder == packaged / "b" / "1"
    assert store.names() == ["a", "b"]
    assert [(card.name, card.version) for card in store.all()] == [("a", "1"), ("b", "1")]


def test_what_must_not_be_looked_into_is_said_and_not_taken_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, packaged = tmp_path / "mine", tmp_path / "packaged"
    for folder in (mine, packaged):
        model(folder, "a", "1")
        model(folder, "b", "1")
    look = Path.iterdir

    def refusing(folder: Path) -> Iterator[Path]:
        if folder == mine / "a":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return look(folder)

    monkeypatch.setattr(Path, "iterdir", refusing)
    store = Store([mine, packaged])
    for ask in (store.find, store.versions):
        with pytest.raises(ModelNotFound, match=r"'a': .*mine/a cannot be read: Permission denied"):
            ask("a")
    assert store.find("b").folder == mine / "b" / "1"
    with pytest.raises(ModelNotFound, match="cannot be read: File name too long"):
        store.find("x" * 300)


def test_what_is_not_there_is_told_with_a_hint(tmp_path: Path) -> None:
    model(tmp_path, "part-detect", "1.2")
    store = Store([tmp_path, tmp_path / "none"])
    with pytest.raises(ModelNotFound, match=r"did you mean part-detect\?") as caught:
        store.find("part-detekt")
    assert str(tmp_path / "none") in str(caught.value)
    with pytest.raises(ModelNotFound, match=r"no version '1.3' \(did you mean 1.2\?\)"):
        store.find("part-detect", "1.3")
    for name in ("", "..", "../x", "a/b", "part-detect/1.2"):
        with pytest.raises(ModelNotFound):
            store.find(name)


def test_a_broken_card_harms_its_own_model_only(tmp_path: Path) -> None:
    model(tmp_path, "good", "1")
    (model(tmp_path, "bad", "1") / "model.yaml").write_text("schema: 1\nname: [")
    store = Store([tmp_path])
    assert store.find("good").name == "good"
    with pytest.raises(ProfileError):
        store.find("bad")
    assert [card.name for card in store.all()] == ["good"]
    assert [Path(problem.file).parts[-3] for problem in store.problems()] == ["bad"]


def test_the_checksum_is_compared_and_both_are_named(tmp_path: Path) -> None:
    content = b"graph" * 1000
    right, wrong = hashlib.sha256(content).hexdigest(), "0" * 64
    model(tmp_path, "right", "1", more=f", sha256: {right}", content=content)
    model(tmp_path, "wrong", "1", more=f", sha256: '{wrong}'", content=content)
    store = Store([tmp_path])
    card = store.find("right")
    verify(card, card.builds[0])
    card = store.find("wrong")
    with pytest.raises(ModelRejected, match=f"{right}, its card says {wrong}"):
        verify(card, card.builds[0])
