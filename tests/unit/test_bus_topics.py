"""Topics and filters: MQTT's rules, covers, and covers without overlap."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.buses.topics import (
    TopicMap,
    covers,
    disjoint_cover,
    matches,
    minimal_cover,
    mistake_in_filter,
    mistake_in_topic,
    overlaps,
)

WORDS = ("a", "$s", "")
"""What filters are made of; topics have one word more, and are one level deeper, than any filter spells out. The
empty text counts as one too, though MQTT has no such topic: `+` and `/#` meet there."""
TOPICS = ["/".join(levels) for count in range(1, 5) for levels in product((*WORDS, "z"), repeat=count)]


def _filter() -> st.SearchStrategy[str]:
    levels = st.lists(st.sampled_from([*WORDS, "+"]), min_size=0, max_size=2)
    return st.builds(
        lambda some, end: "/".join([*some, *end]), levels, st.sampled_from([[], ["#"], ["+"], ["a"]])
    ).filter(bool)


def _passes(pattern: str, topic: str) -> bool:
    """MQTT's rules once more, written without regard to speed."""
    if topic.startswith("$") and pattern[0] in "+#":
        return False
    wanted, given_levels = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        given_levels = (
            given_levels[: len(wanted)] if len(given_levels) >= len(wanted) else ["#too", "short#"] * 5
        )
    return len(wanted) == len(given_levels) and all(
        w in ("+", level) for w, level in zip(wanted, given_levels, strict=True)
    )


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/", True),
        ("a/#", "ab", False),
        ("#", "a/b/c", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("$SYS/+", "$SYS/x", True),
        ("a/+/c", "a//c", True),
        ("+", "a/b", False),
        ("+/+", "/a", True),
        ("edgex/events/device/+/p/#", "edgex/events/device/svc/p/d/r%2Fs", True),
    ],
)
def test_matching(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected


@given(_filter())
def test_matching_follows_the_rules(pattern: str) -> None:
    assert [topic for topic in TOPICS if matches(pattern, topic)] == [
        t for t in TOPICS if _passes(pattern, t)
    ]


@given(_filter(), _filter())
def test_covers_and_overlaps_mean_what_the_topics_say(one: str, other: str) -> None:
    first = {topic for topic in TOPICS if _passes(one, topic)}
    second = {topic for topic in TOPICS if _passes(other, topic)}
    assert covers(one, other) == (second <= first)
    assert overlaps(one, other) == bool(first & second)


@given(st.lists(_filter(), max_size=6))
def test_a_minimal_cover_is_a_smallest_subset_that_lets_all_through(filters: list[str]) -> None:
    cover = minimal_cover(filters)
    assert set(cover) <= set(filters)
    assert all(any(covers(wide, text) for wide in cover) for text in filters)
    for wide in cover:
        assert not any(covers(other, wide) for other in cover if other != wide)


@given(st.lists(_filter(), max_size=6))
def test_a_disjoint_cover_lets_each_topic_through_once(filters: list[str]) -> None:
    cover = disjoint_cover(filters)
    assert all(any(covers(wide, text) for wide in cover) for text in filters)
    for topic in TOPICS:
        assert sum(_passes(wide, topic) for wide in cover) <= 1
        assert any(_passes(text, topic) for text in filters) <= any(_passes(wide, topic) for wide in cover)
    assert cover == disjoint_cover(reversed(filters))


def test_covers_by_example() -> None:
    assert minimal_cover(["a/b", "a/#", "a/+", "b"]) == ("a/#", "b")
    assert minimal_cover(["#", "+/#"]) in (("#",), ("+/#",))
    assert disjoint_cover(["a/+/c", "a/b/+"]) == ("a/+/+",)
    assert disjoint_cover(["e/+/p/#", "e/s/+/d"]) == ("e/+/+/#",)
    assert disjoint_cover(["a/b", "a/c"]) == ("a/b", "a/c")


@pytest.mark.parametrize("text", ["", "a/#/b", "a#", "a/b+", "+a", "##", "a\0", "x" * 65_536, "\ud800"])
def test_no_filters(text: str) -> None:
    assert mistake_in_filter(text)


@pytest.mark.parametrize("text", ["", "a/+", "#", "a\0b", "\ud800"])
def test_no_topics(text: str) -> None:
    assert mistake_in_topic(text)


@given(st.lists(st.tuples(_filter(), st.integers(0, 3)), max_size=8), st.sampled_from(TOPICS))
def test_a_map_finds_each_value_once_in_the_order_of_entry(
    entries: list[tuple[str, int]], topic: str
) -> None:
    table = TopicMap(entries)
    wanted = {value for pattern, value in entries if matches(pattern, topic)}
    order = list(dict.fromkeys(value for _, value in entries))
    expected = tuple(value for value in order if value in wanted)
    assert table.find(topic) == expected
    assert table.find(topic) == expected
