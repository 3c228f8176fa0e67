"""`validate`: formats, carets, exit codes, semantic checks plugged in, and the program itself once."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from edgex_inference.bindings.book import Book
from edgex_inference.cli import rendering
from edgex_inference.cli import validate as command
from edgex_inference.cli.main import main
from edgex_inference.contracts.errors import Problem

GOOD = """\
name: cam
deviceResources:
  - name: jpeg
    properties:
      valueType: Binary
      optional:
        inference:
          People:
            model: {name: person, task: detection}
            outputs: {N: {value: count}}
"""
BAD = GOOD.replace("value: count", "value: cuont").replace("model: {", "lines: {}\n            model: {")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "CHECKS", [])
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD.replace("name: cam", "name: bad"))
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_text_has_place_path_line_and_caret(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "bad.yaml"]) == 1
    assert capsys.readouterr().out == (
        "bad.yaml:9:13: People.lines: warning: lines is not yet supported: the binding stays inactive\n"
        "                lines: {}\n"
        "                ^\n"
        "bad.yaml:11:34: People.outputs.N.value: 'cuont' is no value of task detection (did you mean count?)\n"
        "                outputs: {N: {value: cuont}}\n"
        "                                     ^\n"
        "1 file: 1 error, 1 warning\n"
    )


@pytest.mark.usefixtures("folder")
def test_json_is_a_list_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--format", "json", "bad.yaml"]) == 1
    _, error = json.loads(capsys.readouterr().out)
    assert error == {
        "file": "bad.yaml",
        "line": 11,
        "column": 34,
        "path": "People.outputs.N.value",
        "message": "'cuont' is no value of task detection (did you mean count?)",
        "severity": "error",
        "source": "            outputs: {N: {value: cuont}}",
    }


@pytest.mark.usefixtures("folder")
def test_json_of_good_files_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--format", "json", "good.yaml"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.usefixtures("folder")
def test_github_annotates_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--format", "github", "bad.yaml"]) == 1
    warning, error = capsys.readouterr().out.splitlines()
    assert warning.startswith(
        "::warning file=bad.yaml,line=9,col=13::People.lines: lines is not yet supported"
    )
    assert error.startswith("::error file=bad.yaml,line=11,col=34::People.outputs.N.value: 'cuont'")


def test_github_escapes_what_would_break_the_command() -> None:
    said = rendering.github(
        [Problem(file="a,b:c%.yaml", path="", message="100%\nreally", severity="not checked")], 1
    )
    assert said == "::notice file=a%2Cb%3Ac%25.yaml::100%25%0Areally"


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["good.yaml"], 0),
        (["good.yaml", "bad.yaml"], 1),
        (["."], 1),
        (["absent.yaml"], 2),
        (["absent.yaml", "bad.yaml"], 2),
    ],
)
@pytest.mark.usefixtures("folder")
def test_exit_codes(argv: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", *argv]) == code
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("folder")
def test_a_folder_without_files_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["validate", "empty"]) == 2
    assert "has no YAML or JSON file" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_files_are_read_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "side.yaml").write_text(
        "match: {profile: cam, resource: jpg}\ninference: {People: {enabled: false}}"
    )
    assert main(["validate", "side.yaml", "good.yaml"]) == 1
    assert (
        "side.yaml:2:21: People: binding People of profile cam sits on resource jpeg"
        in capsys.readouterr().out
    )


@pytest.mark.usefixtures("folder")
def test_semantic_checks_add_problems_unless_only_the_schema_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Path | None] = []

    def check(book: Book, models: Path | None) -> Iterable[Problem]:
        asked.append(models)
        (binding,) = book.bindings
        yield book.place(binding, "model", "name").problem("no model person in the store")
        yield book.place(binding, "accelerator").problem("needs onnxruntime", severity="not checked")

    monkeypatch.setattr(command, "CHECKS", [check])
    assert main(["validate", "--models", "store", "good.yaml"]) == 1
    assert asked == [Path("store")]
    out = capsys.readouterr().out
    assert "good.yaml:9:27: People.model.name: no model person in the store\n" in out
    assert "People.accelerator: not checked: needs onnxruntime\n" in out
    assert out.endswith("1 file: 1 error, 0 warnings, 1 not checked\n")
    assert main(["validate", "--schema-only", "good.yaml"]) == 0
    assert main(["validate", "--no-models", "good.yaml"]) == 0
    assert len(asked) == 1


@pytest.mark.usefixtures("folder")
def test_model_cards_are_checked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.yaml").write_text(
        "schema: 1\nname: m\nversion: 1.10\ntask: detect\nfiles: [{path: m.onnx, format: onnx}]\n"
    )
    assert main(["validate", "--schema-only", "good.yaml", "model.yaml"]) == 1
    out = capsys.readouterr().out
    assert (
        'model.yaml:3:10: version: must be a text, and YAML reads a number here: write "1.10" in quotes'
        in out
    )
    assert "model.yaml:4:7: task: 'detect' is not" in out
    assert "did you mean detection?" in out


@pytest.mark.parametrize(
    ("source", "column", "line", "caret"),
    [
        ("\ta: b", 5, "\ta: b", "\t   ^"),
        ("漢字: b", 5, "漢字: b", "      ^"),
        ("a: \x1b[31mb", 4, "a: \ufffd[31mb", "   ^"),
        ("x" * 400, 300, "x" * 150, " " * 120 + "^"),
        ("short", 40, "short", "     ^"),
    ],
)
def test_the_caret_stands_below_its_column(source: str, column: int, line: str, caret: str) -> None:
    problem = Problem(file="f", path="p", message="m", line=1, column=column, source=source)
    _, shown, below, _ = rendering.text([problem], 1).split("\n")
    assert shown == f"    {line}"
    assert below == f"    {caret}"


def test_the_program_itself(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgex_inference", "validate", "--schema-only", "bad.yaml", "good.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("2 files: 1 error, 1 warning\n")


def test_the_four_examples_pass(testdata: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(str(path) for path in (testdata.parent / "examples").glob("?-*.yaml"))
    assert len(files) == 4
    assert main(["validate", "--schema-only", *files]) == 0
    assert "4 files: 0 errors" in capsys.readouterr().out
