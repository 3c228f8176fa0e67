"""edgex.topics: one builder that knows escaping, and whose event it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.events import Event
from edgex_inference.edgex import topics
from edgex_inference.edgex.dialect import Dialect

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def made(dialect: Dialect, profile: str = "p", device: str = "d", source: str = "s", **more: str) -> str:
    return topics.event_topic(
        dialect, service="app-inference", profile=profile, device=device, source=source, **more
    )


def test_event_topics() -> None:
    assert made(Dialect()) == "edgex/events/device/app-inference/p/d/s"
    assert made(Dialect(base_topic="plant/edgex")) == "plant/edgex/events/device/app-inference/p/d/s"
    assert made(Dialect(base_topic="")) == "events/device/app-inference/p/d/s"
    assert made(Dialect(major="2")) == "edgex/events/device/p/d/s"
    assert made(Dialect(), prefix="events/app") == "edgex/events/app/app-inference/p/d/s"
    assert made(Dialect(base_topic=""), prefix="/results/") == "results/app-inference/p/d/s"
    assert made(Dialect(major="2"), prefix="results") == "edgex/results/p/d/s"
    assert made(Dialect(escape_names=True)) == "edgex/events/device/app%2Dinference/p/d/s"
    with pytest.raises(ValueError, match="empty"):
        made(Dialect(), device="")


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("a+b#c", "a%2Bb%23c"),
        ("a-b.c_d~e", "a%2Db%2Ec%5Fd%7Ee"),
        ("$&=:@", "$&=:@"),
        (";,?", "%3B%2C%3F"),
        ("100%", "100%25"),
        ("ü", "%C3%BC"),
        ("!'()*", "%21%27%28%29%2A"),
    ],
)
def test_escaping_is_gos(name: str, level: str) -> None:
    assert topics.escape(name) == level
    assert topics.unescape(level) == name


def test_without_the_switch_only_names_that_break_topics_are_escaped() -> None:
    assert made(Dialect(), device="line.7 a_b-c") == "edgex/events/device/app-inference/p/line.7 a_b-c/s"
    assert (
        made(Dialect(), device="line/7", source="50%") == "edgex/events/device/app-inference/p/line%2F7/50%25"
    )


@given(NAMES, NAMES, NAMES, st.booleans())
def test_the_last_three_levels_are_the_names(profile: str, device: str, source: str, switch: bool) -> None:
    levels = made(Dialect(escape_names=switch), profile, device, source).split("/")
    assert len(levels) == 7
    assert [topics.unescape(level) for level in levels[-3:]] == [profile, device, source]
    assert not {"+", "#"} & set("".join(levels))


def test_rules() -> None:
    assert topics.rules_topic(Dialect()) == "edgex/rules-events"
    assert topics.rules_topic(Dialect(major="2")) == "rules-events"


def test_filters() -> None:
    assert topics.event_filter(Dialect()) == "edgex/events/device/#"
    assert topics.event_filter(Dialect(), profile="p") == "edgex/events/device/+/p/#"
    assert topics.event_filter(Dialect(), profile="p", source="s") == "edgex/events/device/+/p/+/s"
    assert topics.event_filter(Dialect(), source="s") == "edgex/events/device/+/+/+/s"
    assert topics.event_filter(Dialect(major="2"), profile="p") == "edgex/events/device/p/#"
    assert (
        topics.event_filter(Dialect(), profile="p", device="a/b", source="s") == "edgex/events/device/+/p/#"
    )
    switched = Dialect(escape_names=True)
    assert topics.event_filter(switched, profile="p", device="a/b") == "edgex/events/device/+/p/a%2Fb/#"
    assert topics.under_base(Dialect(), "events/#") == "edgex/events/#"


@pytest.mark.parametrize(
    ("topic", "own"),
    [
        ("edgex/events/device/app-inference/p/d/s", True),
        ("edgex/events/device/device-inference/p/d/s", True),
        ("edgex/events/core/app-inference/p/d/s", True),
        ("edgex/results/app-inference/p/d/s", True),
        ("edgex/events/device/app%2Dinference/p/d/s", True),
        ("edgex/events/device/app-inference-2/p/d/s", True),
        ("edgex/events/device/device-virtual/p/app-inference/s", False),
        ("edgex/telemetry/app-inference/X", False),
        ("edgex/rules-events", False),
        ("", False),
    ],
)
def test_own_topics(topic: str, own: bool) -> None:
    assert topics.is_own_topic(Dialect(), topic, service_key="app-inference-2") is own


def test_own_events() -> None:
    event = Event(
        api_version="v3", id="i", device_name="d", profile_name="press-inference", origin=1, readings=()
    )
    assert topics.is_own_event(event)
    other = Event(api_version="v3", id="i", device_name="d", profile_name="press", origin=1, readings=())
    assert not topics.is_own_event(other)
