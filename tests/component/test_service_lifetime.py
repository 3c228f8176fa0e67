"""Starting, stopping, and a bus that comes and goes; nothing is left behind."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from edgex_inference.buses.bursts import one_by_one
from edgex_inference.buses.memory import MemoryBus
from edgex_inference.config.schema import Seconds
from edgex_inference.contracts.bus import Refusal
from edgex_inference.contracts.errors import BusUnavailable, SetupError
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import topics
from edgex_inference.engine.terms import LaneSettings
from edgex_inference.pipeline.journey import Journey
from edgex_inference.pipeline.planning import plan
from edgex_inference.pipeline.running import supervision


def said(caplog: pytest.LogCaptureFixture, level: int, text: str) -> int:
    return sum(record.levelno == level and text in record.getMessage() for record in caplog.records)


class Acknowledging(MemoryBus):
    """A bus at QoS 1: it notes what is acknowledged; `deaf` holds the topics whose publishing fails."""

    def __init__(self, hub: Any) -> None:
        super().__init__(hub)
        self.acknowledged: list[str] = []
        self.deaf: set[str] = set()
        self.refused = 0

    async def publish(self, message: Message) -> None:
        if message.topic.split("/")[-2] in self.deaf:
            self.refused += 1
            raise BusUnavailable("not today")
        await super().publish(message)

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Refusal]:
        return await one_by_one(self.publish, messages)

    async def done(self, messages: Sequence[Message]) -> None:
        others = [message.topic.split("/") for message in messages if "app-inference" not in message.topic]
        self.acknowledged += [device for *_, device, _ in others]


@pytest.fixture
def acknowledging(stage: Any) -> Acknowledging:
    """The service's bus, which notes acknowledgements."""
    stage.bus = Acknowledging(stage.hub)
    return stage.bus


async def test_nothing_is_left_behind(stage: Any, make: Any, threads: Callable[[], set[str]]) -> None:
    stage.simple(publish={"keepAlive": "10ms"})
    stage.profile("cam", Frame=("Binary", {"Look": make.binding(model={"name": "look"})}))
    stage.profile("fan", Z=("Float32", {"Bad": make.binding(model={"name": "none"})}))
    stage.model("look", shape=[None, 3, 1, 1], card={"inputs": {"x": {"kind": "image", "layout": "NCHW"}}})
    picture = make.reading("Frame", b"no picture", ValueType.BINARY)
    tasks = asyncio.all_tasks()
    async with stage.running():
        await stage.send(make.event("p", X=1), make.event("c", picture, profile="cam"))
        await stage.have(2)
        await stage.through(1, "Look")
        assert any(name.startswith("pixels") for name in threads())
        await stage.get("/ready")
    left = {task for task in asyncio.all_tasks() - tasks if not task.done()}
    assert not left
    await stage.until(lambda: not threads())


async def test_what_was_taken_in_gets_out(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"timeout": "30s"})
    async with stage.running() as service:
        strings.always, strings.delay = "slow", 0.02
        await stage.send(*(make.event(f"p{number}", X=number) for number in range(100)))
        await stage.stop()
        counters = service.router.runs[0].measures.counters()
    assert counters["received"] == counters["published"] == 100
    assert len(stage.results()) == 100
    assert strings.closes == 1


async def test_what_arrived_in_the_same_burst_is_taken_in(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running() as service:
        for number in range(300):
            stage.hub.spread(make.encode(make.event(f"p{number}", X=number), "c"))
        await stage.until(lambda: service.router.traffic.messages.total("matched") > 0)
        await stage.stop()
        assert service.router.runs[0].measures.counters()["published"] == 300


async def test_draining_ends(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.inference = {"drain_timeout": Seconds(0.05)}
    strings = stage.simple(limits={"timeout": "30s"})
    async with stage.running():
        strings.always = "hang"
        await stage.send(*(make.event("p", X=number) for number in range(5)))
        await stage.until(lambda: stage.service.router.runs[0].unfinished == 5)
        await stage.stop()
        strings.release.set()
    assert (
        said(caplog, logging.WARNING, "Inference.DrainTimeout: 5 events were not through after 0.05 s") == 1
    )


async def test_stopping_while_a_model_loads(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch, threads: Callable[[], set[str]]
) -> None:
    """As long as no event waits for the model, stopping does not either."""
    begun, go_on = threading.Event(), threading.Event()

    def hangs(_session: Any) -> None:
        begun.set()
        go_on.wait(20)

    monkeypatch.setattr("edgex_inference.engine.crew._warm_up", hangs)
    stage.inference = {"drain_timeout": Seconds(60.0)}
    stage.simple()
    async with stage.running(settled=False) as service:
        await asyncio.to_thread(begun.wait, 10)
        assert (await stage.get("/ready"))[0] == 503
        (shown,) = (await stage.get("/api/v3/inference/bindings"))[1]["bindings"]
        assert (shown["status"], shown["accelerator"]) == ("starting", None)
        service.stop()
    go_on.set()
    await stage.until(lambda: "fake:CPU double 1" not in threads())


async def test_events_wait_for_the_model(stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = asyncio.Event()
    real = plan.golden.check

    async def slow(*arguments: Any, **more: Any) -> None:
        await go_on.wait()
        await real(*arguments, **more)

    monkeypatch.setattr(plan.golden, "check", slow)
    stage.simple(limits={"overload": "latest", "queue": 2})
    async with stage.running(settled=False) as service:
        await stage.send(*(make.event(name, X=number) for number in range(4) for name in ("p", "q")))
        await stage.until(lambda: stage.counters()["received"] == 8)
        assert service.router.runs[0].queued == 4
        stopping = asyncio.create_task(stage.stop())
        go_on.set()
        await stopping
        assert stage.counters()["dropped"] == {"overtaken": 4}
    for name in ("p", "q"):
        assert [one.values["Y"] for one in stage.results(name)] == ["5e+00", "7e+00"]


async def test_a_load_that_hangs_makes_the_binding_inactive(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.lanes = LaneSettings(load_timeout=0.05)
    go_on = threading.Event()

    def hangs(_session: Any) -> None:
        go_on.wait(20)

    monkeypatch.setattr("edgex_inference.engine.crew._warm_up", hangs)
    stage.simple()
    async with stage.running():
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: stage.statuses() == ["inactive"])
    go_on.set()
    assert "did not end within 0.05 s" in stage.heard[0].values["InferenceReason"]


async def test_a_bus_that_is_away_at_the_start(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple()
    stage.hub.stop()
    async with stage.running():
        assert (await stage.get("/live"))[0] == 200
        assert (await stage.get("/ready"))[0] == 503
        stage.hub.start()
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        assert (await stage.get("/ready"))[0] == 200


async def test_a_bus_that_goes_and_comes(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be published is counted, not acknowledged, and said by the bus alone: once each way."""
    strings = stage.simple(limits={"timeout": "30s"}, publish={"when": "change"},
                           datatype="INT64", outputs={"Y": {"value": "y.0", "type": "Int32"}})  # fmt: skip
    async with stage.running():
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        strings.always = "hang"
        strings.started.clear()
        await stage.send(make.event("p", X=2), make.event("q", X=2))
        await asyncio.to_thread(strings.started.wait, 10)
        caplog.clear()
        stage.hub.stop()
        strings.always = "ok"
        strings.release.set()
        await stage.through(3)
        stage.hub.start()
        assert stage.counters()["failed"] == {"bus": 2}
        assert len([r for r in caplog.records if "'memory'" in r.getMessage()]) == 2
        assert [r for r in caplog.records if r.name.startswith("edgex_inference.pipeline")] == []
        await stage.send(make.event("p", X=2), make.event("q", X=2))
        await stage.have(3)
        assert stage.counters()["published"] == 3, "what nobody heard of is still a change"
    assert stage.statuses("q") == ["running"], "the status that was lost is said again"


async def test_inputs_are_acknowledged_when_they_are_through(
    stage: Any, make: Any, acknowledging: Acknowledging
) -> None:
    strings = stage.simple(
        publish={"when": "change"}, datatype="INT64", outputs={"Y": {"value": "y.0", "type": "Int32"}}
    )
    acknowledging.deaf = {"deaf"}
    async with stage.running() as service:
        assert service.bus is acknowledging
        await stage.send(make.event("p", X=1))
        await stage.send(make.event("same", X=1), make.event("same", X=1), make.event("bad", X="NaN"))
        await stage.send(Message("edgex/events/device/d/x/broken/y", b"{}"), make.event("none", Z=1))
        await stage.send(make.event("deaf", X=1))
        counters = await stage.through(5)
        strings.always = "fail"
        await stage.send(make.event("failed", X=1))
        await stage.until(lambda: len(acknowledging.acknowledged) == 7)
    assert (counters["published"], counters["suppressed"]) == (2, 1)
    assert (counters["failed"], counters["dropped"]) == ({"bus": 1}, {"nan": 1})
    assert sorted(acknowledging.acknowledged) == ["bad", "broken", "failed", "none", "p", "same", "same"]


async def test_what_is_overtaken_is_acknowledged_at_once(
    stage: Any, make: Any, acknowledging: Acknowledging
) -> None:
    strings = stage.simple(limits={"overload": "latest", "timeout": "30s"})
    async with stage.running() as service:
        strings.script.append("hang")
        for number in range(2):
            await stage.send(make.event("p", X=number))
            await stage.until(
                lambda: service.router.runs[0].journey.unfinished > service.router.runs[0].queued == 0
            )
        await stage.send(*(make.event("q", X=number) for number in range(3)))
        await stage.until(lambda: acknowledging.acknowledged == ["q", "q"])
        strings.release.set()
        await stage.through(5)
    assert sorted(acknowledging.acknowledged) == ["p", "p", "q", "q", "q"]


async def test_the_last_acknowledgements_are_not_lost(
    stage: Any, make: Any, acknowledging: Acknowledging
) -> None:
    stage.simple()
    async with stage.running():
        for number in range(20):
            stage.hub.spread(make.encode(make.event(f"p{number}", X=number), "c"))
        await stage.until(lambda: stage.counters()["received"] == 20)
        await stage.stop()
    assert sorted(acknowledging.acknowledged) == sorted(f"p{number}" for number in range(20))


async def test_a_bus_that_fails_in_the_middle(stage: Any, make: Any, acknowledging: Acknowledging) -> None:
    """Each item of a burst is counted by its own fate."""
    strings = stage.simple(limits={"timeout": "30s"})
    acknowledging.deaf = {"p3", "p7"}
    async with stage.running():
        strings.always, strings.delay = "slow", 0.01
        await stage.send(*(make.event(f"p{number}", X=number) for number in range(10)))
        counters = await stage.through(10)
        assert (counters["published"], counters["failed"]) == (8, {"bus": 2})
        assert {one.event.device_name for one in stage.results()} == {f"p{n}" for n in range(10)} - {
            "p3",
            "p7",
        }
        await stage.until(lambda: len(acknowledging.acknowledged) == 8)


async def test_a_status_that_was_lost_is_said_again(
    stage: Any, make: Any, acknowledging: Acknowledging
) -> None:
    stage.simple(model={"name": "none"})
    acknowledging.deaf = {"p"}
    async with stage.running():
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: acknowledging.refused == 1)
        acknowledging.deaf.clear()
        await stage.send(make.event("p", X=1), make.event("p", X=1))
        await stage.until(lambda: stage.statuses() == ["inactive"])
        assert (await stage.through(3))["dropped"] == {"inactive": 3}


async def test_a_topic_that_cannot_be_subscribed_to_ends_the_start(stage: Any) -> None:
    stage.simple()
    stage.topics = "events/#/x"
    with pytest.raises(SetupError, match="cannot subscribe"):
        async with stage.running():
            pass


async def test_a_reader_that_stumbles_reads_on(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "_SHORTEST", 0.001)
    stage.simple()
    real = topics.under_base
    broken = iter([True])

    def once(*arguments: Any) -> str:
        if next(broken, False):
            raise ZeroDivisionError("oops")
        return real(*arguments)

    monkeypatch.setattr(topics, "under_base", once)
    async with stage.running():
        await stage.send(make.event("p", X=1))
        await stage.have(1)
    assert said(caplog, logging.ERROR, "bus reader stopped with a defect of ours: ZeroDivisionError") == 1


async def test_a_binding_that_stumbles_starts_again(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it had taken in waits for the next attempt."""
    monkeypatch.setattr(supervision, "_SHORTEST", 0.001)
    stage.simple()
    real, stumbles = plan.golden.has_batch_axis, iter([True, True])

    def stumbling(*arguments: Any) -> bool:
        if next(stumbles, False):
            raise ZeroDivisionError("oops")
        return real(*arguments)

    monkeypatch.setattr(plan.golden, "has_batch_axis", stumbling)
    async with stage.running(settled=False):
        await stage.send(make.event("p", X=1))
        await stage.have(1)
    assert said(caplog, logging.ERROR, "stopped with a defect of ours") == 2


async def test_a_journey_that_stumbles_leaves_its_events_to_the_next(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "_SHORTEST", 0.001)
    stage.simple()
    real, stumbles = Journey.run, iter([True])

    async def stumbling(journey: Journey) -> None:
        if next(stumbles, False):
            await journey._wake.wait()
            raise ZeroDivisionError("oops")
        await real(journey)

    monkeypatch.setattr(Journey, "run", stumbling)
    async with stage.running():
        await stage.send(make.event("p", X=1))
        await stage.have(1)
    assert said(caplog, logging.ERROR, "stopped with a defect of ours") == 1


async def test_stop_is_legal_at_any_time(stage: Any) -> None:
    stage.simple()
    async with stage.running() as service:
        service.stop()
        service.stop()
