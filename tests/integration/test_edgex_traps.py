"""What differs between two EdgeX installations of the same release: switches, escaped names, stale topics, client ids.

Each with official services on both sides. EdgeX 4 unless EDGEX_INFERENCE_MATRIX=all (`make matrix`).
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from edgex_inference.contracts.messages import Message

Make = Callable[..., Any]
ALL = os.environ.get("EDGEX_INFERENCE_MATRIX") == "all"
BASE64, CBOR = {"EDGEX_MSG_BASE64_PAYLOAD": "true"}, {"EDGEX_MSG_CBOR_ENCODE": "true"}
EVENTS, OPTIMIZE = {"EDGEX_ENCODE_ALL_EVENTS_CBOR": "true"}, {"EDGEX_OPTIMIZE_EVENT_PAYLOAD": "true"}
SWITCHES = [
    ("4", BASE64),
    ("4", CBOR),
    ("4", EVENTS),
    ("4", OPTIMIZE),
    *([("3", EVENTS), ("2", EVENTS), ("21", EVENTS)] if ALL else []),
]
SMALL = 20_000


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("generation", "switches"), SWITCHES, ids=[f"edgex {one} {' '.join(names)}" for one, names in SWITCHES]
)
def test_switches_that_everybody_has(
    enter: Make, official: Any, judge: Make, generation: str, switches: dict[str, str]
) -> None:
    """What the official device service sends is read, what we send the official consumer takes."""
    wish = official.cell.Wish(device=switches, ours=switches, audience=switches, pictures_of=SMALL)
    cell = enter(generation, "mqtt", wish)
    cell.wait()
    for case in official.cell.CASES:
        for one in cell.events(case)[:2]:
            assert official.cell.is_right(case, one), one
            assert cell.verdict(judge, one) == ""
    kind = "application/cbor" if switches != BASE64 and switches != OPTIMIZE else "application/json"
    assert {one["contentType"] for one in cell.events("scalar")} == {kind}
    if switches == CBOR:
        results = cell.metadata.wait(on_the_bus, "our results")
        assert all(0xA0 <= one[0] <= 0xBF for one in results)
    if switches == OPTIMIZE:
        results = cell.metadata.wait(on_the_bus, "our results")
        assert all(one.count(b'"deviceName"') == 1 for one in results)


def on_the_bus(heard: Sequence[Message]) -> list[bytes]:
    """Our results among all that core-metadata's double has heard, which is later than the consumer perhaps."""
    found = [one.payload for one in heard if one.topic.endswith("/spindle-1/SpindleHeat")]
    return [one for one in found if b"Heat" in one and b"InferenceStatus" not in one]


@pytest.mark.timeout(240)
def test_switches_of_the_device_service_alone(enter: Make, official: Any) -> None:
    cell = enter("4", "mqtt", official.cell.Wish(device=BASE64 | OPTIMIZE, pictures_of=SMALL))
    cell.wait()
    for case in official.cell.CASES:
        assert official.cell.is_right(case, cell.events(case)[0])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("generation", ["4", "3"] if ALL else ["4"])
@pytest.mark.parametrize(
    ("escape", "name"), [(True, "press 7.b/x_é~+"), (False, "press 7.b_é~")], ids=["escaped", "plain"]
)
def test_names_with_everything_in_them(
    enter: Make, official: Any, judge: Make, generation: str, escape: bool, name: str
) -> None:
    cell = enter(generation, "mqtt", official.cell.Wish(escape=escape, name=name, pictures_of=SMALL))
    cell.wait()
    escaped = "press%207%2Eb%2Fx%5F%C3%A9%7E%2B%2D1"
    for one in cell.events("scalar"):
        assert one["event"]["deviceName"] == f"{name}-1"
        levels = one["topic"].split("/")
        service, profile = (
            ("app%2Dinference", "spindle%2Dinference") if escape else ("app-inference", "spindle-inference")
        )
        device = escaped if escape else f"{name}-1"
        assert levels == ["edgex", "events", "device", service, profile, device, "SpindleHeat"]
        assert cell.verdict(judge, one) == ""


@pytest.mark.timeout(120)
def test_the_topic_of_the_last_hop_counts(process: Any, pump: Any, mosquitto: Make) -> None:
    """A forwarded envelope says where it was before: there it may look like ours."""
    broker = mosquitto()
    pump.configure(broker.port, '[Inference]\nMetadata = "none"')
    pump.start().ready()
    client = pump.client(broker.port)
    stale = "edgex/events/device/app-inference/pump-inference/p-1/Wear"

    def send(device: str, load: str, *, on: str = "") -> str:
        topic, payload, correlation = process.message(device, process.reading("Load", load))
        said = payload.replace(b'"receivedTopic": ""', f'"receivedTopic": "{stale}"'.encode())
        assert said != payload
        client.send(on or topic, said)
        return str(correlation)

    wanted = [send("p-1", "3")]
    send("p-1", "5", on=stale)
    wanted.append(send("p-1", "4"))
    results = client.got.wait(
        lambda items: [one for one in items if "Wear" in one.values] if len(items) == 3 else None, "results"
    )
    assert [one.correlation for one in results] == wanted, (
        "what came on our own topic was taken for another's"
    )
    assert [one.values["Wear"] for one in results] == ["7e+00", "9e+00"]
    assert {one.envelope["receivedTopic"] for one in results} == {""}


@pytest.mark.timeout(120)
def test_another_client_with_our_id_is_asked_after(process: Any, pump: Any, mosquitto: Make) -> None:
    """Both throw each other off, for ever; the log names the cause, and another instance name ends it."""
    broker = mosquitto()
    pump.configure(broker.port, '[Inference]\nMetadata = "none"')
    first, second = pump.start(), pump.start()
    for one in (first, second):
        one.said("does another client use the id 'app-inference'?")
    second.stop()
    other = pump.start("run", "-i", "b").ready()
    first.ready()
    client = pump.client(broker.port)
    client.send_event("p-1", process.reading("Load", "3"))
    for one in (first, other):
        assert one.counted("Wear", "published", 1)["received"] == 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("generation", "major"), [("4", "4"), *([("3", "3"), ("2", "2"), ("21", "2")] if ALL else [])]
)
def test_the_major_without_anybody_to_ask(
    enter: Make, official: Any, judge: Make, generation: str, major: str
) -> None:
    """What the first events of the official service look like is what our results look like."""
    cell = enter(generation, "mqtt", official.cell.Wish(asks=False, pictures_of=SMALL))
    cell.wait()
    for case in official.cell.CASES:
        for one in cell.events(case)[:2]:
            assert one["event"]["apiVersion"] == cell.version
            assert cell.verdict(judge, one) == ""
    assert (
        cell.service.count(f"EdgeX {major} is spoken from now on, as messages on edgex/events/device/") == 1
    )
    assert cell.service.count("is spoken from now on") == 1
