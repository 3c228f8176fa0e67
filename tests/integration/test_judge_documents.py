"""EdgeX's validators of every release on what is no event: profiles, devices, services, metrics, notifications."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.pipeline.platform.companion import Companion, Resource, fresh
from edgex_inference.testing.metadata.server import MetadataDouble

Make = Callable[..., Any]
GENERATIONS = ("2", "3", "4")
ORIGIN = 1795418138745047301


def documents(generation: str) -> dict[str, dict[str, Any]]:
    """One of each kind as this release takes it."""
    version = "v2" if generation == "2" else "v3"
    device = {
        "name": "press-1",
        "serviceName": "device-press",
        "profileName": "press",
        "adminState": "UNLOCKED",
        "operatingState": "UP",
        "protocols": {"virtual": {"Address": "1"}},
    }
    resource = {"name": "Load", "properties": {"valueType": "Float32", "readWrite": "R"}}
    service = {"name": "device-press", "baseAddress": "http://localhost:59900", "adminState": "UNLOCKED"}
    notice = {"category": "inference", "content": "x", "sender": "app-inference", "severity": "NORMAL"}
    return {
        "profile": {"apiVersion": version, "profile": {"name": "press", "deviceResources": [resource]}},
        "device": {"apiVersion": version, "device": device},
        "deviceService": {"apiVersion": version, "service": service},
        "notification": {"apiVersion": version, "notification": {"apiVersion": version, **notice}},
        "metric": {
            "apiVersion": version,
            "name": "Results",
            "fields": [{"name": "counter-count", "value": 42}],
            "tags": [{"name": "service", "value": "app-inference"}],
            "timestamp": ORIGIN,
        },
        "systemEvent": {
            "apiVersion": version,
            "type": "device",
            "action": "add",
            "source": "core-metadata",
            "owner": "device-press",
            "tags": None,
            "details": device,
            "timestamp": ORIGIN,
        },
    }


SPOILED = {
    "profile": ('"Float32"', '"Float16"'),
    "device": ('"UNLOCKED"', '"OPEN"'),
    "deviceService": ('"http://localhost:59900"', '"nowhere"'),
    "notification": ('"NORMAL"', '"LOUD"'),
    "metric": ('"Results"', '" "'),
    "systemEvent": ('"add"', '""'),
}


@pytest.mark.parametrize("kind", SPOILED)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_good_ones_pass_and_spoiled_ones_do_not(judge_documents: Make, generation: str, kind: str) -> None:
    good = documents(generation)[kind]
    old, new = SPOILED[kind]
    text = json.dumps(good)
    assert old in text
    spoiled = json.loads(text.replace(old, new))
    foreign = {**good, "apiVersion": ""}
    assert [one.ok for one in judge_documents(generation, kind, [good, spoiled, foreign])] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(("generation", "release"), [("2", "2.3.0"), ("3", "3.1.1"), ("4", "4.0.2")])
async def test_what_the_core_metadata_double_tells(judge: Make, generation: str, release: str) -> None:
    """Its system events are no EdgeX code's; EdgeX's libraries read them all the same."""
    hub = MemoryHub()
    heard: list[Message] = []
    bus, listener = MemoryBus(hub), MemoryBus(hub, name="listener")
    listener.receive = heard.append  # type: ignore[method-assign]
    for one in (bus, listener):
        await one.open()
    good = documents(generation)
    async with MetadataDouble(bus, version=release, request_timeout=0.01) as metadata:
        for path, key in (("/deviceservice", "deviceService"), ("/deviceprofile", "profile")):
            await metadata.call("POST", path, [good[key]])
        if generation != "3":  # which takes no device without being asked
            await metadata.call("POST", "/device?bypassValidation=true", [good["device"]])
    for one in (bus, listener):
        await one.close()
    assert len(heard) == {"2": 1, "3": 2, "4": 3}[generation]
    assert [one.error for one in judge(generation, heard, kind="systemEvent") if not one.ok] == []


@pytest.mark.parametrize("generation", GENERATIONS)
def test_companion_profiles(judge_documents: Make, generation: str) -> None:
    kinds = {"Score": ValueType.FLOAT32, "Label": ValueType.STRING, "Detail": ValueType.OBJECT}
    made = Companion(
        profile="press",
        resources={
            name: Resource(name=name, type=kind, bindings=("Health",), service="app-inference")
            for name, kind in kinds.items()
        },
        commands={"Health": tuple(kinds)},
    )
    version = "v2" if generation == "2" else "v3"
    requests = [{"apiVersion": version, "profile": fresh(made, version)}]
    assert [one.error for one in judge_documents(generation, "profile", requests)] == [""]
