"""The service on a real broker: EdgeX's flags and environment, and what the pages say of the settings."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Mosquitto = Callable[..., Any]
YAML = """
Writable: {{LogLevel: DEBUG}}
Service: {{Port: 0}}
MessageBus: {{Host: 127.0.0.1, Port: {port}}}
Inference: {{ProfilesDir: {folder}/profiles, ModelsDir: {folder}/models}}
"""


def answers(world: Any, process: ModuleType, broker: Any, service: Any) -> None:
    """The service is on this broker and works."""
    service.ready()
    client = world.client(broker.port)
    client.send_event("pump-3", process.reading("Load", "1e+00"))
    (result,) = client.wait_results(1)
    assert result.values == {"Wear": "3e+00"}


@pytest.mark.parametrize(
    "spelling",
    [
        ("-cd", "{res}", "-cf", "settings.yaml"),
        ("--configDir={res}", "--configFile=settings.yaml"),
        ("-cf={res}/settings.yaml",),
        ("run", "-configDir", "{res}", "-configFile", "settings.yaml"),
        ("-cp=none", "-cd", "{parent}", "-p", "res", "-cf", "settings.yaml", "-o", "-s"),
    ],
)
def test_yaml_and_where_it_lies(
    pump: Any, process: ModuleType, mosquitto: Mosquitto, tmp_path: Path, spelling: tuple[str, ...]
) -> None:
    broker = mosquitto()
    res = tmp_path / "etc" / "res"
    res.mkdir(parents=True)
    (res / "settings.yaml").write_text(YAML.format(port=broker.port, folder=pump.folder))
    arguments = [word.format(res=res, parent=res.parent) for word in spelling]
    service = pump.start(*arguments)
    answers(pump, process, broker, service)
    assert service.get("/api/v3/config")[1]["config"]["Writable"]["LogLevel"] == "DEBUG"
    assert service.count("level=DEBUG") > 0
    assert service.stop() == 0


def test_a_common_configuration_comes_first(
    pump: Any, process: ModuleType, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    broker = mosquitto()
    common = tmp_path / "common.yaml"
    common.write_text(
        f"Writable: {{LogLevel: ERROR}}\nMessageBus: {{Host: 127.0.0.1, Port: {broker.port}}}\nService: {{Port: 1}}\n"
    )
    (pump.folder / "configuration.toml").write_text('[Service]\nPort = 0\n[Writable]\nLogLevel = "INFO"\n')
    service = pump.start("-cc", str(common))
    answers(pump, process, broker, service)
    assert service.stop() == 0


def test_the_environment_wins(pump: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    """EdgeX's names over the file; a service key with an instance; folders relative to the configuration."""
    broker = mosquitto()
    pump.configure(1, '[Inference]\nProfilesDir = "nowhere"')
    port = pump.free_port()
    env = {
        "MESSAGEBUS_PORT": str(broker.port),
        "INFERENCE_PROFILESDIR": "profiles",
        "WRITABLE_LOGLEVEL": "DEBUG",
        "SERVICE_PORT": str(port),
        "SERVICE_STARTUPMSG": "at your service",
        "MESSAGEBUS_OPTIONAL_CLIENTID": "chosen",
    }
    service = pump.start("run", "-i", "west", env=env)
    assert "at your service" in service.said("at your service")
    assert service.get("/api/v3/ping")[1]["serviceName"] == "app-inference_west"
    assert "'chosen" in service.said("connected as")
    service.ready()
    client = pump.client(broker.port)
    client.send_event("pump-3", process.reading("Load", "1e+00"))
    told = service.until(lambda: service.binding("Wear")["counters"]["published"], "an answer")
    assert told == 1
    service.said("level=DEBUG")
    assert service.stop() == 0


def test_everything_from_the_environment(
    pump: Any, process: ModuleType, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """No configuration file at all: packaged defaults, and what the environment says."""
    broker = mosquitto()
    empty = tmp_path / "empty"
    empty.mkdir()
    env = {
        "MESSAGEBUS_PORT": str(broker.port),
        "INFERENCE_PROFILESDIR": str(pump.folder / "profiles"),
        "INFERENCE_MODELSDIR": str(pump.folder / "models"),
        "SERVICE_PORT": str(pump.free_port()),
    }
    service = process.Service(empty, env=env)
    try:
        answers(pump, process, broker, service)
        assert service.stop() == 0
    finally:
        service.kill()


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({"SERVICE_PORT": "many"}, "SERVICE_PORT"),
        ({"EDGEX_SECURITY_SECRET_STORE": "true"}, "EDGEX_SECURITY_SECRET_STORE"),
        ({"MESSAGEBUS_TYPE": "rabbit"}, "MESSAGEBUS_TYPE"),
        ({"EDGEX_CONFIG_DIR": "/no/such/folder"}, "/no/such/folder"),
    ],
)
def test_what_is_refused(pump: Any, env: dict[str, str], word: str) -> None:
    service = pump.start(env=env)
    assert service.wait() == 1
    assert word in service.log
    assert "Traceback" not in service.log


def test_a_misspelled_variable_is_named(pump: Any, mosquitto: Mosquitto) -> None:
    pump.configure(mosquitto().port)
    service = pump.start(env={"INFERENCE_PROFILSDIR": "x"})
    assert "INFERENCE_PROFILESDIR" in service.said("INFERENCE_PROFILSDIR")
    service.ready()
    assert service.stop() == 0


def test_where_each_setting_came_from(pump: Any, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    pump.configure(broker.port)
    pump.profile(
        "match: {profile: pump, device: '*', resource: Load}\ninference: {Wear: {publish: {when: change}}}\n",
        "side-car",
    )
    pump.profile(
        "deviceList:\n  - name: pump-3\n    profileName: pump\n"
        "    properties: {inference: {Wear: {limits: {queue: 7}}}}\n",
        "devices",
    )
    service = pump.start().ready()
    (row,) = service.get("/api/v3/inference/bindings/pump-3")[1]["bindings"]
    assert (row["status"], row["accelerator"]) == ("running", "onnxruntime:CPU")
    assert (row["settings"]["publish"]["when"], row["settings"]["limits"]["queue"]) == ("change", 7)
    origins = " ".join(row["origins"].values())
    for place in ("pump.yaml", "side-car.yaml", "device pump-3"):
        assert place in origins
    assert row["latencyMs"].keys() == {"queue", "preprocess", "infer", "postprocess", "publish", "total"}
    assert service.get("/api/v3/inference/bindings/nobody")[0] == 404
    assert service.stop() == 0
