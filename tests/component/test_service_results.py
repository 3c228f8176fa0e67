"""The whole service: events in, result events out."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgex_inference.contracts.events import ValueType

GOLDEN = Path(__file__).parents[1] / "data" / "component" / "journeys.json"
JOURNEYS = json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("case", JOURNEYS, ids=[case["name"] for case in JOURNEYS])
async def test_golden_events(case: dict[str, Any], stage: Any, make: Any) -> None:
    block = {"Twice": {"model": {"name": "double"}, **case["block"]}}
    kinds = dict(case["resources"])
    first = next(iter(kinds))
    stage.profile("pump", **{**kinds, first: (kinds[first], block)})
    stage.model(card=case.get("card"), **case.get("model", {}))
    async with stage.running():
        for device, values in case["in"]:
            readings = [make.reading(name, value, ValueType(kinds[name])) for name, value in values.items()]
            await stage.send(make.event(device, *readings))
        await stage.through(len(case["in"]))
        found = await stage.have(len(case["out"]))
    assert len(found) == len(case["out"])
    for device in {device for device, _ in case["out"]}:
        wanted = [values for name, values in case["out"] if name == device]
        assert [one.values for one in stage.results(device)] == wanted


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
    assert {found.origin, *(one.origin for one in found.readings)} == {7}, "the reading's own capture time"
    assert {(one.device_name, one.profile_name) for one in found.readings} == {("pump-1", "pump-inference")}
    assert stage.statuses() == ["running"]


async def test_a_picture(stage: Any, make: Any) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (2, 2), (255, 0, 0)).save(picture, "PNG")
    stage.profile("cam", Frame=("Binary", {"Twice": make.binding(outputs={"All": {"value": "y"}})}))
    card = {"inputs": {"x": {"kind": "image", "layout": "NCHW", "color": "rgb"}}}
    stage.model(shape=[None, 3, 2, 2], card=card)
    async with stage.running():
        await stage.send(
            make.event("c", make.reading("Frame", picture.getvalue(), ValueType.BINARY), profile="cam")
        )
        (result,) = await stage.have(1)
    assert json.loads(result.values["All"]) == [3.0] * 4 + [1.0] * 8


async def test_several_bindings_on_one_resource(stage: Any, make: Any) -> None:
    stage.profile(
        "pump", X=("Float32", {"One": make.binding(), "Two": make.binding(model={"name": "triple"})})
    )
    stage.model()
    stage.model("triple", scale=3)
    async with stage.running():
        await stage.send(make.event("p", X=2))
        found = await stage.have(2)
    assert {one.event.source_name: one.values for one in found} == {
        "One": {"Y": "5e+00"},
        "Two": {"Y": "7e+00"},
    }


async def test_devices_are_kept_apart_and_in_order(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running():
        for number in range(50):
            await stage.send(*(make.event(f"p{device}", X=number) for device in range(4)))
        await stage.have(200)
        await stage.through(200)
    for device in range(4):
        values = [float(one.values["Y"]) for one in stage.results(f"p{device}")]
        assert values == [2 * number + 1 for number in range(50)]


async def test_a_device_overrides_its_profile(stage: Any, make: Any) -> None:
    stage.simple(
        publish={"when": "change"}, datatype="INT64", outputs={"Y": {"value": "y.0", "type": "Int32"}}
    )
    override = {"inference": {"Twice": {"publish": {"when": "always"}}}}
    stage.write(
        "devices.yaml", {"deviceList": [{"name": "loud", "profileName": "pump", "properties": override}]}
    )
    async with stage.running():
        await stage.send(*(make.event(name, X=1) for name in ("loud", "calm") for _ in range(3)))
        await stage.have(4)
        status, body = await stage.get("/api/v3/inference/bindings/loud")
    assert [len(stage.results(name)) for name in ("loud", "calm")] == [3, 1]
    (shown,) = body["bindings"]
    assert status == 200
    assert shown["settings"]["publish"]["when"] == "always"
    assert "device" in shown["origins"]["publish.when"]
    assert shown["origins"]["model.name"].startswith("profile")


async def test_a_device_switches_a_binding_off(stage: Any, make: Any) -> None:
    stage.simple()
    off = {"inference": {"Twice": {"enabled": False}}}
    stage.write("devices.yaml", {"deviceList": [{"name": "off", "profileName": "pump", "properties": off}]})
    async with stage.running():
        await stage.send(make.event("off", X=1), make.event("on", X=1))
        await stage.have(1)
        _, body = await stage.get("/api/v3/inference/bindings/off")
        assert (await stage.get("/ready"))[0] == 200
    assert [one.event.device_name for one in stage.heard] == ["on", "on"]
    assert [shown["status"] for shown in body["bindings"]] == ["disabled"]


async def test_a_side_car_binds_a_profile_that_nobody_wrote_down(stage: Any, make: Any) -> None:
    stage.model()
    stage.write(
        "side.yaml", {"match": {"profile": "ext-*", "resource": "X"}, "inference": {"Twice": make.binding()}}
    )
    async with stage.running():
        assert stage.service.router.runs == ()
        await stage.send(make.event("e", X=4, profile="ext-7"), make.event("f", X=4, profile="other"))
        (result,) = await stage.have(1)
        _, body = await stage.get("/api/v3/inference/bindings/e")
    assert result.event.profile_name == "ext-7-inference"
    assert result.values == {"Y": "9e+00"}
    assert "side.yaml" in body["bindings"][0]["origins"]["model.name"]


async def test_own_events_are_not_consumed_again(stage: Any, make: Any) -> None:
    block = make.binding(publish={"topicPrefix": "events/app", "rules": True})
    stage.model()
    stage.write("side.yaml", {"match": {"profile": "*", "resource": "Y"},
                              "inference": {"Twice": {**block, "inputs": [{"resource": "Y"}]}}})  # fmt: skip
    stage.topics = "events/#, rules-events"
    async with stage.running():
        await stage.send(make.event("e", Y=4, profile="chain"))
        first, copy = await stage.have(2)
        await stage.until(lambda: stage.service.router.traffic.messages.total("own") == 4)
        await stage.send(make.event("e", Y=5, profile="chain"))
        await stage.have(4)
    assert first.topic == "edgex/events/app/app-inference/chain-inference/e/Twice"
    assert copy.topic == "edgex/rules-events"
    assert first.event == copy.event
    assert len(stage.service.router.runs) == 1


async def test_keep_alive_repeats_the_last_result(stage: Any, make: Any) -> None:
    stage.simple(
        publish={"when": "change", "keepAlive": "20ms"},
        datatype="INT64",
        outputs={"Y": {"value": "y.0", "type": "Int32"}},
    )
    async with stage.running():
        await stage.send(make.event("p", X=1), make.event("p", X=1))
        found = await stage.have(3)
        await stage.until(lambda: stage.counters()["repeated"] >= 2)
        counters = stage.counters()
    assert {one.values["Y"] for one in found} == {"3"}
    assert len({one.event.id for one in found}) == len(found), "each has an id of its own"
    assert (counters["published"], counters["suppressed"]) == (1, 1)


async def test_an_interval_lets_the_newest_out(stage: Any, make: Any) -> None:
    stage.simple(publish={"when": "interval", "minInterval": "1s"})
    async with stage.running():
        await stage.send(*(make.event("p", X=number) for number in range(10)))
        found = await stage.have(2)
        counters = await stage.through(10)
    assert [one.values["Y"] for one in found] == ["1e+00", "1.9e+01"]
    assert (counters["published"], counters["suppressed"]) == (2, 8)
