"""pipeline.emit: names, topics, tags, copies."""

from typing import Any

import pytest

from edgex_inference.contracts.bindings import Binding, Publish
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, events, topics, values
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.pipeline.publishing.emit import Sender


def binding(**publish: Any) -> Binding:
    return Binding(profile="pump", resource="X", name="B", model=None, outputs=(), publish=Publish(**publish))


def sent(sender: Sender, one: Binding, device: str = "p-1") -> list[Message]:
    _, profile, name = sender.names(one, device)
    reading = values.reading("Y", 1.5, ValueType.FLOAT32, device=name, profile=profile, origin=7)
    return list(sender.result(one, device, [reading], origin=7, correlation_id="trace", tags={"model": "m"}))


def read(message: Message) -> Event:
    event = events.read(envelope.read(message))
    assert event is not None
    return event


@pytest.mark.parametrize(
    ("publish", "topic", "device"),
    [
        ({}, "edgex/events/device/app-inference/pump-inference/p-1/B", "p-1"),
        ({"as_": "device"}, "edgex/events/device/device-inference/pump-inference/p-1-B/B", "p-1-B"),
        ({"topic_prefix": "events/app"}, "edgex/events/app/app-inference/pump-inference/p-1/B", "p-1"),
        (
            {"topic_prefix": "results", "as_": "device"},
            "edgex/results/device-inference/pump-inference/p-1-B/B",
            "p-1-B",
        ),
    ],
)
@pytest.mark.parametrize("major", ["3", "4", None])
def test_names_and_topics(publish: dict[str, Any], topic: str, device: str, major: Any) -> None:
    dialect = Dialect(major=major)
    (message,) = sent(Sender(dialect=dialect), binding(**publish))
    event = read(message)
    assert message.topic == topic
    assert (event.device_name, event.profile_name, event.source_name) == (device, "pump-inference", "B")
    assert message.topic.split("/")[-3:] == [event.profile_name, event.device_name, event.source_name]
    assert (event.origin, event.tags) == (7, {"model": "m"})
    assert envelope.read(message).correlation_id == "trace"
    assert topics.is_own_topic(dialect, message.topic)
    assert topics.is_own_event(event)


@pytest.mark.parametrize(
    ("publish", "topic"),
    [
        ({}, "edgex/events/device/pump-inference/p-1/B"),
        ({"as_": "device"}, "edgex/events/device/pump-inference/p-1-B/B"),
        ({"topic_prefix": "results"}, "edgex/results/pump-inference/p-1/B"),
    ],
)
def test_edgex_2_has_no_service_level(publish: dict[str, Any], topic: str) -> None:
    dialect = Dialect(major="2")
    (message,) = sent(Sender(dialect=dialect), binding(**publish))
    event = read(message)
    assert (message.topic, event.api_version) == (topic, "v2")
    assert not topics.is_own_topic(dialect, message.topic)
    assert topics.is_own_event(event)
    assert [one.topic for one in sent(Sender(dialect=dialect), binding(rules=True))][1] == "rules-events"


def test_another_service_key_and_names_that_break_topics() -> None:
    sender = Sender(service_key="app-inference-7")
    (message,) = sent(sender, binding(), "line/7")
    assert message.topic == "edgex/events/device/app-inference-7/pump-inference/line%2F7/B"
    assert topics.is_own_topic(Dialect(), message.topic, service_key="app-inference-7")
    assert read(message).device_name == "line/7"


def test_a_bare_copy_for_rule_engines() -> None:
    whole, bare = sent(Sender(dialect=Dialect(major="4")), binding(rules=True))
    assert bare.topic == "edgex/rules-events"
    assert read(bare) == read(whole)
    assert b'"event":' in whole.payload
    assert b'"event":' not in bare.payload


def test_each_event_has_an_id_of_its_own() -> None:
    assert len({read(sent(Sender(), binding())[0]).id for _ in range(9)}) == 9


def test_a_status_is_an_event_of_the_same_source() -> None:
    (message,) = Sender().status(binding(as_="device"), "p-1", "inactive", "no model", origin=9)
    event = read(message)
    assert message.topic == "edgex/events/device/device-inference/pump-inference/p-1-B/B"
    assert {one.resource_name: one.value for one in event.readings} == {
        "InferenceStatus": "inactive",
        "InferenceReason": "no model",
    }
    assert {one.value_type for one in event.readings} == {"String"}
    assert (event.origin, event.tags) == (9, None)


def test_a_tag_is_never_empty() -> None:
    assert (
        read(Sender().result(binding(), "d", [_reading()], origin=1, correlation_id="", tags={})[0]).tags
        is None
    )


def _reading() -> Reading:
    return values.reading("Y", 1, ValueType.INT8, device="d", profile="pump-inference", origin=1)
