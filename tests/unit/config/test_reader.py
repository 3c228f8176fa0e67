"""Typed reading: one value or None, and a sentence for each mistake."""

from collections.abc import Callable

import pytest

from edgex_inference.config.problems import Document
from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.contracts.errors import Problem


def reading(text: str) -> tuple[Reader, list[Problem]]:
    problems: list[Problem] = []
    return Reader(Document.parse(text, "f").root, problems=problems), problems


@pytest.mark.parametrize(
    ("read", "written", "value"),
    [
        (Cursor.text, "'a b'", "a b"),
        (Cursor.number, "3", 3.0),
        (Cursor.number, "-1e-3", -0.001),
        (Cursor.integer, "-7", -7),
        (Cursor.boolean, "true", True),
        (Cursor.boolean, "false", False),
        (Cursor.duration, "800ms", 0.8),
        (Cursor.duration, "5ns", 5e-9),
        (Cursor.duration, "2h", 7200.0),
        (Cursor.texts, "[a, b]", ("a", "b")),
        (Cursor.texts, "[]", ()),
        (Cursor.numbers, "[1, 2.5]", (1.0, 2.5)),
        (Cursor.plain, "{a: [1]}", {"a": [1]}),
    ],
)
def test_good_values(read: Callable[[Cursor], object], written: str, value: object) -> None:
    reader, problems = reading(f"k: {written}")
    assert read(reader.at("k")) == value
    assert problems == []


@pytest.mark.parametrize(
    "read",
    [
        Cursor.text,
        Cursor.number,
        Cursor.integer,
        Cursor.boolean,
        Cursor.duration,
        Cursor.texts,
        Cursor.numbers,
        Cursor.items,
        Cursor.reader,
        Cursor.plain,
    ],
)
def test_what_is_absent_is_none_and_no_mistake(read: Callable[[Cursor], object]) -> None:
    reader, problems = reading("a: 1")
    assert read(reader.at("k")) is None
    assert problems == []


@pytest.mark.parametrize(
    ("read", "written", "message"),
    [
        (Cursor.text, "1.10", 'YAML reads a number here: write "1.10" in quotes'),
        (Cursor.text, "true", 'YAML reads a boolean here: write "true" in quotes'),
        (Cursor.text, "''", "must not be empty"),
        (Cursor.text, "[a]", "must be a text, not a list"),
        (Cursor.text, "", "is empty: give it a value or remove the key"),
        (Cursor.number, "'3'", "must be a number, not a text: remove the quotes"),
        (Cursor.number, "x", "must be a number, not a text"),
        (Cursor.number, "true", "must be a number, not a boolean"),
        (Cursor.number, ".inf", "must be a finite number"),
        (Cursor.integer, "1.5", "must be a whole number, not 1.5"),
        (Cursor.boolean, "yes", "must be true or false, not yes"),
        (Cursor.boolean, "1", "must be true or false, not a number"),
        (
            Cursor.duration,
            "5",
            "'5' is no duration such as 800ms, 5s or 1h (units ns us ms s m h): the unit is missing",
        ),
        (Cursor.duration, "1m30s", "is no duration"),
        (Cursor.duration, "-5s", "is no duration"),
        (Cursor.duration, "[1]", "'a list' is no duration"),
        (Cursor.texts, "a", "must be a list, not a text"),
        (Cursor.texts, "[a, 1]", 'write "1" in quotes'),
        (Cursor.numbers, "[1, x]", "must be a number, not a text"),
        (Cursor.reader, "[1]", "must be a map, not a list"),
        (Cursor.reader, "", "is empty"),
    ],
)
def test_bad_values_are_none_with_a_sentence(
    read: Callable[[Cursor], object], written: str, message: str
) -> None:
    reader, problems = reading(f"k: {written}")
    assert read(reader.at("k")) is None
    assert len(problems) == 1
    assert message in problems[0].message


def test_bounds_words_and_lengths() -> None:
    reader, problems = reading("n: 7\nw: middel\nl: [1, 2]")
    assert reader.at("n").number(0, 5) is None
    assert reader.at("n").integer(low=8) is None
    assert reader.at("n").number(high=6) is None
    assert reader.at("w").choice(["first", "middle", "last"]) is None
    assert reader.at("l").numbers(length=3) is None
    assert [problem.message for problem in problems] == [
        "7 is not in 0..5",
        "7 is not at least 8",
        "7 is not at most 6",
        "'middel' is not first, middle or last (did you mean middle?)",
        "must have 3 elements, not 2",
    ]


def test_needed_and_unknown_keys() -> None:
    reader, problems = reading("lenght: 1\noff: 2\nzzz: 3\nsub: {}")
    reader.need("length").integer()
    reader.need("width").integer()
    reader.at("sub").reader()
    reader.close()
    assert [(problem.path, problem.line, problem.column) for problem in problems] == [
        ("width", 1, 1),
        ("lenght", 1, 1),
        ("off", 2, 1),
        ("zzz", 3, 1),
    ]
    assert problems[0].message == "is missing"
    assert problems[1].message == "unknown key 'lenght' (did you mean length?)", (
        "and not that length is missing"
    )
    assert problems[2].message == "unknown key 'off'; known: length, sub, width; YAML 1.1 makes it a boolean"


def test_lists_of_maps_and_named_entries() -> None:
    reader, problems = reading("l: [{a: 1}, 2, {a: 3}]\nm: {x: 1, y: 2}")
    assert [one.need("a").integer() for one in reader.at("l").readers()] == [1, 3]
    assert [str(problem) for problem in problems] == ["f:1:13: l[1]: must be a map, not a number"]
    named = reader.at("m").reader()
    assert named is not None
    assert [(key, cursor.path, cursor.integer()) for key, cursor in named.each()] == [
        ("x", "m.x", 1),
        ("y", "m.y", 2),
    ]
    named.close()
    named.say("odd", severity="warning")
    assert (problems[-1].path, problems[-1].severity) == ("m", "warning")
