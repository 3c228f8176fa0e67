"""Faults from outside, as docs/reference/faults.md has them: what becomes of the events, and where it is seen."""

import logging
import time
from typing import Any

import pytest
from msgspec.structs import replace

from edgex_inference.contracts.messages import Message
from edgex_inference.pipeline.alerting import conditions, lookout

HOUR = 3600 * 10**9
TOPIC = "edgex/events/device/device-virtual/pump/p/All"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_LOOK", 0.02)
    monkeypatch.setattr(conditions, "_CALM", 3600.0)  # nothing is over before a test has seen it


def lines(caplog: pytest.LogCaptureFixture, text: str) -> list[int]:
    """The levels of the lines with this text."""
    return [record.levelno for record in caplog.records if text in record.getMessage()]


async def shown(stage: Any) -> tuple[int, str]:
    """Status and reasons of /ready."""
    status, body = await stage.get("/ready")
    return status, "; ".join(body["reasons"])


async def counted(stage: Any) -> Any:
    return (await stage.get("/api/v3/inference/traffic"))[1]


def at(make: Any, device: str, origin: int, value: float, **more: Any) -> Any:
    """An event that was captured then, readings and all."""
    made = make.event(device, X=value, origin=origin, **more)
    return replace(made, readings=tuple(replace(one, origin=origin) for one in made.readings))


async def over(stage: Any) -> None:
    """Waits until nothing is amiss any more, which from now on takes a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conditions, "_CALM", 0.0)
        await stage.until(lambda: not stage.service.lookout.told)


async def told(stage: Any, text: str) -> None:
    """Waits until the service says that this is amiss: a look may come between two cases of it."""
    await stage.until(lambda: any(text in one for one in stage.service.lookout.told))


@pytest.mark.parametrize("when", ["start", "later"])
async def test_the_bus_is_away(stage: Any, make: Any, caplog: pytest.LogCaptureFixture, when: str) -> None:
    stage.simple()
    if when == "start":
        stage.hub.stop()
    async with stage.running() as service:
        if when == "later":
            assert (await shown(stage)) == (200, "")
            stage.hub.stop()
        await stage.until(lambda: service.lookout.conditions.counts.total("bus") == 1)
        assert (await shown(stage)) == (503, "the message bus is away")
        stage.hub.start()
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        assert (await shown(stage)) == (200, "")
        assert (await counted(stage))["conditions"]["bus"] == 1
    assert len(lines(caplog, "'memory' is connected")) == (1 if when == "start" else 2)
    assert lines(caplog, "'memory' lost its connection") == [logging.WARNING]


async def test_garbage(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.simple()
    async with stage.running() as service:
        for number in range(3):
            await stage.send(Message(TOPIC, b"\x00garbage"), make.event("p", X=number))
        await stage.have(3)
        await told(stage, "(3 so far)")
        status, reasons = await shown(stage)
        assert status == 200
        assert reasons == "messages that cannot be read are dropped: envelope (3 so far)"
        await over(stage)
        seen = await counted(stage)
        assert seen["invalid"] == {"envelope": 3}
        assert seen["conditions"]["refused"] == 1
        assert lines(caplog, "dropped as envelope") == [logging.WARNING]
        assert lines(caplog, "all messages can be read again; there were 3") == [logging.INFO]
        await stage.send(Message(TOPIC, b"\x00garbage"))
        await stage.until(lambda: bool(service.lookout.told))
    assert lines(caplog, "messages that cannot be read are dropped: envelope") == [logging.WARNING]


async def test_the_same_event_twice(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.simple()
    async with stage.running():
        one = make.event("p", X=1)
        await stage.send(one)
        await stage.have(1)
        await stage.send(one, one, make.event("p", X=2))
        await stage.have(2)
        assert (await counted(stage))["messages"]["repeated"] == 2
        assert (await shown(stage)) == (200, "")
    assert [found.values["Y"] for found in stage.results()] == ["3e+00", "5e+00"]
    assert lines(caplog, "has come before; it is not inferred again") == [logging.INFO]


async def test_the_same_event_twice_at_once(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"timeout": "30s"})
    async with stage.running():
        strings.always = "slow"
        strings.delay = 0.05
        one = make.event("p", X=1)
        await stage.send(one, one, make.event("p", X=2))
        await stage.have(2)
    assert [found.values["Y"] for found in stage.results()] == ["3e+00", "5e+00"]


async def test_out_of_order(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.simple()
    async with stage.running():
        for origin in (3 * HOUR, HOUR, 2 * HOUR, 4 * HOUR):
            await stage.send(at(make, "p", origin, origin // HOUR))
        await stage.send(at(make, "p", 1, 9, source="Another"), at(make, "q", 1, 9))
        await stage.have(6)
        await told(stage, "(2 so far)")
        status, reasons = await shown(stage)
        assert status == 200
        assert (
            "events come out of order, and are inferred as they come: p: All came 3600.000 s too late"
            in reasons
        )
        await over(stage)
        seen = await counted(stage)
        assert seen["origins"] == {"future": 0, "outOfOrder": 2}
        assert seen["conditions"]["outOfOrder"] == 1
    found = [(one.values["Y"], one.event.origin // HOUR) for one in stage.results("p")]
    assert found[:4] == [("7e+00", 3), ("3e+00", 1), ("5e+00", 2), ("9e+00", 4)], (
        "as they came, each its origin"
    )
    assert lines(caplog, "events come out of order") == [logging.WARNING]
    assert lines(caplog, "events come in order again; there were 2") == [logging.INFO]


async def test_from_the_future(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is inferred, its result has its origin, it hides nothing of what follows, and is not too old for anything."""
    stage.simple(limits={"maxAge": "30s"})
    now = time.time_ns()
    tomorrow = now + 24 * HOUR
    async with stage.running():
        await stage.send(at(make, "p", tomorrow, 1), at(make, "p", time.time_ns(), 2))
        await stage.have(2)
        await told(stage, "(1 so far)")
        status, reasons = await shown(stage)
        assert status == 200
        assert "events come from the future, and are inferred as they are: p is 86" in reasons
        assert "s ahead of this machine's clock (1 so far)" in reasons
        await over(stage)
        seen = await counted(stage)
        assert seen["origins"] == {"future": 1, "outOfOrder": 0}
        assert seen["conditions"]["future"] == 1
        assert stage.counters()["dropped"] == {}
    first, second = stage.results()
    assert first.event.origin == tomorrow
    assert now <= second.event.origin < tomorrow
    assert lines(caplog, "events come from the future, and") == [logging.WARNING]
    assert lines(caplog, "no more events come from the future; there were 1") == [logging.INFO]


async def test_from_the_future_and_left_waiting_too_long(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"maxAge": "50ms", "timeout": "30s"})
    async with stage.running():
        strings.always, strings.delay = "slow", 0.2
        far = time.time_ns() + 24 * HOUR
        for number in range(4):
            await stage.send(at(make, "p", far + number, number))
        counters = await stage.through(4)
    assert counters["dropped"]["maxAge"] >= 1


@pytest.mark.parametrize(("overload", "word"), [("all", "queueFull"), ("latest", "overtaken")])
async def test_a_flood(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture, overload: str, word: str
) -> None:
    """Far more than can be inferred: what is dropped is counted, all the rest is answered in order, and it ends."""
    strings = stage.simple(limits={"overload": overload, "queue": 20, "timeout": "30s"})
    async with stage.running() as service:
        strings.always = "hang"
        (run,) = service.router.runs
        for number in range(2000):
            await stage.send(at(make, "p", number + 1, number))
            assert run.queued <= 20
        strings.always = "ok"
        strings.release.set()
        counters = await stage.through(2000)
        assert counters["dropped"][word] > 100, "most of it, however slow the sender is"
        assert counters["dropped"][word] + counters["published"] == 2000
        if overload == "all":
            await stage.until(lambda: service.lookout.conditions.counts.total("overload") == 1)
            await over(stage)
        status, reasons = await shown(stage)
        assert (status, reasons) == (200, "")
        assert (await counted(stage))["conditions"]["overload"] == (overload == "all")
        await stage.send(at(make, "p", 5000, 5000))
        await stage.until(lambda: stage.results()[-1].event.origin == 5000)
    origins = [one.event.origin for one in stage.results()]
    assert origins == sorted(origins)
    begins = lines(caplog, "gets more events than it can infer: some are dropped as queueFull")
    assert begins == ([logging.WARNING] if overload == "all" else [])
    assert lines(caplog, "binding Twice keeps up again") == ([logging.INFO] if overload == "all" else [])


async def test_a_flood_is_shown_while_it_lasts(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"queue": 1, "timeout": "30s"})
    async with stage.running() as service:
        strings.always = "hang"
        for number in range(20):
            await stage.send(make.event("p", X=number))
        await stage.until(lambda: bool(service.lookout.told))
        status, reasons = await shown(stage)
        assert status == 200
        assert reasons.startswith("profile pump: binding Twice gets more events than it can infer: ")
        strings.always = "ok"
        strings.release.set()


async def test_a_flood_of_device_names_fills_nothing(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgex_inference.pipeline import origins

    monkeypatch.setattr(origins, "_MOST", 5)
    stage.simple()
    async with stage.running() as service:
        await stage.send(*(make.event(f"p{number}", X=number) for number in range(50)))
        await stage.have(50)
        assert len(service.router.traffic.origins._last) == 5
