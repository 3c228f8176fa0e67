"""What must hold on a running EdgeX; each case returns a note for the table, raises AssertionError, or Skip."""

import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

from tests.live.device import PATIENCE
from tests.live.edgex import call
from tests.live.scene import Scene, Skip

_PAUSE = 0.1


def eventually(true: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(_PAUSE)


def registered(scene: Scene) -> str:
    """A profile and a device that come while the service runs are taken up by their system events."""
    scene.prepare()
    scene.start()
    scene.register()
    scene.ready()
    return f"{scene.device.device} of core-metadata {scene.version}"


def inferred(scene: Scene) -> str:
    """An event becomes a result with its correlation id, of the companion profile, with the right value."""
    correlation = scene.device.publish(3.0)
    found = scene.device.wait(
        lambda one: one.correlation == correlation and "Wear" in one.values, "the result"
    )
    assert (float(found.values["Wear"]), found.types["Wear"]) == (7.0, "Float32"), found.values
    assert found.event["profileName"] == f"{scene.own}-inference", found.event
    assert found.event["sourceName"] == "LiveWear", found.event
    return "Wear = 2 · 3 + 1 as Float32"


def described(scene: Scene) -> str:
    """The companion profile says what is published."""
    name = f"{scene.own}-inference"
    eventually(lambda: scene.metadata.get("deviceprofile", name), f"{name} is in core-metadata")
    found = scene.metadata.get("deviceprofile", name)
    types = {one["name"]: one["properties"]["valueType"] for one in found["deviceResources"]}
    assert types["Wear"] == "Float32", types
    assert "LiveWear" in {one["name"] for one in found["deviceCommands"]}, found["deviceCommands"]
    return f"{name}: {', '.join(sorted(types))}"


def stored(scene: Scene) -> str:
    """core-data keeps results as typed readings."""
    if not scene.place.data:
        raise Skip("EDGEX_DATA is not given")
    scene.device.infer(5.0)
    path = f"/api/v3/reading/device/name/{quote(scene.device.device, safe='')}/resourceName/Wear?limit=20"
    found: list[float] = []

    def there() -> bool:
        status, body = call("GET", scene.place.data + path)
        readings = body.get("readings") or [] if status == 200 else []
        assert {one["valueType"] for one in readings} <= {"Float32"}, readings
        found[:] = [float(one["value"]) for one in readings]
        return 11.0 in found

    eventually(there, "the result in core-data")
    return f"{len(found)} readings of Wear"


def polled(scene: Scene) -> str:
    """A binding that polls reads the device through core-command, and follows it."""
    if not scene.place.command:
        raise Skip("EDGEX_COMMAND is not given")
    for level in (20.0, 30.0):
        scene.device.level = level
        scene.device.wait(
            lambda one, level=level: _is(one.values.get("Fill"), 2 * level + 1), f"level {level}"
        )
    return f"{scene.device.asked} reads"


def other(scene: Scene) -> str:
    """A side-car on a profile of another device service."""
    if not scene.place.device:
        raise Skip("EDGEX_DEVICE is not given")
    name = scene.place.device.partition("/")[0]
    found = scene.device.wait(
        lambda one: one.event["deviceName"] == name and "Twice" in one.values, f"a result of {name}"
    )
    return f"{scene.place.device}: Twice = {found.values['Twice']}"


def bus_lost(scene: Scene) -> str:
    """Our connection to the bus breaks: results wait on disk, `/ready` says so, and all goes on afterwards."""
    scene.bus.cut()
    scene.service.said("connection lost")
    scene.service.until(lambda: scene.service.get("/ready")[0] == 503, "not ready")
    scene.bus.mend()
    scene.service.until(lambda: scene.service.get("/ready")[0] == 200, "ready again")
    found = scene.device.infer(6.0)
    assert _is(found.values["Wear"], 13.0), found.values
    return "one line each way"


def metadata_lost(scene: Scene) -> str:
    """Our connection to core-metadata breaks: inference goes on, `/ready` says so, and what changed is caught up."""
    scene.way.cut()
    try:
        scene.service.said("what is known of it goes on")
        said = scene.service.get("/ready")
        assert said[0] == 200, said
        assert any("core-metadata at" in reason for reason in said[1]["reasons"]), said
        found = scene.device.infer(7.0)
        assert _is(found.values["Wear"], 15.0), found.values
    finally:
        scene.way.mend()
    scene.service.said("is back")
    scene.ready()
    return "one line each way"


def service_restarted(scene: Scene) -> str:
    """The service itself is stopped and started: everything is as it was, nothing is registered twice."""
    before = scene.metadata.get("deviceprofile", f"{scene.own}-inference")
    assert scene.service.stop() == 0, scene.log
    scene.start()
    scene.ready()
    found = scene.device.infer(8.0)
    assert _is(found.values["Wear"], 17.0), found.values
    after = scene.metadata.get("deviceprofile", f"{scene.own}-inference")
    assert after == before, "the companion was written again"
    return "the companion stayed as it was"


def restarted(name: str) -> Callable[[Scene], str]:
    """A service of EdgeX is restarted: results come afterwards."""

    def case(scene: Scene) -> str:
        if name == "core-command" and not scene.place.command:
            raise Skip("EDGEX_COMMAND is not given")
        if name == "core-data" and not scene.place.data:
            raise Skip("EDGEX_DATA is not given")
        scene.restart(name)
        scene.ready()
        value = 9.0 + len(name)
        found = scene.device.infer(value)
        assert _is(found.values["Wear"], 2 * value + 1), found.values
        if name == "core-command":
            return polled_anew(scene)
        return locked(scene) if name == "core-metadata" else "results go on"

    return case


def polled_anew(scene: Scene) -> str:
    level = 40.0
    scene.device.level = level
    scene.device.wait(lambda one: _is(one.values.get("Fill"), 2 * level + 1), f"level {level}")
    return "polling goes on"


def locked(scene: Scene) -> str:
    """What changes in core-metadata is followed: a device that is locked there is not inferred until it is unlocked."""
    name = scene.device.device
    for state, status in (("LOCKED", "inactive"), ("UNLOCKED", "running")):
        told = len(scene.device.heard)
        scene.metadata.change("device", "device", {"name": name, "adminState": state})
        if state == "UNLOCKED":
            scene.device.infer(4.0)
        scene.device.wait(
            lambda one, status=status: one.values.get("InferenceStatus") == status, status, since=told
        )
    return "its changes are followed"


def configured(scene: Scene) -> str:
    """The configuration comes from the provider, and a change of its Writable part is taken up at once."""
    if not scene.place.keeper:
        raise Skip("EDGEX_KEEPER is not given")
    assert scene.service.stop() == 0, scene.log
    scene.start(f"-cp=keeper.{scene.place.keeper}")
    scene.ready()
    assert scene.stored("GET", "/Inference/ReconcileInterval") == 200, "our part is not stored"
    value = {"apiVersion": "v3", "value": "DEBUG"}

    def followed() -> bool:  # it may not be watching yet when the first one is put
        assert scene.stored("PUT", "/Writable/LogLevel", value) == 200
        return scene.service.count("Writable.LogLevel is DEBUG now") > 0

    eventually(followed, "Writable.LogLevel is followed")
    found = scene.device.infer(12.0)
    assert _is(found.values["Wear"], 25.0), found.values
    return f"edgex/v4/{scene.key}, LogLevel followed"


CASES: Mapping[str, Callable[[Scene], str]] = {
    "register": registered,
    "a reading becomes a result": inferred,
    "companion profile": described,
    "stored in core-data": stored,
    "poll through core-command": polled,
    "a device of another service": other,
    "connection to the bus lost": bus_lost,
    "connection to core-metadata lost": metadata_lost,
    "core-metadata restarted": restarted("core-metadata"),
    "core-command restarted": restarted("core-command"),
    "core-data restarted": restarted("core-data"),
    "message bus restarted": restarted("mqtt-broker"),
    "this service restarted": service_restarted,
    "configuration from core-keeper": configured,
}


def _is(text: object, value: float) -> bool:
    return isinstance(text, str) and abs(float(text) - value) < 1e-3
