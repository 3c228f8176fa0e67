"""The service on a real broker: starting, what is in its way, and what it says then."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Mosquitto = Callable[..., Any]


def test_a_reading_becomes_a_result(pump: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    pump.configure(broker.port)
    service = pump.start().ready()
    client = pump.client(broker.port)
    correlation = client.send_event("pump-3", process.reading("Load", "1.5e+00"))
    (result,) = client.wait_results(1)
    assert result.topic == "edgex/events/device/app-inference/pump-inference/pump-3/Wear"
    assert (result.correlation, result.values) == (correlation, {"Wear": "4e+00"})
    assert result.event["origin"] == process.ORIGIN
    assert result.event["tags"] == {"model": "affine", "modelVersion": "1", "accelerator": "onnxruntime:CPU"}
    assert service.get("/api/v3/ping")[1]["serviceName"] == "app-inference"
    assert service.get("/api/v3/inference/bindings/pump-3")[1]["totalCount"] == 1
    assert service.stop() == 0


def test_a_broker_that_comes_later(pump: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    broker.stop()
    pump.configure(broker.port)
    service = pump.start()
    service.said("cannot connect")
    assert service.get("/live")[0] == 200
    status, body = service.get("/ready")
    assert (status, body["reasons"][0]) == (503, "the message bus is away")
    service.said("onnxruntime:CPU answers")
    broker.start()
    service.said("connected as 'app-inference'")
    service.ready()
    client = pump.client(broker.port)
    client.send_event("pump-3", process.reading("Load", "1e+00"))
    client.wait_results(1)
    assert service.stop() == 0
    assert service.count("cannot connect") == service.count("connected as") == 1


@pytest.fixture
def guarded(tmp_path: Path, mosquitto: Mosquitto) -> Any:
    """A broker that asks for user `ada` with password `open-sesame-77`."""
    passwords = tmp_path / "passwords"
    passwords.write_text("ada:open-sesame-77\n")
    passwords.chmod(0o600)
    done = subprocess.run(["mosquitto_passwd", "-U", passwords], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return mosquitto(f"password_file {passwords}", anonymous=False)


def secrets(password: str) -> str:
    return (
        '[Writable]\nLogLevel = "TRACE"\n'
        '[Writable.InsecureSecrets.bus]\nSecretName = "the-bus"\n'
        f'[Writable.InsecureSecrets.bus.SecretData]\nusername = "ada"\npassword = "{password}"'
    )


BUS = {"MESSAGEBUS_AUTHMODE": "usernamepassword", "MESSAGEBUS_SECRETNAME": "the-bus"}


def test_a_wrong_password(pump: Any, guarded: Any) -> None:
    pump.configure(guarded.port, secrets("wrong-one-88"))
    service = pump.start(env=BUS)
    line = service.said("level=ERROR")
    for words in ("MessageBus.AuthMode", "MessageBus.SecretName", "the-bus", "'ada'"):
        assert words in line
    assert service.get("/live")[0] == 200
    assert service.get("/ready")[0] == 503
    assert service.stop() == 0
    assert "wrong-one-88" not in service.log


def test_secrets_work_and_stay_secret(pump: Any, process: ModuleType, guarded: Any, tmp_path: Path) -> None:
    pump.configure(guarded.port, secrets("open-sesame-77"))
    service = pump.start(env=BUS).ready()
    client = pump.client(guarded.port, user="ada", password="open-sesame-77")
    client.send_event("pump-3", process.reading("Load", "1e+00"))
    client.wait_results(1)
    status, body = service.get("/api/v3/config")
    shown = json.dumps(body)
    assert (status, "open-sesame-77" in shown, "redacted" in shown) == (200, False, True)
    assert body["config"]["MessageBus"]["Port"] == guarded.port
    assert b"open-sesame" not in Path(f"/proc/{service.pid}/cmdline").read_bytes()
    page = json.dumps(service.get("/api/v3/inference/bindings")[1])
    assert service.stop() == 0
    assert "open-sesame-77" not in service.log + page


def test_a_password_from_the_environment(pump: Any, guarded: Any) -> None:
    pump.configure(guarded.port, secrets("to be overridden"))
    env = {**BUS, "WRITABLE_INSECURESECRETS_BUS_SECRETDATA_PASSWORD": "open-sesame-77"}
    service = pump.start(env=env).ready()
    assert service.stop() == 0
    assert "open-sesame-77" not in service.log


def test_the_port_is_taken(pump: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        pump.configure(1)
        service = pump.start(env={"SERVICE_PORT": str(port)})
        assert service.wait() == 1
    errors = [line for line in service.lines.items if "level=ERROR" in line]
    assert len(errors) == 1
    assert f"port {port}" in errors[0]
    assert "SERVICE_PORT" in errors[0]
    assert "Traceback" not in service.log


def test_every_mistake_of_a_configuration(world: Any) -> None:
    (world.folder / "configuration.toml").write_text(
        '[Service]\nPort = "many"\n[MessageBus]\nType = "mqttt"\nHots = "x"\n[Inference]\nDrainTimeout = "soon"\n'
    )
    service = world.start()
    assert service.wait() == 1
    for word in ("Service.Port", "MessageBus.Type", "MessageBus.Hots", "Host", "Inference.DrainTimeout"):
        assert word in service.log
    assert "configuration.toml:2" in service.log
    assert "Traceback" not in service.log


def test_no_profiles_at_all(world: Any, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    world.configure(broker.port, '[Inference]\nProfilesDir = "elsewhere"')
    service = world.start()
    service.said("Inference.ProfilesDir")
    service.ready()
    assert service.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("run", "--frobnicate"), "--frobnicate"), (("--frobnicate",), "--frobnicate"), (("rum",), "run")],
)
def test_unknown_words(world: Any, arguments: tuple[str, ...], word: str) -> None:
    service = world.start(*arguments)
    assert service.wait() == 2
    assert word in service.log
    assert "Traceback" not in service.log


def test_a_broken_profile_leaves_the_others_alone(
    pump: Any, process: ModuleType, mosquitto: Mosquitto
) -> None:
    broker = mosquitto()
    pump.configure(broker.port)
    pump.profile("name: broken\ndeviceResources:\n  - {name: A, properties: [", "broken")
    pump.profile(
        "name: gone\ndeviceResources:\n  - name: Load\n    properties:\n      valueType: Float32\n"
        "      optional: {inference: {Lost: {model: {name: afine}, outputs: {Y: {value: value}}}}}\n",
        "gone",
    )
    service = pump.start()
    service.said("broken.yaml")
    assert "afine" in service.said("binding Lost is inactive")
    client = pump.client(broker.port)
    service.said("connected as")

    def heard() -> bool:  # connected is not yet subscribed
        client.send_event("pump-3", process.reading("Load", "1e+00"))
        return bool(client.results)

    service.until(heard, "an answer")
    client.send_event("g-1", process.reading("Load", "1e+00"), profile="gone")
    client.wait_results(1)
    assert "afine" in client.status("g-1", "Lost", "inactive").values["InferenceReason"]
    assert service.get("/ready")[0] == 503
    assert service.stop(signal.SIGINT) == 0
