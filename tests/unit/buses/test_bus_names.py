"""Topics become channels, subjects and prefixes, and what matches there is what matches in MQTT, or more."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.buses.nats import subjects
from edgex_inference.buses.redis import channels
from edgex_inference.buses.topics import matches
from edgex_inference.buses.zeromq.bus import _prefix

LEVELS = st.text(
    st.characters(exclude_characters="/+#\0", exclude_categories=("Cs",)), min_size=1, max_size=4
)
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join)


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=4))
    return "/".join([*levels, "#"] if draw(st.booleans()) else levels)


@st.composite
def matching(draw: st.DrawFn) -> tuple[str, str]:
    """A filter and a topic that it lets through, or nearly."""
    text = draw(filters())
    levels = [draw(LEVELS) if level == "+" else level for level in text.split("/")]
    if levels[-1] == "#":
        levels[-1:] = draw(st.lists(LEVELS, max_size=2))
    return text, "/".join(levels)


def nats_hears(pattern: str, subject: str) -> bool:
    """NATS's own rule."""
    return subjects.has(pattern, subject)


@given(matching())
def test_redis_hears_all_that_the_filter_lets_through(pair: tuple[str, str]) -> None:
    text, topic = pair
    if not topic or not matches(text, topic):
        return
    patterns = channels.Patterns()
    for pattern in channels.patterns_of([text]):
        patterns.add(pattern)
    channel = channels.channel_of(topic)
    assert any(regex.fullmatch(channel) for regex in patterns.in_force.values())
    assert matches(channels.escaped(text), channels.topic_of(channel))


@given(matching())
def test_nats_hears_all_that_the_filter_lets_through(pair: tuple[str, str]) -> None:
    text, topic = pair
    if not topic or not matches(text, topic):
        return
    wanted = [subjects.wildcard_of(text)]
    if parent := subjects.parent_of(text):
        wanted.append(subjects.wildcard_of(parent))
    subject = subjects.subject_of(topic)
    assert any(nats_hears(one, subject) for one in wanted)
    assert matches(subjects.escaped(text), subjects.topic_of(subject))
    assert not re.search(r"[\s*>]", subject)


@given(st.lists(filters(), min_size=1, max_size=3))
def test_one_subject_has_what_each_filter_has(texts: list[str]) -> None:
    joined = subjects.single_subject(texts)
    for text in texts:
        assert subjects.has(joined, subjects.wildcard_of(text))


@given(matching())
def test_a_prefix_begins_all_that_the_filter_lets_through(pair: tuple[str, str]) -> None:
    text, topic = pair
    if topic and matches(text, topic):
        assert topic.encode().startswith(_prefix(text))


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["edgex/events/#"], "edgex.events.>"),
        (["edgex/events/device/a/#", "edgex/events/device/b/#"], "edgex.events.device.*.>"),
        (["t/+/x", "t/end"], "t.>"),
        (["t/a", "t/b"], "t.*"),
        (["t/a/#", "t/a/b"], "t.a.>"),
    ],
)
def test_the_subject_of_several_filters(texts: list[str], joined: str) -> None:
    assert subjects.single_subject(texts) == joined


def test_the_copy_of_the_first_pattern_counts() -> None:
    patterns = channels.Patterns()
    for pattern in ("t.*.c", "t.a.*"):
        patterns.add(pattern)
    assert patterns.counts("t.*.c", "t.a.c")
    assert not patterns.counts("t.a.*", "t.a.c")
    assert patterns.counts("t.a.*", "t.a.d")
    patterns.remove("t.*.c")
    assert patterns.counts("t.a.*", "t.a.c")
