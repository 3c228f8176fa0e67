"""The YAML walker: places, traps of YAML 1.1, bombs, and text that is no YAML."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgex_inference.config.places import Source, listed, spell, suggest
from edgex_inference.config.problems import MOST_BYTES, Document

NINES = "9" * 5000


def parse(text: str) -> Document:
    return Document.parse(text, "f.yaml")


@pytest.mark.parametrize(
    ("text", "place", "path", "message"),
    [
        ("a: [1,\n b: }", (2, 5), "", "no valid YAML"),
        ("a:\n\t- b", (2, 1), "", "YAML indents with spaces"),
        ("a: \x01", (1, 4), "", "control characters"),
        ("a: 1\nb:\n  - {c: 1, c: 2}", (3, 12), "b[0].c", "written twice, first in line 3"),
        ("m:\n  0: x", (2, 3), "m.0", 'a number as a key: core-metadata refuses it; write "0" in quotes'),
        ("true: x", (1, 1), "true", "a boolean as a key"),
        ("~: x", (1, 1), "~", "null as a key"),
        ("[1]: x", (1, 1), "", "a list cannot be a key"),
        ("&a [*a]", (1, 5), "", "*a contains itself"),
        ("a: *b", (1, 4), "", "*b has no anchor &b"),
        ("a: 1\n---\nb: 2", (2, 1), "", "one document a file"),
        ("x: !!python/object:os.system {}", (1, 4), "x", "tag !!python/object:os.system is not allowed"),
        ("x: !secret y", (1, 4), "x", "tag !secret is not allowed"),
        ("x: {<<: 3}", (1, 5), "x.<<", "must name a map"),
        ("[" * 900, (1, 61), "", "nested more than 60 levels"),
        ("é: 1\n'ü': {é: 1, é: 2}", (2, 13), "ü.é", "written twice"),
        ("a: 1\u2028b: }", (2, 4), "", "no valid YAML"),
    ],
)
def test_mistakes_in_the_text_have_a_place(
    text: str, place: tuple[int, int], path: str, message: str
) -> None:
    (problem,) = parse(text).problems
    assert (problem.line, problem.column) == place
    assert problem.path == path
    assert message in problem.message
    assert problem.file == "f.yaml"


def test_all_mistakes_of_a_text_are_reported_at_once() -> None:
    assert len(parse("a: 1\na: 2\n0: b\nc: {true: 1, ~: 2}\n").problems) == 4


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("Off", "Off"),
        ("1:30", "1:30"),
        ("012", "012"),
        ("2026-08-01", "2026-08-01"),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("17", 17),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.10", 1.1),
        (".inf", math.inf),
        ("'1.10'", "1.10"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        (NINES, NINES),
    ],
)
def test_plain_words_mean_what_go_makes_of_them(written: str, value: object) -> None:
    document = parse(f"k: {written}")
    assert document.data == {"k": value}
    assert document.problems == ()


def test_a_depth_that_the_parser_itself_gives_up_at_is_one_problem() -> None:
    (problem,) = parse("[" * 10_000).problems
    assert "nest" in problem.message  # some versions of libyaml count for themselves


def test_what_was_written_is_kept_for_unquoted_scalars() -> None:
    document = parse("a: 1.10\nb: '1.10'")
    plain, quoted = document.root.find("a"), document.root.find("b")
    assert plain is not None
    assert quoted is not None
    assert (plain.written, quoted.written) == ("1.10", None)


def test_words_that_are_booleans_in_yaml_1_1_stay_keys() -> None:
    assert parse("on: 1\noff: 2\nyes: 3").data == {"on": 1, "off": 2, "yes": 3}


def test_anchors_and_merge_keys() -> None:
    document = parse("x: &m {a: 1, b: 2}\ny: {<<: *m, b: 3}\nz: {<<: [*m, {c: 4}]}")
    assert document.data == {
        "x": {"a": 1, "b": 2},
        "y": {"a": 1, "b": 3},
        "z": {"a": 1, "b": 2, "c": 4},
    }


def test_an_alias_bomb_is_refused() -> None:
    levels = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    levels += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (problem,) = parse("\n".join(levels)).problems
    assert "with its aliases" in problem.message


def test_a_depth_bomb_made_of_aliases_is_refused() -> None:
    nest = "[" * 30 + "1" + "]" * 30
    text = f"a: &a {nest}\nb: &b {'[' * 20}*a{']' * 20}\nc: {'[' * 20}*b{']' * 20}"
    (problem,) = parse(text).problems
    assert "levels deep" in problem.message


def test_json_with_tabs_is_yaml() -> None:
    assert parse('{\n\t"a":\t[1, 2.5, null, true, "x\\/\\u00e9"]\n}').data == {
        "a": [1, 2.5, None, True, "x/é"]
    }


def test_problems_point_at_values_keys_and_the_nearest_that_exists() -> None:
    document = parse("People:\n  accelerator: [a, b]\n")
    at_value = document.problem(("People", "accelerator", 1), "m")
    assert str(at_value) == "f.yaml:2:20: People.accelerator[1]: m"
    assert at_value.source == "  accelerator: [a, b]"
    assert document.problem(("People", "accelerator"), "m", key=True).column == 3
    missing = document.problem(("People", "outputs", "X"), "m", hide=1, severity="warning")
    assert (missing.path, missing.line, missing.column, missing.severity) == ("outputs.X", 2, 3, "warning")


def test_reading_a_file(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert Document.read(good).data == {"a": 1}
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"a: 1\nb: \xff\n")
    (problem,) = Document.read(bad).problems
    assert (problem.line, problem.column) == (2, 4)
    assert "0xff is no UTF-8" in problem.message
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (MOST_BYTES + 1))
    assert "larger than 4 MiB" in Document.read(large).problems[0].message
    with pytest.raises(OSError):
        Document.read(tmp_path / "absent.yaml")


def test_plain_data_without_a_text_names_file_and_path_only() -> None:
    document = Document.of({"a": [{"b": 1}]}, "core-metadata")
    assert document.data == {"a": [{"b": 1}]}
    assert str(document.problem(("a", 0, "b"), "wrong")) == "core-metadata: a[0].b: wrong"
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert "levels deep" in Document.of(deep, "x").problems[0].message


def test_json_inside_a_text() -> None:
    document = parse('protocols:\n  inference: \'{"a": {"b": 1}}\'\n')
    inner = document.nested(("protocols", "inference"))
    assert inner.data == {"a": {"b": 1}}
    assert str(inner.problem(("a", "b"), "wrong")) == "f.yaml:2:14: a.b: wrong"
    broken = parse("x: '{'").nested(("x",))
    assert broken.problems[0].column == 4
    assert "holds no JSON" in broken.problems[0].message
    assert "must be a text" in parse("x: 3").nested(("x",)).problems[0].message


def test_layers_merge_by_key_and_keep_their_places() -> None:
    under = Document.parse("a: {x: 1, y: [1, 2]}\nb: 1", "under").root.labelled("profile under")
    over = Document.parse("a: {y: [3]}\nc: 2", "over").root.labelled("device pump")
    merged = under.merged(over)
    assert merged.plain() == {"a": {"x": 1, "y": [3]}, "b": 1, "c": 2}
    origins = {spell(steps): node.place.source.origin for steps, node in merged.leaves()}
    assert origins == {
        "a.x": "profile under",
        "a.y": "device pump",
        "b": "profile under",
        "c": "device pump",
    }


def test_endless_lines_and_values_do_not_flood_the_problems() -> None:
    text = f"{{a: {'x' * 5000}}}"
    problem = parse(text).problem(("a",), f"{'y' * 5000} is wrong")
    assert (problem.column, problem.source) == (5, "")
    assert len(problem.message) < 900
    assert problem.message.endswith("y is wrong")


def test_spelling() -> None:
    assert spell(("People", "accelerator", 0, "name")) == "People.accelerator[0].name"
    assert spell(("zones", "a.b", "")) == 'zones["a.b"][""]'
    assert suggest("scoreTreshold", ["scoreThreshold", "top"]) == " (did you mean scoreThreshold?)"
    assert suggest("float32", ["Float32", "Float64"]) == " (did you mean Float32?)"
    assert suggest("zebra", ["scoreThreshold"]) == ""
    assert listed(["a", "b", "c"]) == "a, b or c"
    assert Source(file="f").lines == ()


BITS = """\
a|b: |- |{|}|[|]|,|: |&x |*x|<<: |#|1.10|yes|~|? |é|0x|'|"|!!int |\\u
"""
YAML_BITS = st.text(max_size=60) | st.lists(
    st.sampled_from(["\n", "  ", "\t", "\u2028", "\x85", "---\n", "%YAML 1.1\n", "|\n", *BITS.split("|")]),
    max_size=60,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(YAML_BITS)
def test_any_text_gives_data_or_problems(text: str) -> None:
    document = parse(text)
    document.data  # noqa: B018
    for problem in document.problems:
        assert 0 <= problem.line <= len(document.source.lines) + 1
        assert problem.message
    assert [steps for steps, _ in document.root.leaves()] or document.root.entries
