"""Poisoned input: dropped, counted with a reason, said once, and nobody else is harmed."""

import io
import logging
from typing import Any

import aiohttp
import pytest
from PIL import Image

from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.pipeline.publishing import outputs
from edgex_inference.pipeline.running.run import Run


def said(caplog: pytest.LogCaptureFixture, level: int, text: str) -> int:
    return sum(record.levelno == level and text in record.getMessage() for record in caplog.records)


async def page_of(port: int) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/api/v3/inference/traffic") as answer,
    ):
        assert answer.status == 200
        return await answer.json()


@pytest.mark.parametrize(
    ("reason", "value"),
    [("nan", "NaN"), ("null", None), ("parse", "abc"), ("nan", "+Inf"), ("parse", "1e400"), ("missing", ...)],
)
async def test_a_bad_number(
    reason: str, value: object, stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.profile("pump", X=("Float32", {"Twice": make.binding(inputs=[{"resource": "X"}, {"resource": "Z"}])}),
                  Z="Float32")  # fmt: skip
    strings = stage.model(shape=[None, 2])
    bad = [make.reading("X", value)] if value is not ... else []
    async with stage.running():
        for _ in range(3):
            await stage.send(make.event("p", *bad, Z=1), make.event("q", X=1, Z=1), make.event("p", X=2, Z=1))
        await stage.have(6)
        counters = await stage.through(9)
    assert counters["dropped"] == {reason: 3}
    assert counters["failed"] == {}
    assert sum(strings.batches) - 1 == 6, "but for the warm-up the model saw the good ones only"
    assert len(stage.results("p")) == len(stage.results("q")) == 3
    assert said(caplog, logging.WARNING, f"dropped as {reason}") == 1
    assert "p: resource" in next(r.getMessage() for r in caplog.records if "dropped as" in r.getMessage())
    assert set(stage.statuses()) == {"running"}


async def test_a_truncated_picture(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), (255, 0, 0)).save(picture, "JPEG")
    whole = picture.getvalue()
    card = {"inputs": {"x": {"kind": "image", "layout": "NCHW", "color": "rgb"}}}
    stage.profile("cam", Frame=("Binary", {"Twice": make.binding(limits={"overload": "all", "queue": 9})}))
    stage.model(shape=[None, 3, 8, 8], card=card)
    async with stage.running():
        for data in (whole, whole[: len(whole) // 2], b"no picture at all", whole):
            await stage.send(make.event("c", make.reading("Frame", data, ValueType.BINARY), profile="cam"))
        await stage.have(2)
        counters = await stage.through(4)
    assert counters["dropped"] == {"truncated": 1, "picture": 1} or sum(counters["dropped"].values()) == 2


async def test_messages_that_are_no_events(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.simple()
    topic = "edgex/events/device/device-virtual/pump/p/All"
    broken = {
        "envelope": b"\x00garbage",
        "size": b"{" + b" " * (50 << 20),
        "payload": b'{"apiVersion":"v3","payload":"!!!","contentType":"application/json"}',
        "event": b'{"apiVersion":"v3","payload":{"event":{"readings":7}},"contentType":"application/json"}',
    }
    async with stage.running():
        for payload in broken.values():
            await stage.send(Message(topic, payload), Message(topic, payload))
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        traffic = stage.service.router.traffic
        assert traffic.invalid.by_word() == dict.fromkeys(sorted(broken), 2)
        assert traffic.messages.total("matched") == 1
        shown = await page_of(stage.service.port)
    del shown["messages"]["own"]  # results come back when they come
    assert shown["messages"] == {"matched": 1, "unmatched": 0, "notEvent": 0, "repeated": 0, "invalid": 8}
    assert shown["invalid"] == dict.fromkeys(sorted(broken), 2)
    assert shown["decodeMs"]["count"] == 1
    assert said(caplog, logging.WARNING, "dropped as") == 1, "one source, one line"
    assert said(caplog, logging.ERROR, "") == 0


async def test_a_reading_from_outside_time_harms_nobody(stage: Any, make: Any) -> None:
    """An origin that no event may carry is not passed on: it would be refused, and with it its neighbors."""
    stage.simple()
    old = make.reading("X", 1)
    early = type(old)(resource_name="X", value_type="Float32", value="1", origin=-5)
    async with stage.running():
        await stage.send(make.event("p", early, origin=9), make.event("q", X=2))
        await stage.have(2)
    assert [one.event.origin for one in stage.results("p")] == [9]


async def test_a_device_whose_name_makes_no_topic(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple()
    async with stage.running():
        for _ in range(3):
            nameless = make.encode(make.event("n" * 70_000, X=1), "c").payload
            message = Message("edgex/events/device/d/pump/n/All", nameless)
            await stage.send(make.event("p", X=1), message, make.event("q", X=1))
        await stage.have(6)
        counters = await stage.through(9)
    assert counters["dropped"] == {"topic": 3}
    assert said(caplog, logging.WARNING, "dropped as topic") == 1
    assert max(len(record.getMessage()) for record in caplog.records if record.levelno >= logging.INFO) < 1000


async def test_a_poisoned_row_fails_alone(stage: Any, make: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.profile("pump", X=("Float32", {"Twice": make.binding()}))
    stage.model(poison=13.0)
    async with stage.running():
        await stage.send(*(make.event(f"p{number}", X=number) for number in range(20)))
        await stage.have(19)
        counters = await stage.through(20)
        assert stage.service.router.runs[0].status == "degraded"
        assert stage.service.router.runs[0].reason.startswith("p13: model")
        await stage.send(make.event("p13", X=1))
        await stage.have(20)
        assert stage.service.router.runs[0].status == "running"
    assert counters["failed"] == {"failed": 1}
    assert stage.statuses("p13") == ["degraded", "running"]
    assert said(caplog, logging.WARNING, "p13: binding Twice: degraded") == 1
    assert said(caplog, logging.INFO, "p13: binding Twice: running") == 1


async def test_trouble_that_comes_and_goes_is_said_once(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.profile("pump", X=("Float32", {"Twice": make.binding()}))
    stage.model(poison=13.0)
    async with stage.running():
        for _ in range(5):
            await stage.send(make.event("p", X=13), make.event("p", X=1))
        await stage.through(10)
    assert stage.statuses("p") == ["degraded", "running"] * 5
    assert said(caplog, logging.WARNING, "degraded") == 1
    assert said(caplog, logging.INFO, "p: binding Twice: running") == 1


async def test_a_defect_of_ours_costs_one_item(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple()
    real = outputs.write

    def broken(settled: Any, moment: Any, **names: Any) -> Any:
        if names["device"] == "bad":
            raise ZeroDivisionError("oops")
        return real(settled, moment, **names)

    monkeypatch.setattr(outputs, "write", broken)
    async with stage.running():
        for _ in range(3):
            await stage.send(make.event("p", X=1), make.event("bad", X=1), make.event("q", X=1))
        await stage.have(6)
        counters = await stage.through(9)
    assert counters["failed"] == {"unexpected": 3}
    assert said(caplog, logging.ERROR, "a defect of ours: ZeroDivisionError('oops')") == 1


async def test_a_defect_before_the_queue_costs_one_message(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple()
    real = Run.wants

    def broken(run: Run, event: Any) -> bool:
        if event.device_name == "bad":
            raise KeyError("oops")
        return real(run, event)

    monkeypatch.setattr(Run, "wants", broken)
    async with stage.running():
        await stage.send(*(make.event(name, X=1) for name in ("p", "bad", "q", "bad")))
        await stage.have(2)
        assert stage.service.router.traffic.invalid.by_word() == {"unexpected": 2}
    assert said(caplog, logging.ERROR, "a defect of ours") == 1


async def test_a_plug_in_that_breaks_its_promise(stage: Any, make: Any) -> None:
    strings = stage.simple()
    async with stage.running():
        strings.always = "leak"
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: stage.counters()["failed"] == {"failed": 1})
        strings.always = "ok"
        await stage.send(make.event("p", X=1))
        await stage.have(1)
    assert stage.statuses() == ["degraded", "running"]
    assert "VendorError" in stage.heard[0].values["InferenceReason"]


async def test_an_event_that_comes_again_is_not_inferred_again(
    stage: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple()
    event = make.event("p", X=1)
    async with stage.running() as service:
        await stage.send(event, event, event, make.event("p", X=2))
        await stage.have(2)
        assert service.router.traffic.messages.total("repeated") == 2
    assert [one.values["Y"] for one in stage.results()] == ["3e+00", "5e+00"]
    assert (
        sum(f"event {event.id} has come before; it is not inferred again" in one for one in caplog.messages)
        == 1
    )
