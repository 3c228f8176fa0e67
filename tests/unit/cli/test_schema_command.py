"""`schema`: what it refuses `validate` refuses, and what `validate` takes it takes; each exception has a reason."""

import importlib.util
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import indent
from typing import Any

import jsonschema
import pytest

from edgex_inference.bindings.book import Book
from edgex_inference.bindings.files import read
from edgex_inference.cli.main import main
from edgex_inference.cli.schema import KINDS
from edgex_inference.cli.schemas.files import SCHEMAS
from edgex_inference.config.problems import Document
from edgex_inference.engine.cards.card import check_card

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "tests" / "unit"


def examples(path: str) -> Any:
    """Another test module, for the examples that it has."""
    name = f"examples_of_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, UNIT / path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MISTAKES = examples("bindings/test_block_mistakes.py")
VALUES = examples("bindings/test_block_values.py")
CARDS = examples("engine/test_engine_cards.py")
JUDGES = {kind: jsonschema.Draft202012Validator(make()) for kind, (_, make) in SCHEMAS.items()}

BEYOND = (
    "written twice",  # gone once a YAML parser has read the text
    "is no resource of profile",  # needs another part of the file
    "which cannot become numbers",
    "field reads into an Object",
    "did you mean bolt?",
    "is not one of the labels",
    "must be a finite number",  # .nan is a number to YAML
    "is an empty region",  # compares two values
    "must not be above raise",
    "mean has 2 numbers and std 3",
    "needs the key",  # a key that another key's value calls for
    "state needs decide",
    "names no earlier step",
    "two steps have the id",
    "names no step",
    "no value of step",
    "is no regular expression",
)
"""Mistakes that JSON Schema cannot tell from right blocks."""


def refused(kind: str, value: object) -> list[str]:
    return [error.message for error in JUDGES[kind].iter_errors(value)]


def block(text: str) -> Any:
    return Document.parse("Health:\n" + indent(text, "  "), "p.yaml").data["Health"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_prints_a_legal_schema(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", kind]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(found)


def test_the_kinds_of_the_command_are_those_that_can_be_made() -> None:
    assert set(KINDS) == set(SCHEMAS)


@pytest.mark.parametrize("mistake", MISTAKES.MISTAKES, ids=lambda mistake: f"{mistake[2]} {mistake[3]}")
def test_a_block_that_validate_refuses(mistake: tuple[str, tuple[int, int], str, str]) -> None:
    text, _, _, words = mistake
    (problem,) = [one for one in MISTAKES.draft(text).problems if one.severity == "error"]
    beyond = any(reason in problem.message for reason in BEYOND)
    assert bool(refused("block", block(text))) is not beyond, f"{words}: {problem.message}"


def accepted_blocks() -> Iterable[str]:
    yield from (VALUES.MODEL + marked for marked in parameters(VALUES.test_keys_that_are_not_built_are_named))
    for written in parameters(VALUES.test_accelerator_in_each_form):
        yield f"{VALUES.MODEL}accelerator: {written}"
    yield VALUES.CASCADE + "outputs: {A: {value: what.top3}, B: {value: isUnknown}, D: {value: state}}"
    yield MISTAKES.MODEL + MISTAKES.OUTPUTS
    yield "model: {name: m}\noutputs: {A: {value: tensor_7.3, type: Float64}}"
    yield "model: {name: m, task: pose}\noutputs: {A: {value: latency}}"
    yield "model: {name: m, task: raw}\noutputs: {A: {value: out.3, type: Int8}}"


def parameters(test: Any) -> list[str]:
    """The first value of each set of a parametrized test."""
    (mark,) = test.pytestmark
    return [values[0] for values in mark.args[1]]


@pytest.mark.parametrize("text", list(accepted_blocks()))
def test_a_block_that_validate_takes(text: str) -> None:
    VALUES.read(text)
    assert not refused("block", Document.parse(text, "p.yaml").data)


def test_every_built_key_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block with every key in the tests of values."""
    seen: list[Any] = []
    original = VALUES.read

    def kept(text: str) -> Any:
        seen.append(Document.parse(text, "p.yaml").data)
        return original(text)

    monkeypatch.setattr(VALUES, "read", kept)
    VALUES.test_every_built_key_arrives()
    VALUES.test_three_lines_are_a_binding_and_the_rest_is_default()
    assert len(seen) == 2
    assert [refused("block", one) for one in seen] == [[], []]


@pytest.mark.parametrize("more", parameters(VALUES.test_keys_that_are_not_built_are_still_checked))
def test_keys_that_are_not_built_yet_are_checked(more: str) -> None:
    beyond = "pattern" in more  # whether a text is a regular expression
    assert bool(refused("block", Document.parse(VALUES.MODEL + more, "p.yaml").data)) is not beyond


BEYOND_CARD = (
    "folder is called",  # needs the folder
    "did you mean part.onnx?",
    "did you mean a.json?",
    "1 or 3 numbers",  # compares two values
    "each of the 2 steps",
)


@pytest.mark.parametrize("wrong", CARDS.test_a_mistake_is_told_at_its_place.pytestmark[0].args[1])
def test_a_card_that_validate_refuses(
    wrong: tuple[tuple[str, str], int, str, str],
) -> None:
    replaced, _, _, message = wrong
    value = Document.parse(CARDS.PARTS.replace(*replaced, 1), "model.yaml").data
    beyond = any(reason in message for reason in BEYOND_CARD)
    assert bool(refused("card", value)) is not beyond, message


@pytest.mark.parametrize(
    "text", [CARDS.PARTS, CARDS.SENSOR, CARDS.PARTS.replace('[bolt, no, "yes"]', "coco80")]
)
def test_a_card_that_validate_takes(text: str) -> None:
    assert not refused("card", Document.parse(text, "model.yaml").data)


@pytest.mark.parametrize("path", sorted(ROOT.glob("edgex_inference/demo/models/*/*/model.yaml")), ids=str)
def test_our_cards(path: Path) -> None:
    document = Document.read(path)
    assert check_card(document, path.parent)[1] == []
    assert not refused("card", document.data)
    del (broken := document.data)["files"]
    assert refused("card", broken)


@pytest.mark.parametrize("path", sorted(ROOT.glob("profiles/*.yaml")), ids=str)
def test_our_profiles(path: Path) -> None:
    document = Document.read(path)
    assert not Book(read([path])).problems
    assert not refused("profile", document.data)


WHOLE = {
    "profile": """
name: cam
deviceResources:
  - name: jpeg
    tags: {room: 4}
    attributes: {driver: {deep: [1]}}
    properties: {valueType: binary, optional: {other: 1, inference: {A: BLOCK}}}
deviceCommands: [{name: a, resourceOperations: [{deviceResource: jpeg}]}]
""",
    "side-car": "match: {profile: 'cam-*', resource: jpeg}\ninference: {A: BLOCK}",
    "devices": "deviceList: [{name: d, profileName: cam, protocols: {rest: {}}, properties: {inference: {A: BLOCK}}}]",
}
BLOCK = "{model: {name: m, task: detection}, outputs: {N: {value: count}}}"


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize(
    ("inner", "partial"),
    [
        (BLOCK, True),
        ("{limits: {queue: 3}}", True),
        ("{limits: {queue: 0}}", False),
        ("{lmits: {queue: 3}}", False),
        ("{model: {name: m}, outputs: {N: {value: count, type: Binary}}}", False),
    ],
)
def test_whole_files(kind: str, inner: str, partial: bool) -> None:
    found = refused(kind, Document.parse(WHOLE[kind].replace("BLOCK", inner), "f.yaml").data)
    whole = inner == BLOCK or kind != "profile"
    assert bool(found) is not (partial and whole), found


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("valueType: binary", "valueType: Bin"),
        ("tags: {room: 4}", "tags: {inference: {}}"),
        ("name: cam\n", "inference: {}\nname: cam\n"),
        ("attributes: {driver: {deep: [1]}}", "attributes: {inference: [1]}"),
        ("name: cam\n", ""),
    ],
)
def test_a_profile_that_validate_refuses(tmp_path: Path, right: str, wrong: str) -> None:
    good = WHOLE["profile"].replace("BLOCK", BLOCK)
    (tmp_path / "p.yaml").write_text(good.replace(right, wrong))
    assert [one for one in Book(read([tmp_path / "p.yaml"])).problems if one.severity == "error"]
    assert not refused("profile", Document.parse(good, "p.yaml").data)
    assert refused("profile", Document.read(tmp_path / "p.yaml").data)


@pytest.mark.parametrize("kind", ["block", "card"])
def test_no_key_is_left_open(kind: str) -> None:
    """A key without a form was not reached by the documents that lead the readers: add it to them."""
    open_keys = {path for path, schema in keys(SCHEMAS[kind][1]()) if not set(schema) - {"description"}}
    assert open_keys == set()


def keys(schema: object, path: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key == "properties" and "if" not in path:
            yield from ((f"{path}.{name}", one) for name, one in value.items())
        if key not in ("if", "then"):
            yield from keys(value, f"{path}.{key}")
    for value in schema if isinstance(schema, list) else ():
        yield from keys(value, path)
