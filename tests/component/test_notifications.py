"""What support-notifications is told of bindings, over real HTTP, and that it can do no harm."""

import logging
import re
from typing import Any

import pytest

from edgex_inference.config.schema import NOTIFICATIONS, Client, Seconds
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.edgex.notifications import Notification, NotificationClient
from edgex_inference.pipeline.alerting import alerts, facts, lookout


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, stage: Any, notifications: Any) -> None:
    monkeypatch.setattr(lookout, "_LOOK", 0.02)
    for name in ("_SHORTEST", "_LONGEST"):
        monkeypatch.setattr(alerts, name, 0.02)
    monkeypatch.setattr(facts, "_SHORTEST", 3600.0)  # on a busy machine every binding stalls for a moment
    monkeypatch.setattr(facts, "_TIMEOUTS", 0)
    stage.clients = {NOTIFICATIONS: Client(host="127.0.0.1", port=notifications.port)}


def said(caplog: pytest.LogCaptureFixture, text: str) -> list[int]:
    return [record.levelno for record in caplog.records if text in record.getMessage()]


async def counted(stage: Any) -> Any:
    return (await stage.get("/api/v3/inference/traffic"))[1]["notifications"]


async def test_a_rejected_model_and_its_end(stage: Any, make: Any, notifications: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": make.binding()}))
    strings = stage.model()
    strings.refuse = ModelRejected("double", "an operator that nobody knows")
    async with stage.running():
        await stage.until(lambda: len(notifications.taken) == 1)
        (one,) = notifications.taken
        assert one["labels"] == ["model-rejected"]
        assert one["severity"] == "CRITICAL"
        assert "profile pump: binding Twice: inactive: " in one["content"]
        assert "an operator that nobody knows" in one["content"]
        strings.refuse = None
        stage.model(card={"description": "another try"})
        await stage.until(lambda: len(notifications.taken) == 2)
        assert notifications.taken[1]["severity"] == "MINOR"
        assert notifications.taken[1]["content"].startswith(
            "profile pump: binding Twice: model-rejected is over ("
        )
        assert await counted(stage) == {
            "waiting": 0, "sent": 2, "heldBack": 0, "refused": 0, "overflow": 0, "expired": 0,
        }  # fmt: skip
    assert notifications.paths == ["/api/v3/notification"] * 2


async def test_a_missing_model_is_no_rejected_one(stage: Any, make: Any, notifications: Any) -> None:
    stage.profile("pump", X=("Float32", {"Twice": make.binding()}))
    async with stage.running():
        await stage.until(lambda: len(notifications.taken) == 1)
    assert notifications.taken[0]["labels"] == ["binding-inactive"]


@pytest.mark.parametrize(("fallback", "told"), [("warn", 1), ("allow", 0)])
async def test_falling_back_unless_that_is_allowed(
    stage: Any, make: Any, notifications: Any, fallback: str, told: int
) -> None:
    stage.simple(accelerator=["nobody", "fake:CPU"], fallback=fallback)
    async with stage.running() as service:
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        service.lookout.alerts.look()
        await stage.until(lambda: not service.lookout.alerts.waiting)
    assert [one["labels"] for one in notifications.taken] == [["accelerator-fallback"]] * told
    assert [one["severity"] for one in notifications.taken] == ["NORMAL"] * told


async def test_a_binding_that_takes_and_gives_nothing(
    stage: Any, make: Any, notifications: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    strings = stage.simple(limits={"timeout": "30s"})
    async with stage.running():
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        strings.always = "hang"
        await stage.send(make.event("p", X=2), make.event("p", X=3))
        await stage.until(lambda: stage.counters()["received"] == 3)
        monkeypatch.setattr(facts, "_SHORTEST", 0.05)
        await stage.until(lambda: len(notifications.taken) == 1)
        (one,) = notifications.taken
        assert one["labels"] == ["binding-stalled"]
        assert re.search(r"no result for \d+ s; 2 events wait, ", one["content"])
        strings.always = "ok"
        strings.release.set()
        await stage.until(lambda: len(notifications.taken) == 2)
    assert "binding-stalled is over" in notifications.taken[1]["content"]


async def test_a_binding_that_only_fails_has_stalled_and_one_that_rests_has_not(
    stage: Any, make: Any, notifications: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "_LOOK", 3600.0)
    monkeypatch.setattr(facts, "_SHORTEST", 30.0)
    strings = stage.simple()
    async with stage.running() as service:
        clock = [0.0]
        service.lookout.alerts._stalls._clock = lambda: clock[0]

        def look(seconds: float = 31.0) -> None:
            clock[0] += seconds
            service.lookout.alerts.look()

        async def rests() -> None:
            await stage.until(lambda: service.router.runs[0].unfinished == 0)

        await stage.send(make.event("p", X=1))
        await stage.have(1)
        await rests()
        look(), look(), look()
        strings.always = "fail"
        await stage.send(make.event("p", X=2))
        await stage.through(2)
        await rests()
        look(), look(), look()
        assert service.lookout.alerts.waiting == 0  # one bad event, and silence
        await stage.send(make.event("p", X=3))
        await stage.through(3)
        await rests()
        look()
        await stage.until(lambda: len(notifications.taken) == 1)
        look(), look()
        strings.always = "ok"
        await stage.send(make.event("p", X=4))
        await stage.have(2)
        await rests()
        look()
        await stage.until(lambda: len(notifications.taken) == 2)
    assert [one["labels"] for one in notifications.taken] == [["binding-stalled"]] * 2
    assert (
        "no result for 93 s; 0 events wait, 2 came since the last one; degraded: p: "
        in notifications.taken[0]["content"]
    )


async def test_a_bus_that_is_away_is_no_stall(
    stage: Any, make: Any, notifications: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "_LOOK", 3600.0)
    strings = stage.simple()
    async with stage.running() as service:
        strings.always = "fail"
        for number in range(3):
            await stage.send(make.event("p", X=number))
            await stage.through(number + 1)
            stage.hub.up = False
            service.lookout.alerts.look()
            stage.hub.up = True
        assert service.lookout.alerts.waiting == 0


async def test_what_comes_and_goes_is_told_once_in_an_interval(
    stage: Any, make: Any, notifications: Any
) -> None:
    stage.inference = {"notification_interval": Seconds(3600.0)}
    stage.profile("pump", X=("Float32", {"Twice": make.binding(model={"name": "none"})}))
    async with stage.running():
        await stage.until(lambda: len(notifications.taken) == 1)
        stage.simple()
        await stage.until(lambda: len(notifications.taken) == 2)
        stage.profile("pump", X=("Float32", {"Twice": make.binding(model={"name": "absent"})}))
        await stage.until(lambda: stage.service.lookout.alerts.counts.total("heldBack") == 1)
        stage.simple()
        await stage.until(lambda: stage.service.router.runs[0].status == "running")
        assert (await counted(stage))["sent"] == 2
    assert len(notifications.taken) == 2


async def test_what_lasts_is_told_when_the_interval_is_over(
    stage: Any, make: Any, notifications: Any
) -> None:
    clock = [0.0]
    stage.inference = {"notification_interval": Seconds(900.0)}
    stage.profile("pump", X=("Float32", {"Twice": make.binding(model={"name": "none"})}))
    async with stage.running() as service:
        await stage.until(lambda: len(notifications.taken) == 1)
        service.lookout.alerts._clock = lambda: clock[0]
        subject = next(iter(service.lookout.alerts._told))
        service.lookout.alerts._told[subject].at = 0.0
        service.lookout.alerts._compare({})
        service.lookout.alerts._compare({subject: "again"})
        await stage.until(lambda: len(notifications.taken) == 2)
        clock[0] = 901.0
        await stage.until(lambda: len(notifications.taken) == 3)
    assert [one["severity"] for one in notifications.taken] == ["CRITICAL", "MINOR", "CRITICAL"]


async def test_away_they_wait_in_order_and_are_said_once_each_way(
    stage: Any, make: Any, notifications: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await notifications.stop()
    for name in ("fan", "pump"):
        stage.profile(name, X=("Float32", {f"Of{name}": make.binding(model={"name": "none"})}))
    async with stage.running() as service:
        await stage.until(lambda: bool(service.lookout.alerts.trouble))
        await stage.until(lambda: service.lookout.alerts.waiting == 2)
        assert (await counted(stage))["waiting"] == 2
        _, ready = await stage.get("/ready")
        assert any("support-notifications at http://127.0.0.1:" in one for one in ready["reasons"])
        await stage.send(make.event("p", X=1))
        await stage.until(lambda: "inactive" in stage.statuses("p"))
        await notifications.start()
        await stage.until(lambda: len(notifications.taken) == 2)
        await stage.until(lambda: not service.lookout.alerts.trouble)
    assert said(caplog, "cannot be reached: Connection refused: notifications wait") == [logging.WARNING]
    assert said(caplog, "answers again") == [logging.INFO]
    assert ["fan" in one["content"] for one in notifications.taken].count(True) == 1


async def test_refused_ones_are_counted_and_said_once(
    stage: Any, make: Any, notifications: Any, caplog: pytest.LogCaptureFixture
) -> None:
    notifications.status = 400
    for name in ("fan", "pump"):
        stage.profile(name, X=("Float32", {f"Of{name}": make.binding(model={"name": "none"})}))
    async with stage.running():
        await stage.until(lambda: stage.service.lookout.alerts.counts.total("refused") == 2)
        assert (await counted(stage))["waiting"] == 0
    assert said(caplog, "refuses: HTTP 400: not today") == [logging.WARNING]


async def test_an_error_of_the_server_is_an_outage(stage: Any, make: Any, notifications: Any) -> None:
    notifications.status = 500
    stage.profile("pump", X=("Float32", {"Twice": make.binding(model={"name": "none"})}))
    async with stage.running() as service:
        await stage.until(lambda: service.lookout.alerts.trouble.endswith("answers with HTTP 500: not today"))
        notifications.status = 201
        await stage.until(lambda: len(notifications.taken) == 1)


async def test_what_waits_is_bounded_and_grows_old(
    stage: Any, make: Any, notifications: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_MOST", 1)
    await notifications.stop()
    for name in ("fan", "pump", "saw"):
        stage.profile(name, X=("Float32", {f"Of{name}": make.binding(model={"name": "none"})}))
    async with stage.running() as service:
        await stage.until(lambda: service.lookout.alerts.counts.total("overflow") == 2)
        assert service.lookout.alerts.waiting == 1
        monkeypatch.setattr(alerts, "_TOO_OLD", 0.0)
        await stage.until(lambda: service.lookout.alerts.counts.total("expired") == 1)
    assert notifications.taken == []


@pytest.mark.parametrize("switch", ["client", "interval"])
async def test_nobody_is_told_unless_it_is_configured(
    stage: Any, make: Any, notifications: Any, switch: str
) -> None:
    if switch == "client":
        stage.clients = {}
    else:
        stage.inference = {"notification_interval": Seconds(0.0)}
    stage.profile("pump", X=("Float32", {"Twice": make.binding(model={"name": "none"})}))
    async with stage.running() as service:
        assert service.lookout.alerts is None
        assert "notifications" not in (await stage.get("/api/v3/inference/traffic"))[1]
    assert notifications.bodies == []


@pytest.mark.parametrize(("major", "api"), [("2", "v2"), ("3", "v3"), ("4", "v3"), (None, "v3")])
async def test_each_edgex_has_its_path(notifications: Any, major: Any, api: str) -> None:
    client = NotificationClient(f"http://127.0.0.1:{notifications.port}", "app-inference")
    client.major = major
    try:
        assert await client.post(Notification(content="text", labels=("a",), severity="MINOR")) == ""
    finally:
        await client.close()
    assert notifications.paths == [f"/api/{api}/notification"]
    assert notifications.bodies[0][0]["apiVersion"] == api


@pytest.mark.parametrize("major", ["2", "3", "4"])
async def test_edgex_takes_them(notifications: Any, judge_documents: Any, major: Any) -> None:
    """Judged by EdgeX's own validators: every kind and severity, names as they come."""
    client = NotificationClient(f"http://127.0.0.1:{notifications.port}", "app-inference_east")
    client.major = major
    try:
        for kind in (facts.REJECTED, facts.UNAVAILABLE, facts.FELL_BACK, facts.STALLED):
            for severity in ("MINOR", "NORMAL", "CRITICAL"):
                text = f'profile Prüfstand 1: binding "Wear": {kind}'
                await client.post(Notification(content=text, labels=(kind,), severity=severity))
        await client.post(Notification(content="x", labels=("no label",), severity="MINOR"))
    finally:
        await client.close()
    *good, bad = judge_documents(major, "notification", [body[0] for body in notifications.bodies])
    assert len(good) == 12
    assert [one.error for one in good if not one.ok] == []
    assert "only allows unreserved characters" in bad.error


def test_more_amiss_than_is_remembered_is_held_back_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "_MOST_SUBJECTS", 2)
    told = alerts.Alerts(None, None, None, lambda: (), interval=900.0)  # type: ignore[arg-type]
    a, b, c, d = (facts.Subject(facts.UNAVAILABLE, "pump", name) for name in "abcd")

    def look(*amiss: facts.Subject) -> list[str]:
        """What is queued by another look."""
        before = told.waiting
        told._compare(dict.fromkeys(amiss, "no model"))
        return [note.content.split(" (")[0] for _, note in list(told._waiting)[before:]]

    assert look(a, b, c, d) == [f"profile pump: binding {name}: no model" for name in "ab"]
    assert told.counts.by_word()["heldBack"] == 2
    assert [look(a, b, c, d) for _ in range(3)] == [[], [], []]
    assert told.counts.by_word()["heldBack"] == 2, "each of them once"
    assert look(a, c, d) == ["profile pump: binding b: binding-inactive is over"]
    assert look(a, c, d) == ["profile pump: binding c: no model"], "what is well again makes room"
    assert look(a, b, c, d) == []
    assert told.counts.by_word()["heldBack"] == 3
