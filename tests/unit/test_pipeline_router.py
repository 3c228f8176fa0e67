"""pipeline.router: messages to the runs that want them, own ones to nobody."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgex_inference.bindings.book import load
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import new_id
from edgex_inference.pipeline import router as room
from edgex_inference.pipeline.intake import Item
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.router import Router
from edgex_inference.pipeline.running.order import Order

BLOCK = {"model": {"name": "m"}, "outputs": {"Y": {"value": "y", "type": "Float32Array"}}}


class FakeRun:
    """Takes items, and lets go of them when told."""

    def __init__(self, order: Order, before: Order | None) -> None:
        self.binding, self.inactive = order.binding, order.inactive
        self.items: list[Item] = []

    def wants(self, event: Event) -> bool:
        return any(reading.resource_name == self.binding.resource for reading in event.readings)

    def offer(self, *items: Item) -> None:
        self.items += items


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Router]:
    def build(*files: object) -> Router:
        for number, content in enumerate(files):
            (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(content))
        start: Any = FakeRun
        return Router(load(tmp_path), start, sender=Sender(), max_bytes=1000)

    return build


def profile(name: str = "pump", **resources: dict[str, Any] | None) -> dict[str, Any]:
    found = []
    for resource, blocks in resources.items():
        optional = {"optional": {"inference": blocks}} if blocks else {}
        found.append({"name": resource, "properties": {"valueType": "Float32", "readWrite": "R", **optional}})
    return {"name": name, "deviceResources": found}


def message(device: str = "p", resource: str = "X", profile: str = "pump", topic: str = "") -> Message:
    reading = Reading(
        resource_name=resource,
        value_type="Float32",
        value="1",
        origin=7,
        device_name=device,
        profile_name=profile,
    )
    event = Event(api_version="v3", id=new_id(), device_name=device, profile_name=profile, source_name="s",
                  origin=7, readings=(reading,))  # fmt: skip
    topic = topic or f"edgex/events/device/device-virtual/{profile}/{device}/s"
    return wire.encode(event, topic=topic, correlation_id="trace", dialect=Dialect(major="4"))


def taken(router: Router, *messages: Message) -> list[int]:
    """How many times each message was acknowledged at once."""
    told = [0] * len(messages)

    def acknowledge(message: Message) -> None:
        told[next(number for number, one in enumerate(messages) if one is message)] += 1

    router.take(messages, acknowledge)
    return told


def test_an_event_goes_to_every_binding_that_wants_it(made: Callable[..., Router]) -> None:
    router = made(profile(X={"A": BLOCK, "B": BLOCK}, Z={"C": BLOCK}))
    told = [0]
    router.take([message()], lambda _: told.__setitem__(0, told[0] + 1))
    runs: dict[str, Any] = {run.binding.name: run for run in router.runs}
    assert {name: len(run.items) for name, run in runs.items()} == {"A": 1, "B": 1, "C": 0}
    (item,) = runs["A"].items
    assert (item.event.device_name, item.correlation_id) == ("p", "trace")
    item.receipt.release()
    assert told == [0]
    runs["B"].items[0].receipt.release()
    assert told == [1], "acknowledged when both are through"
    assert router.traffic.messages.by_word() == {"matched": 1}


def test_what_nobody_wants_is_acknowledged_at_once(made: Callable[..., Router]) -> None:
    router = made(profile(X={"A": BLOCK}))
    assert taken(router, message(resource="Z"), message(profile="fan"), message()) == [1, 1, 0]
    assert router.traffic.messages.by_word() == {"matched": 1, "unmatched": 2}


def test_own_events_are_told_by_topic_and_by_profile(made: Callable[..., Router]) -> None:
    router = made(profile(X={"A": BLOCK}), profile("pump-inference", Y={"B": BLOCK}))
    own = message(resource="Y", profile="pump-inference", topic="edgex/events/device/app-inference/p/d/s")
    republished = message(resource="Y", profile="pump-inference", topic="edgex/rules-events")
    assert taken(router, message(), own, republished) == [0, 1, 1]
    assert router.traffic.messages.by_word() == {"matched": 1, "own": 2}
    assert router.traffic.decode.summary().count == 2, "of own topics nothing is decoded"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x01", "envelope"),
        (b"{" + b" " * 1000, "size"),
        (b'{"payload": 7, "contentType": "application/json"}', "event"),
    ],
)
def test_what_cannot_be_read_is_counted_and_said_once_for_each_topic(
    payload: bytes, reason: str, made: Callable[..., Router], caplog: pytest.LogCaptureFixture
) -> None:
    router = made(profile(X={"A": BLOCK}))
    assert taken(router, *(Message(topic, payload) for topic in ("a", "a", "b"))) == [1, 1, 1]
    assert router.traffic.invalid.by_word() == {reason: 3}
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2


def test_not_every_message_is_an_event(made: Callable[..., Router]) -> None:
    router = made()
    metric = b'{"payload": {"name": "x"}, "contentType": "application/json"}'
    assert taken(router, Message("t", metric)) == [1]
    assert router.traffic.messages.by_word() == {"notEvent": 1}


def test_memories_are_bounded(made: Callable[..., Router], monkeypatch: pytest.MonkeyPatch,
                              caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    for name in ("_MOST_WARNINGS", "_MOST_HEARD", "_MOST_RUNS"):
        monkeypatch.setattr(room, name, 3)
    router = made({"match": {"profile": "*", "resource": "X"}, "inference": {"A": BLOCK}})
    told = taken(router, *(message(f"d{n}", profile=f"p{n}") for n in range(9)))
    assert told == [0] * 3 + [1] * 6
    assert len(router.runs) == 3
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    assert len(router.runs_heard("d2")) == 1
    assert router.runs_heard("d8") == ()
    taken(router, *(Message(f"t{n}", b"\x01") for n in range(9)))
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 3


def test_a_broken_block_has_one_stand_in_for_all_devices(made: Callable[..., Router]) -> None:
    router = made(profile(X={"A": {**BLOCK, "publish": {"when": "never"}}}))
    runs: set[Any] = {run for device in ("", "p", "q") for run in router.runs_of("pump", device)}
    (run,) = runs
    assert "never" in run.inactive
    assert (run.binding.profile, run.binding.name, run.binding.model) == ("pump", "A", None)


def test_what_is_not_built_yet_says_so(made: Callable[..., Router]) -> None:
    router = made(profile(X={"A": {**BLOCK, "window": {"length": "1s"}}}))
    (run,) = router.runs_of("pump", "p")
    assert run.inactive.startswith("not yet supported: window")  # type: ignore[attr-defined]


def test_the_page_knows_devices_of_the_files_and_those_heard(made: Callable[..., Router]) -> None:
    device = {"name": "d1", "profileName": "pump", "properties": {}}
    router = made(profile(X={"A": BLOCK}), {"deviceList": [device]})
    assert len(router.runs_heard("d1")) == 1
    assert router.runs_heard("d2") == ()
    taken(router, message("d2"))
    assert len(router.runs_heard("d2")) == 1


def test_a_disabled_binding_takes_nothing(made: Callable[..., Router]) -> None:
    router = made(profile(X={"A": {**BLOCK, "enabled": False}}))
    assert taken(router, message()) == [1]


def test_the_first_message_of_others_tells_which_edgex_it_is(made: Callable[..., Router]) -> None:
    """Our own results, which may have come back from a bus of another major, tell nothing."""
    router = made(profile(X={"A": BLOCK}))
    dialect = Dialect(major="2")
    taken(router, message(), message(profile="pump-inference"))
    assert router._sender.dialect.major == "4"
    other = made(profile(X={"A": BLOCK}))
    other.runs_of("pump", "p")
    for name in ("pump-inference", "pump"):
        reading = Reading(
            resource_name="X", value_type="Float32", value="1", origin=7, device_name="p", profile_name=name
        )
        event = Event(api_version="v2", id=new_id(), device_name="p", profile_name=name, source_name="s",
                      origin=7, readings=(reading,))  # fmt: skip
        topic = f"edgex/events/device/{name}/p/s"
        taken(other, wire.encode(event, topic=topic, correlation_id="", dialect=dialect))
        assert other._sender.dialect.major == (None if name == "pump-inference" else "2")
    assert other.traffic.messages.by_word() == {"matched": 1, "own": 1}
