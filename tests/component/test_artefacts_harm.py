"""The store of compiled models where disks, rights and other processes do harm."""

import errno
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.contracts.errors import AcceleratorUnavailable, SetupError
from edgex_inference.engine.compiling import locks, provenance
from edgex_inference.engine.compiling.artefacts import Artefacts, Held
from edgex_inference.testing.fake_accelerator import control, write_model
from tests.component.artefacts_stage import got, ordered


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model" / "m.fake", scale=2)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


@pytest.mark.parametrize("which", ["the artefact", "the provenance", "the whole entry"])
def test_a_folder_in_the_place_of_a_file_is_damage(
    tmp_path: Path, source: Path, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Artefacts(tmp_path / "cache")
    made = got(store, ordered(source))
    if which == "the whole entry":
        made.folder.rename(tmp_path / "elsewhere")
        made.folder.mkdir()
    else:
        path = made.artefact.path if which == "the artefact" else made.folder / provenance.FILE
        path.unlink()
        path.mkdir()
    again = got(store, ordered(source))
    assert (again.fresh, again.sound) == (True, True)
    assert again.folder.is_relative_to(tmp_path / "cache"), "it is kept"
    (told,) = warned(caplog)
    assert "the artefact of m 1 for fake:CPU is damaged (" in told


@pytest.mark.parametrize("which", ["the artefact", "the provenance"])
def test_what_may_not_be_read_is_damage(
    tmp_path: Path,
    source: Path,
    which: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Artefacts(tmp_path / "cache")
    made = got(store, ordered(source))
    shut = made.artefact.path if which == "the artefact" else made.folder / provenance.FILE
    looks, really = ["by who would use it", "by who may make it"], Path.open

    def refused(path: Path, *arguments: Any, **keys: Any) -> Any:
        if path == shut and looks:
            looks.pop()
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really(path, *arguments, **keys)

    monkeypatch.setattr(Path, "open", refused)
    assert got(store, ordered(source)).fresh
    (told,) = warned(caplog)
    assert f"is damaged ({shut.name} cannot be read: Permission denied): it is compiled again" in told


def test_another_user_may_read_what_was_compiled(tmp_path: Path, source: Path) -> None:
    """An image is built by root, and runs as somebody else."""
    made = got(Artefacts(tmp_path / "cache"), ordered(source))
    for path in (made.folder, *made.folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & stat.S_IROTH, f"{path} has {mode:o}"
        assert not mode & stat.S_IWOTH


def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that is mounted read-only: locks are shared, and nothing else is had."""
    take = locks.take

    def refused(path: Path, *, alone: bool) -> Any:
        if alone:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return take(path, alone=alone)

    monkeypatch.setattr(locks, "take", refused)


def test_damage_that_cannot_be_mended_is_said_and_something_else_answers(
    tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Artefacts(tmp_path / "cache")
    made = got(store, ordered(source))
    frozen(monkeypatch)
    assert not got(store, ordered(source)).fresh, "what is sound is used"
    made.artefact.path.write_text("worms")
    for _ in range(2):
        held = store.get(ordered(source))
        assert held.sound
        assert not held.artefact.path.is_relative_to(tmp_path / "cache")
        held.close()
    first, second = warned(caplog)
    assert first.endswith(f"{tmp_path / 'cache' / 'artefacts'}: Read-only file system")
    told = "the artefact of m 1 for fake:CPU is damaged ("
    assert second.startswith(told)
    assert second.endswith(" has changed), and cannot be replaced")


def test_who_must_keep_it_compiles_nothing_that_cannot_be_kept(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Artefacts(tmp_path / "cache", strict=True)
    frozen(monkeypatch)
    with pytest.raises(SetupError, match=r"nothing can be kept in .*cache/artefacts: Read-only file system"):
        store.get(ordered(source))
    assert control(source).compiled == 0


def test_without_any_place_to_compile_in_the_accelerator_cannot_be_had(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container without /tmp, or with a full one: no fault of the model's, and tried again later."""
    control(source).compiling.append("full")
    with pytest.raises(AcceleratorUnavailable, match=r"nowhere to compile in: /.*: no room"):
        Artefacts(None).get(ordered(source))

    def none(**_keys: str) -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("edgex_inference.engine.compiling.artefacts.tempfile.mkdtemp", none)
    with pytest.raises(AcceleratorUnavailable, match="nowhere to compile in: No usable temporary directory"):
        Artefacts(None).get(ordered(source))


def test_a_cache_in_a_folder_of_everybody_is_not_trusted(
    tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    got(Artefacts(cache), ordered(source))
    cache.chmod(0o1777)
    assert not got(Artefacts(cache), ordered(source)).fresh, "in a folder like /tmp nobody moves another's"
    cache.chmod(0o777)
    held: Held = Artefacts(cache).get(ordered(source))
    assert not held.artefact.path.is_relative_to(cache)
    held.close()
    assert f"not kept: {cache}: it can be written by everybody, and artefacts are code" in caplog.text


def test_what_a_killed_compiler_left_goes_with_the_next_that_is_made(tmp_path: Path, source: Path) -> None:
    cache = tmp_path / "cache"
    other = got(Artefacts(cache), ordered(source, precision="f16"))
    left, busy = (other.folder.with_name(f".{name}-x1_y2zab") for name in ("0" * 16, "1" * 16))
    for folder in (left, busy):
        (folder / "tools").mkdir(parents=True)
        (folder / "tools" / "half").write_bytes(b"half")
    working = locks.take(other.folder.with_name("1" * 16 + ".making"), alone=True)
    assert working is not None
    got(Artefacts(cache), ordered(source))
    assert not left.exists()
    assert busy.exists(), "somebody is at work there"
    assert not other.folder.with_name("0" * 16 + ".making").exists()
    working.close()
    assert other.sound
