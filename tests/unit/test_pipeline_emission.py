"""pipeline.emission: one fate for each item, timers that never undo what is newer, status on change."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgex_inference.contracts.bindings import Binding, Publish
from edgex_inference.contracts.errors import BusUnavailable, DeadlineExceeded, EnvelopeError, InferenceFailed
from edgex_inference.contracts.events import Event, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.results import Raw
from edgex_inference.edgex import envelope, events
from edgex_inference.pipeline.emission import Emission, Outlet
from edgex_inference.pipeline.intake import Item, Receipt
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.publishing.outputs import Column
from edgex_inference.pipeline.publishing.policy import Policy


@dataclass
class Rig:
    """An Emission with a clock that stands still, timers that are fired by hand, and a bus that may fail."""

    publish: Publish
    now: float = 100.0
    error: Exception | None = None
    gate: asyncio.Event | None = None
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    out: list[dict[str, Any]] = field(default_factory=list)
    measures: Measures = field(default_factory=Measures)

    def __post_init__(self) -> None:
        binding = Binding(
            profile="pump", resource="X", name="B", model=None, outputs=(), publish=self.publish
        )
        columns = (Column(name="Y", value="y.0", type=ValueType.INT32, units=""),)
        plan: Any = SimpleNamespace(
            binding=binding,
            card=SimpleNamespace(name="m"),
            accelerator="fake:CPU",
            standing="fake:CPU answers",
            columns=columns,
            policy=Policy.of(self.publish, {"Y": ValueType.INT32}),
            decide=None,
            tags={},
        )
        outlet = Outlet(publish=self.take, sender=Sender(), clock=lambda: self.now, wall_clock=lambda: 5)
        self.emission = Emission(plan, outlet, self.measures)

    async def take(self, messages: Sequence[Message]) -> None:
        if self.error is not None:
            raise self.error
        if self.gate is not None:
            await self.gate.wait()
        for message in messages:
            event = events.read(envelope.read(message))
            assert event is not None
            self.out.append({one.resource_name: one.value for one in event.readings})

    def result(self, number: float, device: str = "p", origin: int = 7) -> Any:
        return self.emission.result(item(device), origin, Raw(tensors={"y": np.array([number])}))

    async def say(self, number: float, device: str = "p") -> bool:
        return await self.emission.send(self.result(number, device))

    async def fire(self) -> None:
        """Lets the newest timer go off when it is due, and what it starts run."""
        delay, callback = self.timers[-1]
        self.now += delay
        callback()
        await asyncio.sleep(0)

    def counters(self) -> dict[str, Any]:
        return {key: value for key, value in self.measures.counters().items() if value}

    @property
    def numbers(self) -> list[Any]:
        return [one["Y"] for one in self.out if "Y" in one]

    @property
    def statuses(self) -> list[Any]:
        return [one["InferenceStatus"] for one in self.out if "InferenceStatus" in one]


def item(device: str = "p") -> Item:
    event = Event(api_version="v3", id="i", device_name=device, profile_name="pump", origin=9, readings=())
    return Item(event, "trace", 99.5, Receipt(lambda: None))


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rig]:
    loop = asyncio.get_running_loop()

    def build(**publish: Any) -> Rig:
        made = Rig(Publish(**publish))

        def call_later(delay: float, callback: Callable[..., None], *arguments: Any) -> Any:
            made.timers.append((delay, lambda: callback(*arguments)))
            return SimpleNamespace(cancel=lambda: made.cancelled.append(len(made.timers)))

        monkeypatch.setattr(loop, "call_later", call_later)
        return made

    return build


async def test_status_first_then_the_result(rig: Callable[..., Rig]) -> None:
    one = rig()
    assert await one.say(1)
    assert await one.say(2)
    assert [next(iter(said)) for said in one.out] == ["InferenceStatus", "Y", "Y"]
    assert one.counters() == {"published": 2}


async def test_a_failed_run_is_counted_once(rig: Callable[..., Rig]) -> None:
    one = rig()
    one.error = BusUnavailable("away")
    parcel = one.emission.failed(item(), DeadlineExceeded("too late"))
    assert await one.emission.send(parcel), "there is no result to wait for"
    assert one.counters() == {"failed": {"deadline": 1}}
    assert one.emission.trouble == "p: too late"
    one.error = None
    await one.emission.send(one.emission.failed(item(), InferenceFailed("again")))
    assert one.statuses == ["degraded"], "what was lost is said again"


async def test_without_the_bus_nothing_counts_as_published(rig: Callable[..., Rig]) -> None:
    one = rig(when="change")
    one.error = BusUnavailable("away")
    assert not await one.say(1)
    assert one.counters() == {"failed": {"bus": 1}}
    one.error = None
    assert await one.say(1)
    assert one.numbers == ["1"]
    assert one.statuses == ["running"]


async def test_a_message_that_no_bus_takes_is_dropped(
    rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture
) -> None:
    one = rig()
    one.error = EnvelopeError("t", "too long", reason="topic")
    for _ in range(3):
        assert await one.say(1)
    assert one.counters() == {"dropped": {"topic": 3}}
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


async def test_unfit_numbers_degrade_until_they_fit(rig: Callable[..., Rig]) -> None:
    one = rig()
    await one.say(float("nan"))
    assert one.emission.trouble == "p: Y: a value that is missing or does not fit its type"
    assert one.counters() == {"unfit": 1, "suppressed": 1}
    await one.say(1)
    assert one.emission.trouble == ""
    assert one.statuses == ["degraded", "running"]


@pytest.mark.parametrize("origin", [0, -5, 2**63])
async def test_an_origin_that_is_no_time_is_replaced_by_the_events(
    origin: int, rig: Callable[..., Rig]
) -> None:
    one = rig()
    (message,) = one.result(1, origin=origin).result
    event = events.read(envelope.read(message))
    assert event is not None
    assert {event.origin, event.readings[0].origin} == {9}


async def test_a_held_result_is_published_by_the_timer(rig: Callable[..., Rig]) -> None:
    one = rig(min_interval=10.0)
    for number in range(4):
        await one.say(number)
    assert one.counters() == {"published": 1, "suppressed": 2}, "the newest is still to come"
    await one.fire()
    assert one.numbers == ["0", "3"]
    assert one.counters() == {"published": 2, "suppressed": 2}


async def test_a_held_result_that_meets_no_bus_has_failed(rig: Callable[..., Rig]) -> None:
    one = rig(min_interval=10.0)
    await one.say(0)
    await one.say(1)
    one.error = BusUnavailable("away")
    await one.fire()
    assert one.counters() == {"published": 1, "failed": {"bus": 1}}


async def test_a_held_result_at_the_end_is_suppressed(rig: Callable[..., Rig]) -> None:
    one = rig(min_interval=10.0)
    await one.say(0)
    await one.say(1)
    assert one.cancelled == []
    one.emission.close()
    assert one.counters() == {"published": 1, "suppressed": 1}
    assert one.cancelled == [1], "and its timer stopped"


async def test_a_held_result_that_is_leaving_at_the_end_is_suppressed(rig: Callable[..., Rig]) -> None:
    """Whether its task has begun, and waits for the bus, or not."""
    for begun in (False, True):
        one = rig(min_interval=10.0)
        await one.say(0)
        await one.say(1)
        one.gate = asyncio.Event()
        delay, callback = one.timers[-1]
        one.now += delay
        callback()
        if begun:
            await asyncio.sleep(0)
        assert len(one.emission.leaving) == 1
        one.emission.close()
        await asyncio.sleep(0)
        assert one.counters() == {"published": 1, "suppressed": 1}


async def test_a_repetition_never_follows_what_is_newer(rig: Callable[..., Rig]) -> None:
    """The timer goes off in the same turn of the loop in which a newer result leaves."""
    one = rig(keep_alive=60.0)
    await one.say(1)
    delay, callback = one.timers[-1]
    one.now += delay
    callback()
    await one.say(2)
    await asyncio.sleep(0)
    assert one.numbers == ["1", "2"]
    await one.fire()
    assert one.numbers == ["1", "2", "2"]
    assert one.counters() == {"published": 2, "repeated": 1}


async def test_a_bad_status_is_kept_alive_too(rig: Callable[..., Rig]) -> None:
    one = rig(keep_alive=60.0)
    await one.emission.send(one.emission.failed(item(), InferenceFailed("no")))
    await one.emission.send(one.emission.failed(item(), InferenceFailed("no")))
    assert len(one.timers) == 1, "failures do not put it off"
    await one.fire()
    await one.fire()
    assert one.statuses == ["degraded"] * 3
    await one.say(1)
    await one.fire()
    assert one.statuses == ["degraded"] * 3 + ["running"]
    assert one.numbers == ["1", "1"]


async def test_trouble_is_said_aloud_once_in_a_while(
    rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="edgex_inference")
    one = rig()
    for pause in (0, 1, 1, 60):
        one.now += pause
        await one.emission.send(one.emission.failed(item(), InferenceFailed("no")))
        await one.say(1)
    levels = [record.levelname for record in caplog.records if "binding B" in record.getMessage()]
    assert levels == ["WARNING", "INFO", "WARNING", "INFO"]
