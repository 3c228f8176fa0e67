"""A binding that cannot run as wished says so: on the bus, in the log, in the tags and on the pages."""

import logging
from typing import Any

import pytest

from edgex_inference.contracts.errors import AcceleratorUnavailable


def said(caplog: pytest.LogCaptureFixture, level: int, text: str) -> int:
    return sum(record.levelno == level and text in record.getMessage() for record in caplog.records)


async def refused(stage: Any, make: Any, devices: tuple[str, ...] = ("p", "q")) -> str:
    """Runs the service and has it refuse an event of each device twice; the reason that it gives."""
    async with stage.running():
        await stage.send(*(make.event(device, X=1) for device in devices for _ in range(2)))
        await stage.until(lambda: len(stage.statuses()) >= len(devices))
        counters = await stage.through(2 * len(devices))
        assert counters["dropped"] == {"inactive": 2 * len(devices)}
        status, body = await stage.get("/ready")
        (shown,) = (await stage.get("/api/v3/inference/bindings"))[1]["bindings"]
        assert (await stage.get("/live"))[0] == 200
    reason = stage.heard[0].values["InferenceReason"]
    assert status == 503
    assert [text for text in body["reasons"] if reason in text]
    assert (shown["status"], shown["reason"]) == ("inactive", reason)
    assert stage.statuses() == ["inactive"] * len(devices), "once for each device"
    assert {one.topic.rsplit("/", 4)[1:] == ["app-inference", "pump-inference", one.event.device_name, "Twice"]
            for one in stage.heard} == {True}  # fmt: skip
    return str(reason)


async def test_a_key_that_is_not_built_yet(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.simple(window={"length": "1s"})
    assert "not yet supported: window" in await refused(stage, make)
    assert said(caplog, logging.ERROR, "binding Twice is inactive") == 1


async def test_a_block_with_mistakes(stage: Any, make: Any) -> None:
    stage.simple(publish={"when": "never"})
    reason = await refused(stage, make)
    assert "pump.yaml:" in reason
    assert "never" in reason


async def test_a_block_with_mistakes_and_inputs_of_its_own(stage: Any, make: Any) -> None:
    """Which readings a broken block wants cannot be known: every event of its profile is told."""
    block = make.binding(inputs=[{"resource": "X"}], limits={"queue": "many"})
    stage.profile("pump", X="Float32", Z=("Float32", {"Twice": block}))
    stage.model()
    assert "queue" in await refused(stage, make)


async def test_a_model_that_is_not_there(stage: Any, make: Any) -> None:
    stage.simple(model={"name": "dubble"})
    reason = await refused(stage, make)
    assert "model 'dubble'" in reason
    assert "double" in reason, "did you mean"


async def test_a_value_that_the_model_does_not_give(stage: Any, make: Any) -> None:
    outputs = {"Y": {"value": "count", "type": "Uint16"}}
    stage.simple(outputs=outputs)
    stage.model(card={"task": "regression"})
    assert "Twice.outputs.Y.value: 'count' is no value of task regression" in await refused(stage, make)


async def test_a_tensor_that_the_model_does_not_have(stage: Any, make: Any) -> None:
    stage.simple(outputs={"Y": {"value": "z.0", "type": "Float32"}})
    assert "there are y" in await refused(stage, make)


async def test_a_type_that_cannot_carry_the_value(stage: Any, make: Any) -> None:
    stage.simple(outputs={"Y": {"value": "value", "type": "String"}})
    stage.model(card={"task": "regression"})
    assert "Twice.outputs.Y.type: String cannot carry value: it takes Float32 or Float64" in await refused(
        stage, make
    )


async def test_a_shape_that_cannot_fit(stage: Any, make: Any) -> None:
    stage.simple()
    stage.model(shape=[None, 3])
    assert "3" in await refused(stage, make)


async def test_keep_alive_repeats_the_status(stage: Any, make: Any) -> None:
    stage.simple(model={"name": "none"}, publish={"keepAlive": "20ms"})
    async with stage.running():
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: len(stage.statuses()) >= 3)
    assert set(stage.statuses()) == {"inactive"}


async def test_keep_alive_repeats_a_status_that_is_bad(stage: Any, make: Any) -> None:
    strings = stage.simple(publish={"keepAlive": "20ms"})
    async with stage.running():
        strings.always = "fail"
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: len(stage.statuses()) >= 3)
        assert set(stage.statuses()) == {"degraded"}
        strings.always = "ok"
        await stage.send(make.event("p", X=1))
        await stage.have(3)
        assert stage.statuses()[-1] == "running"
    assert stage.statuses().count("running") == 1


# Golden samples


def golden(stage: Any, want: object, *, given: object = None, **card: Any) -> None:
    stage.add("double", "in.json", {"x": [1.0]} if given is None else given)
    stage.add("double", "out.json", want)
    entry = {"input": "in.json", "expect": "out.json", **card}
    stage.model(card={"task": "regression", "golden": [entry]})


async def test_golden_samples_that_agree(stage: Any, make: Any) -> None:
    stage.simple(outputs={"Y": {"value": "value"}})
    golden(stage, {"value": 3.02, "values": [3]})
    async with stage.running():
        await stage.send(make.event("p", X=1))
        await stage.have(1)


@pytest.mark.parametrize(
    ("want", "reason"),
    [
        ({"value": 3.5}, "golden sample in.json: value is 3.0 instead of 3.5 (tolerance 0.01)"),
        ({"value": 4}, "value is 3.0 instead of 4 (tolerance 0.01)"),
        ({"values": [3.0, 1.0]}, "values has 1 entries instead of 2"),
        ({"value.7": [1.0]}, "value.7 is None instead of a list"),
        ({"nosuch": 1}, "golden sample out.json cannot be compared: value 'nosuch'"),
        ([3.0], "an object of values is expected"),
        ({}, "golden sample out.json: names no value to be compared"),
    ],
)
async def test_golden_samples_that_differ(want: object, reason: str, stage: Any, make: Any) -> None:
    stage.simple(outputs={"Y": {"value": "value"}})
    golden(stage, want)
    assert reason in await refused(stage, make, ("p",))


async def test_a_golden_sample_that_cannot_be_read(stage: Any, make: Any) -> None:
    stage.simple(outputs={"Y": {"value": "value"}})
    golden(stage, {"value": 3.0}, given={"y": [1.0]})
    assert "golden sample in.json" in await refused(stage, make, ("p",))


# Falling back


CHOICES = [
    "fake:TPU",
    "nosuch",
    {"name": "fake", "options": {"gain": 2.0}},
    {"name": "fake", "device": "NPU"},
]


@pytest.mark.parametrize("fallback", ["warn", "allow"])
async def test_falling_back_along_the_list(
    fallback: str, stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple(
        accelerator=CHOICES,
        fallback=fallback,
        outputs={"Y": {"value": "value"}, "By": {"value": "accelerator"}},
    )
    golden(stage, {"value": 3.0})
    async with stage.running():
        await stage.send(make.event("p", X=1))
        (result,) = await stage.have(1)
        (shown,) = (await stage.get("/api/v3/inference/bindings"))[1]["bindings"]
        assert (await stage.get("/ready"))[0] == 200
    assert result.values == {"Y": "3e+00", "By": "fake:NPU"}
    assert result.event.tags["accelerator"] == "fake:NPU"
    assert stage.statuses() == ["running"]
    reason = stage.heard[0].values["InferenceReason"]
    assert reason.startswith("fake:NPU answers; ")
    for part in ("fake:TPU", "'nosuch'", "value is 6.0 instead of 3.0"):
        assert part in reason
    assert [len(shown["passedOver"]), shown["accelerator"]] == [3, "fake:NPU"]
    level = logging.WARNING if fallback == "warn" else logging.INFO
    assert said(caplog, level, "binding Twice of profile pump: model double 1: fake:NPU answers; ") == 1


async def test_never_falling_back(stage: Any, make: Any) -> None:
    stage.simple(accelerator=["fake:TPU", "fake"], fallback="never")
    assert "fake:TPU" in await refused(stage, make)


async def test_nothing_to_fall_back_to(stage: Any, make: Any) -> None:
    strings = stage.simple(accelerator=["nosuch", "fake"])
    strings.refuse = AcceleratorUnavailable("fake", "somebody else has it")
    reason = await refused(stage, make)
    assert "none of them can run it" in reason
    assert "somebody else has it" in reason


async def test_ready_names_what_is_in_the_way(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running():
        assert await stage.get("/ready") == (200, {"apiVersion": "v3", "ready": True, "reasons": []})
        stage.hub.stop()
        status, body = await stage.get("/ready")
        assert (status, body["reasons"]) == (503, ["the message bus is away"])
        stage.hub.start()
        assert (await stage.get("/ready"))[0] == 200


async def test_degraded_is_ready_but_said(stage: Any, make: Any) -> None:
    strings = stage.simple()
    async with stage.running():
        strings.always = "fail"
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: stage.statuses() == ["degraded"])
        status, body = await stage.get("/ready")
        (shown,) = (await stage.get("/api/v3/inference/bindings"))[1]["bindings"]
    assert status == 200
    assert "pump: binding Twice is degraded: p: " in body["reasons"][0]
    assert shown["status"] == "degraded"


async def test_the_bindings_page(stage: Any, make: Any) -> None:
    stage.simple(limits={"maxAge": "1h"})
    async with stage.running():
        assert (await stage.get("/api/v3/inference/bindings/p"))[0] == 404
        await stage.send(*(make.event("p", X=number, origin=7) for number in range(3)))
        await stage.through(3)
        (shown,) = (await stage.get("/api/v3/inference/bindings/p"))[1]["bindings"]
    assert shown["counters"]["dropped"] == {"maxAge": 3}
    assert shown["counters"]["received"] == 3
    assert shown["latencyMs"]["queue"]["count"] == 3
    assert shown["latencyMs"]["queue"]["p50"] <= shown["latencyMs"]["queue"]["p99"]
    assert shown["model"] == {"name": "double", "version": "1"}
    limits = {"maxAge": "1h", "maxDelay": "0s", "timeout": "5s", "overload": "all", "queue": 1000}
    assert shown["settings"]["limits"] == limits
    assert shown["settings"]["outputs"] == {"Y": {"value": "y.0", "type": "Float64"}}
    assert shown["settings"]["model"]["version"] == "1"
    origins = [
        shown["origins"][key] for key in ("limits.maxAge", "limits.queue", "model.version", "fallback")
    ]
    assert origins == [shown["origins"]["model.name"], "default", "model card", "default"]
    assert shown["device"] is None
