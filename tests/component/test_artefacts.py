"""The store of compiled models: keys, damage, other tools, room, and what cannot be kept."""

import json
import logging
import os
import threading
from pathlib import Path

import pytest

from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.engine.compiling import provenance
from edgex_inference.engine.compiling.artefacts import Artefacts, Held
from edgex_inference.engine.compiling.orders import Order
from edgex_inference.testing import fake_accelerator
from edgex_inference.testing.fake_accelerator import FakeOptions, control, write_model
from tests.component.artefacts_stage import got, ordered


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model" / "m.fake", scale=2)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The fake's driver, for tests that install another one."""
    installed = {"driver": "7"}
    monkeypatch.setattr(fake_accelerator, "DRIVER", installed)
    return installed


def test_an_artefact_is_made_once_and_says_where_it_comes_from(tmp_path: Path, source: Path) -> None:
    store = Artefacts(tmp_path / "cache")
    first, second = got(store, ordered(source)), got(Artefacts(tmp_path / "cache"), ordered(source))
    assert control(source).compiled == 1
    assert (first.fresh, second.fresh) == (True, False)
    assert first.artefact.path == second.artefact.path
    assert second.artefact.path.is_relative_to(tmp_path / "cache" / "artefacts" / "fake")
    said = json.loads((first.folder / provenance.FILE).read_text())
    assert said["source"] == ordered(source).source
    assert said["tools"] == {"plug-in": "unknown", "runtime": "1.0", "driver": "7", "chip": "CPU"}
    assert said["hashes"] == provenance.hashes(first.folder)
    assert (said["device"], said["precision"], said["options"]) == ("CPU", "f32", ordered(source).options)
    assert said["date"].startswith("20")
    assert got(store, ordered(source), again=True).fresh


def test_whatever_makes_another_artefact_is_in_the_key(
    tmp_path: Path, source: Path, driver: dict[str, str]
) -> None:
    known = ordered(source)
    others = [
        ordered(source, precision="f16"),
        ordered(source, device="NPU"),
        ordered(source, shapes={"x": (1, 4)}),
        ordered(source, batch=4),
        ordered(source, options=FakeOptions(gain=2.0)),
    ]
    driver["driver"] = "8"
    others.append(ordered(source))
    driver["driver"] = "7"
    write_model(source, scale=3)
    others.append(ordered(source))
    assert len({known.key, *(one.key for one in others)}) == len(others) + 1
    write_model(source, scale=2)
    assert ordered(source, threads=3, name="n").key == known.key


def test_weights_beside_a_graph_count_as_its_source(tmp_path: Path) -> None:
    from edgex_inference.contracts.accelerator import OPENVINO_IR
    from edgex_inference.engine.files import digest

    (tmp_path / "m.xml").write_text("graph")
    (tmp_path / "m.bin").write_bytes(b"1")
    before = digest(tmp_path / "m.xml", OPENVINO_IR)
    (tmp_path / "m.bin").write_bytes(b"2")
    assert digest(tmp_path / "m.xml", OPENVINO_IR) != before


@pytest.mark.parametrize(
    "damage", ["changed", "cut", "gone", "more", "provenance", "no provenance", "foreign"]
)
def test_a_damaged_artefact_is_reported_and_made_again_once(
    tmp_path: Path, source: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, wanted = Artefacts(tmp_path / "cache"), ordered(source)
    made = got(store, wanted)
    path, told = made.artefact.path, made.folder / provenance.FILE
    if damage == "changed":
        path.write_bytes(path.read_bytes().replace(b"scale", b"Scale"))
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:10])
    elif damage == "gone":
        path.unlink()
    elif damage == "more":
        (made.folder / "libevil.so").write_bytes(b"\x7fELF")
    elif damage == "provenance":
        told.write_text("{")
    elif damage == "foreign":
        told.write_text(told.read_text().replace(wanted.key, "0" * 64))
    else:
        told.unlink()
    caplog.clear()
    again = got(store, wanted)
    assert again.fresh
    assert again.sound
    assert control(source).compiled == 2
    (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "the artefact of m 1 for fake:CPU is damaged (" in record.getMessage()
    assert not got(store, wanted).fresh


def test_a_provenance_cannot_lead_elsewhere(tmp_path: Path, source: Path) -> None:
    store, wanted = Artefacts(tmp_path / "cache"), ordered(source)
    made = got(store, wanted)
    told = made.folder / provenance.FILE
    said = json.loads(told.read_text())
    told.write_text(json.dumps({**said, "path": "../../../../model/m.fake"}))
    assert got(store, wanted).artefact.path.parent == made.folder


def test_other_tools_make_it_again_and_say_what_is_different(
    tmp_path: Path, source: Path, driver: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = Artefacts(tmp_path / "cache")
    got(store, ordered(source))
    driver["driver"] = "8"
    assert got(store, ordered(source)).fresh
    assert "was made with driver 7, here is 8: it is compiled again" in caplog.text
    control(source).compiling.append("broken")
    driver["driver"] = "9"
    with pytest.raises(
        AcceleratorUnavailable,
        match=r"was made with driver 8, here is 9, and here it cannot be made: .*no beans",
    ):
        store.get(ordered(source))


def test_a_refusal_leaves_nothing_behind(tmp_path: Path, source: Path) -> None:
    store = Artefacts(tmp_path / "cache")
    control(source).compiling.append("broken")
    with pytest.raises(ModelRejected, match="the compiler found no beans"):
        store.get(ordered(source))
    assert not [one for one in (tmp_path / "cache").rglob("*") if one.is_dir() and one.name.startswith(".")]
    assert got(store, ordered(source)).fresh


def test_what_was_not_used_for_longest_makes_room_and_what_is_in_use_stays(
    tmp_path: Path, driver: dict[str, str]
) -> None:
    sources = [write_model(tmp_path / f"m{n}" / "m.fake", metadata={"pad": "x" * 4000}) for n in range(4)]
    one = got(Artefacts(tmp_path / "measured"), ordered(sources[0]))
    store = Artefacts(tmp_path / "cache", most=int(provenance.size(one.folder) * 2.5))
    in_use = store.get(ordered(sources[0], name="m0"))
    lasting = got(store, ordered(sources[1], name="m1"))
    using = lasting.folder.with_name(f"{lasting.folder.name}.using")
    for file, age in ((in_use.lock.path if in_use.lock else using, 300), (using, 200)):
        os.utime(file, (1e9 - age, 1e9 - age))
    third = got(store, ordered(sources[2], name="m2"))
    assert in_use.sound
    assert third.sound
    assert not lasting.folder.exists()
    assert not using.exists()
    in_use.close()
    got(store, ordered(sources[3], name="m3"))
    assert not in_use.folder.exists()
    assert got(store, ordered(sources[1], name="m1")).fresh


def test_where_nothing_can_be_kept_it_works_without_and_says_so_once(
    tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    for folder in (tmp_path / "cache", None):
        caplog.clear()
        store = Artefacts(folder)
        held, other = store.get(ordered(source)), store.get(ordered(source))
        assert held.sound
        assert held.artefact.path != other.artefact.path
        for one in (held, other):
            one.close()
            assert not one.artefact.path.exists()
        told = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
        assert len(told) == 1
        assert told[0].startswith("compiled models are not kept: ")


def test_a_full_disk_is_no_reason_to_fail(
    tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    control(source).compiling.append("full")
    store = Artefacts(tmp_path / "cache")
    held = store.get(ordered(source))
    assert held.sound
    assert not held.artefact.path.is_relative_to(tmp_path / "cache")
    held.close()
    assert "compiled models are not kept" in caplog.text
    assert "no room to compile in" in caplog.text
    assert got(store, ordered(source)).artefact.path.is_relative_to(tmp_path / "cache")


def test_a_folder_that_everybody_may_write_to_is_not_trusted(
    tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = got(Artefacts(tmp_path / "cache"), ordered(source))
    made.folder.parent.chmod(0o777)
    held = Artefacts(tmp_path / "cache").get(ordered(source))
    assert not held.artefact.path.is_relative_to(tmp_path / "cache")
    held.close()
    assert "it can be written by everybody, and artefacts are code" in caplog.text


def test_what_the_runtime_refuses_is_taken_away(tmp_path: Path, source: Path) -> None:
    store, wanted = Artefacts(tmp_path / "cache"), ordered(source)
    got(store, wanted)
    store.discard(wanted, "was made on another planet")
    assert not store.has(wanted)


def test_threads_of_one_process_compile_once_too(tmp_path: Path, source: Path) -> None:
    strings = control(source)
    strings.compiling.append("hang")
    told: list[str] = []
    waits = threading.Event()
    found: list[Held] = []

    def heard(fraction: float | None, what: str) -> None:
        told.append(what)
        waits.set()

    first = threading.Thread(target=lambda: found.append(got(Artefacts(tmp_path / "cache"), ordered(source))))
    first.start()
    assert strings.started.wait(60)
    second = threading.Thread(
        target=lambda: found.append(got_told(Artefacts(tmp_path / "cache"), ordered(source), heard))
    )
    second.start()
    assert waits.wait(60)
    strings.release.set()
    for thread in (first, second):
        thread.join(60)
    assert strings.compiled == 1
    assert told[0] == f"waiting for process {os.getpid()}, which compiles it"
    assert len({one.artefact.path for one in found}) == 1


def got_told(store: Artefacts, wanted: Order, heard: object) -> Held:
    held = store.get(wanted, heard)  # type: ignore[arg-type]
    held.close()
    return held


def test_who_comes_just_too_late_to_make_it_looks_again(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Artefacts(tmp_path / "cache")
    got(store, ordered(source))
    looks = [True]
    sound = Artefacts._sound

    def late(*args: object, **keys: bool) -> Held | None:
        return None if looks and looks.pop() else sound(*args, **keys)  # type: ignore[arg-type]

    monkeypatch.setattr(Artefacts, "_sound", late)
    assert not got(store, ordered(source)).fresh
    assert control(source).compiled == 1


def test_waiting_for_another_ends(tmp_path: Path, source: Path) -> None:
    strings = control(source)
    strings.compiling.append("hang")
    first = threading.Thread(target=lambda: got(Artefacts(tmp_path / "cache"), ordered(source)))
    first.start()
    try:
        assert strings.started.wait(60)
        with pytest.raises(AcceleratorUnavailable, match="another process has been compiling m for 0 s"):
            Artefacts(tmp_path / "cache", patience=0.0).get(ordered(source))
    finally:
        strings.release.set()
        first.join(60)
