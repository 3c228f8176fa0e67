"""The whole service: events in, result events out."""

import asyncio
from typing import Any

import pytest


async def test_a_reading_becomes_a_result(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running():
        await stage.send(make.event("pump-1", X=3, origin=1_000), correlation_id="trace-1")
        (result,) = await stage.have(1)
    assert result.values == {"Y": "7e+00"}
    assert result.topic == "edgex/events/device/app-inference/pump-inference/pump-1/Twice"
    assert result.correlation_id == "trace-1"
    found = result.event
    assert (found.device_name, found.profile_name, found.source_name) == ("pump-1", "pump-inference", "Twice")
    assert found.tags == {"model": "double", "modelVersion": "1", "accelerator": "fake:CPU"}
    assert {found.origin, *(one.origin for one in found.readings)} == {7}
    assert {(one.device_name, one.profile_name) for one in found.readings} == {("pump-1", "pump-inference")}
    assert stage.statuses() == ["running"]
