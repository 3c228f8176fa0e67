"""The figures of a running service, over HTTP and on the bus."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgex_inference.buses.memory import MemoryBus
from edgex_inference.config.schema import NOTIFICATIONS, Client, Seconds, Telemetry
from edgex_inference.contracts.errors import BusUnavailable
from edgex_inference.contracts.messages import Message
from edgex_inference.pipeline.measuring import reporting
from edgex_inference.pipeline.measuring.figures import FAMILIES
from edgex_inference.pipeline.outbox import Outbox
from edgex_inference.service import Service


async def scrape(service: Service) -> dict[str, float]:
    """Each sample of /metrics, by its name and labels."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{service.port}/metrics") as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = text_string_to_metric_families(await answer.text())
    return {
        one.name + "".join(f" {name}={value}" for name, value in sorted(one.labels.items())): one.value
        for family in families
        for one in family.samples
    }


def switch(
    service: Service,
    metrics: Mapping[str, bool],
    interval: float = 0.1,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Another Writable.Telemetry, as when the configuration file has changed."""
    telemetry = Telemetry(interval=Seconds(interval), metrics=metrics, tags=tags or {})
    config = service.loaded.config
    writable = replace(config.writable, telemetry=telemetry)
    service.apply(replace(service.loaded, config=replace(config, writable=writable)))


@asynccontextmanager
async def listening(stage: Any) -> AsyncIterator[list[tuple[str, dict[str, Any]]]]:
    """The metrics that others hear: topic and payload."""
    heard: list[tuple[str, dict[str, Any]]] = []
    bus = MemoryBus(stage.hub, name="metrics")
    await bus.open()

    async def listen() -> None:
        async with bus.subscribe("edgex/telemetry/#") as bursts:
            async for burst in bursts:
                heard.extend((one.topic, json.loads(one.payload)["payload"]) for one in burst)

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        await bus.close()
        await task


async def test_prometheus_sees_what_the_binding_counted(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running() as service:
        await stage.send(make.event("pump-1", X=1), make.event("pump-2", X=2), make.event("pump-1", X="nan"))
        await stage.through(3)
        found = await scrape(service)
    of = "binding=Twice profile=pump"
    assert found[f"edgex_inference_received_total {of}"] == 3
    assert found[f"edgex_inference_published_total {of}"] == 2
    assert found[f"edgex_inference_dropped_total {of} reason=nan"] == 1
    for stage_name in ("preprocess", "infer", "postprocess", "end_to_end"):
        assert found[f"edgex_inference_{stage_name}_seconds_count {of}"] == 2
    assert found[f"edgex_inference_queue_seconds_count {of}"] == 3
    assert found["edgex_inference_decode_seconds_count"] >= 3
    assert found["edgex_inference_messages_total fate=matched"] == 3
    assert found["edgex_inference_bus_connected"] == found["edgex_inference_ready"] == 1
    assert found[f"edgex_inference_running {of}"] == 1
    info = "edgex_inference_model_info accelerator=fake:CPU binding=Twice model=double profile=pump version=1"
    assert [name for name in found if name.startswith("edgex_inference_model_info")] == [info]


async def test_no_device_is_a_label_and_its_variants_are_summed(stage: Any, make: Any) -> None:
    stage.simple()
    limit = {"Twice": {"limits": {"queue": 7}}}
    stage.write(
        "devices.yaml",
        {"deviceList": [{"name": "pump-1", "profileName": "pump", "properties": {"inference": limit}}]},
    )
    async with stage.running() as service:
        await stage.send(make.event("pump-1", X=1), make.event("pump-2", X=2))
        await stage.have(2)
        assert len(service.router.runs) == 2
        found = await scrape(service)
        assert found["edgex_inference_received_total binding=Twice profile=pump"] == 2
        (stage.folder / "profiles" / "devices.yaml").unlink()
        await stage.until(lambda: len(service.ledger._runs) == 1)
        found = await scrape(service)
        assert found["edgex_inference_received_total binding=Twice profile=pump"] == 2
    assert "pump-1" not in " ".join(found)


async def test_metrics_on_the_bus_follow_the_switches_live(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running() as service, listening(stage) as heard:
        await stage.send(make.event("pump-1", X=1))
        await stage.through(1)
        assert heard == [], "nothing is switched on by default"
        switch(service, {"InferenceReceived": True}, tags={"site": "hall-7"})
        await stage.until(lambda: len(heard) >= 2)
        topic, metric = heard[0]
        assert topic == "edgex/telemetry/app-inference/InferenceReceived"
        assert metric["name"] == "InferenceReceived"
        assert metric["fields"] == [{"name": "counter-count", "value": 1}]
        assert metric["tags"] == [
            {"name": "service", "value": "app-inference"},
            {"name": "site", "value": "hall-7"},
            {"name": "profile", "value": "pump"},
            {"name": "binding", "value": "Twice"},
        ]
        assert {name for name, _ in heard} == {topic}
        heard.clear()
        switch(service, {"Pipeline": True, "PipelineProcessingErrors": False})
        await stage.until(lambda: any(one["name"] == "PipelineMessageProcessingTime" for _, one in heard))
        assert {one["name"] for _, one in heard} == {
            "PipelineMessagesProcessed",
            "PipelineMessageProcessingTime",
        }


async def test_an_interval_of_zero_is_off_until_it_changes(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "_SHORTEST", 0.0)
    stage.simple()
    async with stage.running() as service, listening(stage) as heard:
        switch(service, {"Inference": True}, interval=0)
        await stage.send(make.event("pump-1", X=1), make.event("pump-1", X=1), make.event("pump-1", X=1))
        await stage.through(3)
        assert heard == []
        switch(service, {"Inference": True}, interval=0.01)
        await stage.until(lambda: bool(heard))


async def test_metrics_that_the_bus_does_not_take_are_counted(stage: Any, make: Any) -> None:
    stage.simple()

    class Away(MemoryBus):
        async def publish(self, message: Message) -> None:
            if "/telemetry/" in message.topic:
                raise BusUnavailable("the broker", "is away")
            await super().publish(message)

    stage.bus = Away(stage.hub)
    async with stage.running() as service:
        switch(service, {"InferenceReady": True})
        await stage.until(lambda: service.reporter.lost > 0)
        assert (await scrape(service))["edgex_inference_metrics_lost_total"] > 0
        await stage.send(make.event("pump-1", X=1))
        assert len(await stage.have(1)) == 1


async def test_every_figure_is_a_metric_to_edgex(stage: Any, make: Any, judge: Any) -> None:
    stage.simple()
    stage.bus = Outbox(MemoryBus(stage.hub), stage.folder / "outbox.sqlite", most=1 << 20, max_age=60.0)
    stage.clients = {NOTIFICATIONS: Client()}
    async with stage.running() as service:
        await stage.send(make.event("pump 1", X=1), make.event("pump-1", X="nan"), make.event("x", X="1e999"))
        await stage.send(Message("edgex/events/device/a/b/c/d", b"no envelope"))
        await stage.until(lambda: service.router.traffic.invalid.total() == 1)
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        switch(
            service,
            {"Inference": True, "Pipeline": True, "Messages": True, "Invalid": True, "Store": True},
            interval=0,
        )
        service.reporter._publish = keep
        await service.reporter.report()
    names = {one.topic.rsplit("/", 1)[1] for one in sent}
    assert names == {family.metric for family in FAMILIES if family.metric} - {"InferenceFailed"}
    verdicts = judge("4", sent, kind="metric")
    assert [one.error for one in verdicts if not one.ok] == []
    timer = next(one.event for one in verdicts if one.event["name"] == "InferenceInferTime")
    assert [field["name"] for field in timer["fields"]][:6] == [
        "timer-count",
        "timer-min",
        "timer-max",
        "timer-mean",
        "timer-stddev",
        "timer-variance",
    ]
    spoiled = [Message(sent[0].topic + "X", sent[0].payload), Message(sent[0].topic, b"{}")]
    assert [one.ok for one in judge("4", spoiled, kind="metric")] == [False, False]
