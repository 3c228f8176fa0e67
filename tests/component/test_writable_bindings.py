"""Writable.InferenceBindings at run time: over every other layer, without losing an event, all or nothing."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from edgex_inference import service as room
from edgex_inference.config.schema import Tree


def writable(service: Any, overrides: Mapping[str, Any], **keys: Any) -> None:
    """What a provider or a file does to a service that is at work."""
    config = service.loaded.config
    changed = replace(config.writable, inference_bindings=Tree(overrides), **keys)
    service.apply(replace(service.loaded, config=replace(config, writable=changed)))


def block(make: Any, **more: object) -> dict[str, Any]:
    """Y is 2x + 1, Big says whether it is at least `raise`."""
    outputs = {"Y": {"value": "y.0", "type": "Float64"}, "Big": {"value": "state"}}
    return {**make.binding(), "outputs": outputs, "decide": {"value": "y.0", "raise": 1e9}, **more}


async def until_big(stage: Any, make: Any, text: str) -> None:
    """Sends events until one's result says this: a plan makes way for the next one in its own time."""

    async def say() -> None:
        while not stage.results() or stage.results()[-1].values["Big"] != text:
            before = len(stage.results())
            await stage.send(make.event("p", X=7))
            await stage.have(before + 1)

    async with asyncio.timeout(20):
        await say()


async def test_a_threshold_changes_without_losing_an_event(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": block(make)}))
    stage.model()
    async with stage.running() as service:
        sent = 0
        while not stage.results() or stage.results()[-1].values["Big"] != "true":
            await stage.send(make.event("p", X=sent))
            sent += 1
            if sent == 30:
                await stage.have(10)
                writable(service, {"Twice": {"decide": {"raise": 0}}})
            await asyncio.sleep(0.001)
        results = await stage.have(sent)
        numbers = [round((float(one.values["Y"]) - 1) / 2) for one in results]
        assert numbers == list(range(sent)), "each of them, in order"
        assert {one.values["Big"] for one in results[:10]} == {"false"}
        counters = stage.counters()
        assert (counters["dropped"], counters["failed"]) == ({}, {})
        status, page = await stage.get("/api/v3/inference/bindings/p")
        (row,) = page["bindings"]
        assert status == 200
        assert row["settings"]["decide"]["raise"] == 0
        assert row["origins"]["decide.raise"] == "writable"
        writable(service, {})
        await until_big(stage, make, "false")


async def test_a_binding_is_switched_off_and_on(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running() as service:
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        writable(service, {"Twice": {"enabled": False}})
        (run,) = service.router.runs
        await stage.until(lambda: not run.binding.enabled)
        await stage.send(make.event("p", X=2))
        await stage.until(lambda: service.router.traffic.messages.total("unmatched") == 1)
        writable(service, {"Twice": {"enabled": True}})
        await stage.until(lambda: run.binding.enabled and run.status == "running")
        await stage.send(make.event("p", X=3))
        assert [float(one.values["Y"]) for one in await stage.have(2)] == [3.0, 7.0]


async def test_it_counts_over_a_device(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": block(make)}))
    stage.model()
    device = {"name": "p", "profileName": "pump", "properties": {"inference": {"Twice": {"enabled": False}}}}
    stage.write("devices.yaml", {"deviceList": [device]})
    async with stage.running() as service:
        writable(service, {"Twice": {"enabled": True}})
        await stage.until(lambda: all(run.binding.enabled for run in service.router.runs_of("pump", "p")))
        await stage.send(make.event("p", X=1))
        assert len(await stage.have(1)) == 1


async def test_a_mistake_changes_nothing(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.profile("pump", X=("Float32", {"Twice": block(make)}))
    stage.model()
    async with stage.running() as service:
        writable(service, {"Twice": {"decide": {"raise": 0}}})
        writable(service, {"Twice": {"decide": {"rise": 5}}}, log_level="WARN")
        said = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
        assert "Writable.InferenceBindings has mistakes: what was in force stays" in said
        assert any(
            "Writable.InferenceBindings: Twice.decide.rise: unknown key 'rise' (did you mean raise?)" in one
            for one in said
        )
        await until_big(stage, make, "true")
        assert service.loaded.config.writable.inference_bindings == {"Twice": {"decide": {"raise": 0}}}
        assert service.loaded.config.writable.log_level == "WARN", "the rest is taken up"
        writable(service, {"Twice": 5})
        assert "must be a map of keys" in caplog.text


async def test_an_unknown_binding_is_said(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.simple()
    async with stage.running() as service:
        writable(service, {"Twise": {"enabled": False}})
        assert "no profile among these has a binding Twise (did you mean Twice?)" in caplog.text


async def test_changed_profiles_keep_the_overrides(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_LOOK", 0.02)
    stage.profile("pump", X=("Float32", {"Twice": block(make)}))
    stage.model()
    async with stage.running() as service:
        writable(service, {"Twice": {"decide": {"raise": 0}}})
        stage.profile("fan", X=("Float32", {"Other": block(make)}))
        await stage.until(lambda: "fan" in service.book.profiles)
        await asyncio.sleep(0)
        await until_big(stage, make, "true")
