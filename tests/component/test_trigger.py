"""The synchronous door: POST an event, get what every binding makes of it."""

import asyncio
import io
import json
from typing import Any

import aiohttp
import cbor2
import msgspec
import pytest
from PIL import Image

from edgex_inference.buses.memory import MemoryBus
from edgex_inference.config.schema import Seconds
from edgex_inference.contracts.errors import BusUnavailable
from edgex_inference.contracts.events import Event, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex.values import reading

TRACE = "7d1b2c3d-0000-4000-8000-000000000001"


async def post(stage: Any, body: Any, kind: str = "application/json", **headers: str) -> tuple[int, Any]:
    """Status and answer; `body` is an event, bytes, or something to be said in JSON."""
    if isinstance(body, Event):
        body = json.loads(msgspec.json.encode(body))
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": kind, **headers} if kind else headers
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session,
        session.post(
            f"http://127.0.0.1:{stage.service.port}/api/v3/trigger", data=data, headers=sent
        ) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text


def values(result: Any) -> dict[str, Any]:
    return {one["resourceName"]: one.get("value") for one in result["event"]["readings"]}


async def test_an_event_comes_back_as_the_results_of_its_bindings(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": make.binding(), "Again": make.binding()}))
    stage.model()
    async with stage.running():
        status, body = await post(stage, make.event("pump-1", X=3), **{"X-Correlation-ID": TRACE})
        assert status == 200
        assert body["apiVersion"] == "v3"
        assert body["statusCode"] == 200
        assert [(one["binding"], one["fate"], one["published"]) for one in body["results"]] == [
            ("Again", "result", True),
            ("Twice", "result", True),
        ]
        assert all(values(one) == {"Y": "7e+00"} for one in body["results"])
        heard = await stage.have(2)
    assert {one.event.id for one in heard} == {one["event"]["id"] for one in body["results"]}
    assert {one.correlation_id for one in heard} == {TRACE}
    event = body["results"][0]["event"]
    names = [event[key] for key in ("profileName", "deviceName", "sourceName")]
    assert names == ["pump-inference", "pump-1", "Again"]


@pytest.mark.parametrize("kind", ["application/json", "application/cbor", "text/plain", ""])
@pytest.mark.parametrize("bare", [True, False])
async def test_both_shapes_in_both_encodings(stage: Any, make: Any, kind: str, bare: bool) -> None:
    stage.simple()
    async with stage.running():
        event = msgspec.to_builtins(make.event("pump-1", X=1))
        said = event if bare else {"apiVersion": "v3", "requestId": TRACE, "event": event}
        data = cbor2.dumps(said) if kind.endswith("cbor") else json.dumps(said).encode()
        status, body = await post(stage, data, kind)
    assert (status, values(body["results"][0])) == (200, {"Y": "3e+00"})


async def test_a_picture_in_cbor(stage: Any, make: Any) -> None:
    file = io.BytesIO()
    Image.new("L", (1, 1), 5).save(file, "PNG")
    card = {"inputs": {"x": {"kind": "image", "layout": "NCHW", "color": "gray", "range": [0, 255]}}}
    stage.profile("cam", P=("Binary", {"Twice": make.binding()}))
    stage.model(shape=[None, 1, 1, 1], card=card)
    async with stage.running():
        event = make.event("c", make.reading("P", file.getvalue(), ValueType.BINARY), profile="cam")
        data = cbor2.dumps({"event": msgspec.to_builtins(event, builtin_types=(bytes,))})
        status, body = await post(stage, data, "application/cbor")
    assert (status, values(body["results"][0])) == (200, {"Y": "1.1e+01"})


async def test_a_result_that_is_held_back_is_answered_all_the_same(stage: Any, make: Any) -> None:
    stage.simple(publish={"when": "change"})
    async with stage.running():
        first = await post(stage, make.event("pump-1", X=1))
        second = await post(stage, make.event("pump-1", X=1))
        counters = await stage.through(2)
    assert [one[1]["results"][0]["published"] for one in (first, second)] == [True, False]
    assert values(second[1]["results"][0]) == {"Y": "3e+00"}
    assert (counters["published"], counters["suppressed"]) == (1, 1)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"profile": "fan"}, "no binding knows profile 'fan'; there are bindings for pump"),
        ({}, "no binding of profile 'pump' takes readings of Z; they take X"),
    ],
)
async def test_nobody_takes_it(stage: Any, make: Any, event: dict[str, str], said: str) -> None:
    stage.simple()
    async with stage.running():
        status, body = await post(stage, make.event("pump-1", Z=1, **event))
        assert (status, body) == (404, {"apiVersion": "v3", "message": said, "statusCode": 404})


async def test_a_disabled_binding_does_not_take_it(stage: Any, make: Any) -> None:
    stage.simple(enabled=False)
    async with stage.running():
        status, body = await post(stage, make.event("pump-1", X=1))
    assert (status, body["message"]) == (404, "every binding of profile 'pump' is disabled: Twice")


async def test_a_binding_that_polls_does_not_take_it(stage: Any, make: Any) -> None:
    stage.simple(poll={"interval": "1h"})
    async with stage.running(settled=False):
        status, body = await post(stage, make.event("pump-1", X=1))
    said = "every binding of profile 'pump' fetches its readings itself (poll): Twice"
    assert (status, body["message"]) == (404, said)


async def test_what_is_in_the_event_cannot_be_used(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running():
        status, body = await post(stage, make.event("pump-1", X="nan"))
    assert (status, body["statusCode"]) == (422, 422)
    assert body["message"] == "Twice: pump-1: resource X: nan is no finite number (nan)"
    assert body["results"] == [
        {
            "profile": "pump",
            "binding": "Twice",
            "fate": "dropped",
            "reason": "nan",
            "message": "pump-1: resource X: nan is no finite number",
        }
    ]


async def test_one_result_is_enough(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": make.binding()}), Z=("Float32", {"Other": make.binding()}))
    stage.model()
    async with stage.running():
        status, body = await post(stage, make.event("pump-1", X=1, Z="nan"))
    assert status == 200
    assert {one["binding"]: one["fate"] for one in body["results"]} == {"Twice": "result", "Other": "dropped"}


async def test_a_binding_that_cannot_run_says_why(stage: Any, make: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": make.binding(model={"name": "nosuch"})}))
    async with stage.running():
        status, body = await post(stage, make.event("pump-1", X=1))
    assert (status, body["results"][0]["reason"]) == (503, "inactive")
    assert "model 'nosuch'" in body["message"]


async def test_a_failed_run_is_an_error(stage: Any, make: Any) -> None:
    strings = stage.simple()
    async with stage.running():
        strings.script.append("fail")
        status, body = await post(stage, make.event("pump-1", X=1))
    assert (status, body["results"][0]["fate"]) == (500, "failed")
    assert body["results"][0]["reason"] == "failed"


async def test_the_door_has_a_deadline(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"timeout": "30s"})
    stage.http = {"request_timeout": Seconds(0.3)}
    async with stage.running():
        strings.script.append("hang")
        status, body = await post(stage, make.event("pump-1", X=1))
        strings.release.set()
        assert status == 503
        assert body["message"] == "no answer within Service.RequestTimeout (0.3 s) from Twice"
        assert body["results"] == [{"profile": "pump", "binding": "Twice", "fate": "late"}]
        assert len(await stage.have(1)) == 1, "it goes on and is published"


async def test_without_the_bus_the_answer_says_that_it_was_not_published(stage: Any, make: Any) -> None:
    stage.simple()

    class Away(MemoryBus):
        async def publish(self, message: Message) -> None:
            raise BusUnavailable("away")

    stage.bus = Away(stage.hub)
    async with stage.running():
        status, body = await post(stage, make.event("pump-1", X=1))
    assert (status, body["results"][0]["published"]) == (200, False)
    assert values(body["results"][0]) == {"Y": "3e+00"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"event":{}}', b'"x"', b"\xff\xff", b'{"readings":[]}', b'{"event":null}'],
)
@pytest.mark.parametrize("kind", ["application/json", "application/cbor", ""])
async def test_no_event_is_a_400(stage: Any, make: Any, body: bytes, kind: str) -> None:
    stage.simple()
    async with stage.running():
        status, answer = await post(stage, body, kind)
    assert (status, answer["statusCode"]) == (400, 400)
    assert answer["message"].startswith("POST /api/v3/trigger: ")
    if body == b"{}" and kind == "application/json":
        assert "the body is neither an AddEventRequest nor an Event" in answer["message"]


async def test_many_at_once_get_each_its_own(stage: Any, make: Any) -> None:
    stage.simple()
    async with stage.running():
        found = await asyncio.gather(*(post(stage, make.event(f"pump-{n % 7}", X=n)) for n in range(60)))
    assert [values(body["results"][0])["Y"] for _, body in found] == [
        wire_text(2 * number + 1) for number in range(60)
    ]


def wire_text(number: float) -> str:
    text = reading("Y", number, ValueType.FLOAT64, device="d", profile="p", origin=1).value
    assert isinstance(text, str)
    return text


async def test_overload_is_answered(stage: Any, make: Any) -> None:
    strings = stage.simple(limits={"overload": "latest", "queue": 1, "timeout": "30s"})
    stage.http = {"request_timeout": Seconds(30.0)}
    async with stage.running():
        strings.script.append("hang")
        asked = [asyncio.create_task(post(stage, make.event("pump-1", X=n))) for n in range(6)]
        overtaken, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        for one in overtaken:
            status, body = one.result()
            assert (status, body["results"][0]["reason"]) == (503, "overtaken")
            said = "a newer event of this device came while this one waited"
            assert body["results"][0]["message"] == said
        strings.release.set()
        found = [status for status, _ in await asyncio.gather(*asked)]
    assert 200 in found
    assert set(found) == {200, 503}


async def test_a_trigger_type_of_http_reads_no_bus(stage: Any, make: Any) -> None:
    stage.simple()
    stage.trigger = "http"
    async with stage.running():
        await stage.send(make.event("pump-1", X=5))
        status, body = await post(stage, make.event("pump-2", X=1))
        assert (status, values(body["results"][0])) == (200, {"Y": "3e+00"})
        await stage.have(1)
        assert stage.counters()["received"] == 1
    assert [one.event.device_name for one in stage.results()] == ["pump-2"]
