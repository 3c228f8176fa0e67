"""The files of a profiles folder: told apart, blocks found where they may stand, refused where they get lost."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgex_inference.bindings.book import Book, load
from edgex_inference.bindings.files import Files, kind_of, read
from edgex_inference.config.problems import Document
from edgex_inference.contracts.bindings import Resource

BLOCK = "{model: {name: m, task: detection}, outputs: {N: {value: count}}}"
PROFILE = f"""\
name: cam
manufacturer: Any
deviceResources:
  - name: jpeg
    attributes: {{primaryTable: HOLDING, 1.5: {{x: y}}, on: 1}}
    properties:
      valueType: binary
      mediaType: image/jpeg
      units: px
      optional: {{inference: {{People: {BLOCK}}}}}
  - {{name: Speed, isHidden: false, properties: {{valueType: FLOAT32, readWrite: RW, minimum: 0}}, vendorKey: [1]}}
deviceCommands:
  - {{name: all, readWrite: R, resourceOperations: [{{deviceResource: jpeg, mappings: {{0: ok, 1: bad}}}}]}}
"""


def book(folder: Path, **files: str) -> Book:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return load(folder)


def messages(found: Book | Files) -> str:
    return "\n".join(f"{problem.severity} {problem}" for problem in found.problems)


def test_a_real_profile_may_have_anything_but_keys_that_core_metadata_refuses(tmp_path: Path) -> None:
    found = book(tmp_path, cam__yaml=PROFILE)
    (problem,) = found.problems
    assert "a number as a key: core-metadata refuses it" in problem.message
    assert (problem.line, problem.column) == (5, 41)
    assert [binding.name for binding in found.bindings] == ["People"]
    assert found.resource("cam", "jpeg") == Resource(
        name="jpeg", value_type="Binary", media_type="image/jpeg", units="px"
    )
    assert found.resource("cam", "Speed") == Resource(name="Speed", value_type="Float32")
    assert found.resource("cam", "nope") is None
    assert found.resource("other", "jpeg") is None
    assert list(found.resources("cam")) == ["jpeg", "Speed"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("deviceResources: []", "profile"),
        ("name: x\nmanufacturer: y", "profile"),
        ("match: {profile: x}\ninference: {}", "side-car"),
        ("deviceList: []", "devices"),
        ('[{"name": "d", "profileName": "p"}]', "devices"),
        ("name: x\nversion: '1'\ntask: raw\nfiles: []", "card"),
        ("anything: 1", ""),
        ("- 1", ""),
        ("", ""),
    ],
)
def test_files_are_told_apart_by_their_top_key(text: str, kind: str) -> None:
    assert kind_of(Document.parse(text, "f")) == kind


@pytest.mark.parametrize(
    ("text", "message", "severity"),
    [
        ("id: rule\nsql: x", "is no device profile", "warning"),
        ("", "the file is empty: ignored", "warning"),
        ("deviceResource: []", "did you mean deviceResources?", "error"),
        ("inference: {}", "a side-car needs match beside inference", "error"),
        ("a: [", "no valid YAML", "error"),
        ("deviceList: 3", "must be a list of devices", "error"),
        ("deviceList: [3]", "must be a map, not a number", "error"),
        ("deviceList: [{profileName: p}]", "deviceList[0].name: is missing", "error"),
        ("deviceResources: {}\nname: x", "deviceResources: must be a list, not a map", "error"),
        ("deviceResources: [3]\nname: x", "deviceResources[0]: must be a map", "error"),
        ("deviceResources: []", "name: is missing", "error"),
        ("name: x\ndeviceResources: [{name: a}, {name: a}]", "a second resource named 'a'", "error"),
        (
            "name: x\ndeviceResources: [{name: a, properties: {valueType: Float}}]",
            "'Float' is no EdgeX value type (did you mean Float32?)",
            "error",
        ),
        ("match: {device: x}\ninference: {}", "match.profile: is missing", "error"),
        ("match: {profile: x, resorce: y}\ninference: {}", "did you mean resource?", "error"),
        ("match: {profile: x}\ninference: [1]", "must be a map of binding names to blocks", "error"),
        ("match: {profile: x}", "inference: is missing", "error"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, message: str, severity: str) -> None:
    found = book(tmp_path, x__yaml=text)
    (problem,) = found.problems
    assert message in str(problem)
    assert problem.severity == severity


def test_a_named_file_of_no_kind_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text("{}")
    assert read([tmp_path / "rules.json"]).problems[0].severity == "error"
    assert read([tmp_path]).problems[0].severity == "warning"


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (f"inference: {{P: {BLOCK}}}\nname: x\ndeviceResources: []", "inference", "drops this key silently"),
        (
            f"name: x\ndeviceResources: [{{name: a, inference: {{P: {BLOCK}}}}}]",
            "deviceResources[0].inference",
            "move it to deviceResources[].properties.optional.inference",
        ),
        (
            f"name: x\ndeviceResources: [{{name: a, properties: {{valueType: Int8, inference: {{P: {BLOCK}}}}}}}]",
            "deviceResources[0].properties.inference",
            "drops this key silently",
        ),
        (
            f"name: x\ndeviceResources: [{{name: a, tags: {{inference: {{P: {BLOCK}}}}}}}]",
            "deviceResources[0].tags.inference",
            "tags are copied on every event",
        ),
        (
            "name: x\ndeviceResources: []\ndeviceCommands: [{name: c, tags: {inference: {}}}]",
            "deviceCommands[0].tags.inference",
            "tags are copied on every event",
        ),
        (
            "deviceList: [{name: d, profileName: p, inference: {}}]",
            "deviceList[0].inference",
            "move it to properties.inference of d",
        ),
        (
            "deviceList: [{name: d, profileName: p, tags: {inference: {}}}]",
            "deviceList[0].tags.inference",
            "tags are copied",
        ),
    ],
)
def test_blocks_in_places_that_lose_them_are_refused(
    tmp_path: Path, text: str, path: str, message: str
) -> None:
    found = book(tmp_path, x__yaml=text)
    (problem,) = found.problems
    assert (problem.path, problem.severity) == (path, "error")
    assert message in problem.message
    assert not found.bindings


def attributes_and_optional(attributes: str, optional: str) -> str:
    return (
        "name: cam\ndeviceResources:\n  - name: jpeg\n"
        f"    attributes: {{inference: {attributes}}}\n"
        f"    properties: {{valueType: Binary, optional: {{inference: {optional}}}}}\n"
    )


def test_a_block_may_stand_in_attributes_too(tmp_path: Path) -> None:
    text = (
        f"name: cam\ndeviceResources:\n  - {{name: jpeg, attributes: {{inference: {{People: {BLOCK}}}}}}}\n"
    )
    found = book(tmp_path, cam__yml=text)
    assert not found.problems
    assert [(b.name, b.resource) for b in found.bindings] == [("People", "jpeg")]
    same = book(tmp_path, cam__yml=attributes_and_optional(f"{{People: {BLOCK}}}", f"{{People: {BLOCK}}}"))
    assert not same.problems
    assert len(same.bindings) == 1


def test_different_blocks_in_both_places_are_refused_naming_both(tmp_path: Path) -> None:
    other = BLOCK.replace("name: m", "name: n")
    text = attributes_and_optional(f"{{People: {BLOCK}}}", f"{{People: {other}}}")
    found = book(tmp_path, cam__yaml=text)
    (problem,) = found.problems
    assert problem.path == "deviceResources[0].attributes.inference"
    assert "deviceResources[0].properties.optional.inference in line 5" in problem.message
    assert [rejected.binding for rejected in found.rejected] == ["People"]
    assert not found.bindings


def test_a_mistake_in_the_text_of_a_block_rejects_that_binding_alone(tmp_path: Path) -> None:
    twice = "{model: {name: m, name: n, task: detection}, outputs: {N: {value: count}}}"
    text = PROFILE.replace("1.5: {x: y}, ", "").replace(f"People: {BLOCK}", f"People: {BLOCK}, Cars: {twice}")
    found = book(tmp_path, cam__yaml=text)
    (problem,) = found.problems
    assert (problem.path, problem.line) == ("Cars.model.name", 10)
    assert [binding.name for binding in found.bindings] == ["People"]
    assert [(one.profile, one.binding, one.resource) for one in found.rejected] == [("cam", "Cars", "jpeg")]


def test_two_files_with_one_profile_name(tmp_path: Path) -> None:
    found = book(tmp_path, a__yaml=PROFILE, b__yaml=PROFILE)
    assert "a second profile named 'cam'; the first is in" in messages(found)
    assert len(found.bindings) == 1


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    files = read([tmp_path / "absent.yaml", tmp_path / "nowhere"])
    assert len(files.unreadable) == 2
    assert "cannot be read: No such file or directory" in messages(files)
    assert load(tmp_path / "nowhere").bindings == ()


def test_other_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sub.yaml").mkdir()
    (tmp_path / "README.md").write_text("deviceResources: [")
    (tmp_path / ".hidden.yaml").write_text("deviceResources: [")
    assert load(tmp_path).problems == ()


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.integers(1, 8))
def test_a_mangled_profile_gives_problems_and_never_raises(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: int
) -> None:
    rng = random.Random(seed)
    text = PROFILE
    for _ in range(cuts):
        at, length = rng.randrange(len(text) + 1), rng.randrange(12)
        text = (
            text[:at]
            + rng.choice(["", "{", "}", "[", "1", ": ", "\n", "~", "'", "- ", "yes"])
            + text[at + length :]
        )
    path = tmp_path_factory.mktemp("mangled") / "p.yaml"
    path.write_text(text)
    found = Book(read([path]))
    names = {problem.message for problem in found.problems if problem.severity == "error"}
    assert found.bindings or found.rejected or names or "inference" not in text


@pytest.mark.parametrize(
    ("block", "path", "words"),
    [
        (
            "properties: {valueType: Float32, optional: {inferense: {A: {}}}}",
            "properties.optional.inferense",
            "mean",
        ),
        (
            "properties: {valueType: Float32, optional: {Inference: {A: {}}}}",
            "properties.optional.Inference",
            "mean",
        ),
        ("attributes: {infrence: {A: {}}}", "attributes.infrence", "did you mean inference?"),
        ("optional: {inference: {A: {}}}", "optional.inference", "core-metadata drops this key silently"),
    ],
)
def test_a_block_under_another_name_or_elsewhere_is_told(
    tmp_path: Path, block: str, path: str, words: str
) -> None:
    (tmp_path / "p.yaml").write_text(f"name: p\ndeviceResources:\n  - name: X\n    {block}\n")
    (problem,) = load(tmp_path).problems
    assert problem.path == f"deviceResources[0].{path}"
    assert words in problem.message
    assert problem.line == 4


def test_attributes_of_drivers_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "name: p\ndeviceResources:\n  - name: X\n    attributes: {interface: a, reference: b, inferred: c}\n"
    )
    assert load(tmp_path).problems == ()
