"""`edgex-inference` with core-keeper as configuration provider and registry, on a real broker."""

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

Make = Callable[..., Any]
OWN = "edgex/v4/app-inference"
INSECURE = {"EDGEX_SECURITY_SECRET_STORE": "false", "EDGEX_STARTUP_INTERVAL": "0.1"}
HERE = {"SERVICE_PORT": "0", "SERVICE_HOST": "127.0.0.1"}
"""Keys of our own part, which the environment fills in at the first start."""


def heard(service: Any) -> Any:
    """What became of the messages, once somebody else's result is among them."""
    messages = service.get("/api/v3/inference/traffic")[1]["messages"]
    return messages if messages["own"] >= 3 else None  # its own status and result, and another result


def test_everything_comes_from_the_provider(
    pump: Any, process: ModuleType, mosquitto: Make, keeper: Make
) -> None:
    broker = mosquitto()
    holder = keeper(broker.port)
    flags = (f"-cp=keeper.{holder.url}", "--registry")
    service = pump.start("run", *flags, env=INSECURE | HERE).ready()
    service.said("keys put into core-keeper, environment included")
    holder.until(lambda: holder.status("app-inference") == "UP", "core-keeper reaches /api/v3/ping")
    assert holder.text(f"{OWN}/Inference/ProfilesDir") == "profiles"
    client = pump.client(broker.port)
    client.send_event("pump-3", process.reading("Load", "1.5"))
    assert json.loads(client.wait_results(1)[0].values["Wear"]) == 4.0
    assert service.stop() == 0
    assert holder.status("app-inference") == "HALT"


def test_writable_changes_at_run_time_and_the_rest_says_so(
    pump: Any, process: ModuleType, mosquitto: Make, keeper: Make
) -> None:
    broker = mosquitto()
    holder = keeper(broker.port)
    service = pump.start("run", f"-cp=keeper.{holder.url}", env=INSECURE | HERE).ready()
    holder.until(lambda: any("Writable?keyOnly" in line for line in holder.lines()), "it watches")
    assert holder.put(f"{OWN}/Writable/LogLevel", "DEBUG") == 200
    service.said("Writable.LogLevel is DEBUG now")
    assert holder.put(f"{OWN}/Writable/InferenceBindings/Wear/enabled", "false") == 200
    service.said("Writable.InferenceBindings has changed: Wear")
    client = pump.client(broker.port)
    service.until(lambda: not service.binding("Wear")["settings"]["enabled"], "Wear is off")
    client.send_event("pump-3", process.reading("Load", "1"))
    assert holder.put(f"{OWN}/Writable/InferenceBindings/Wear/enabled", True) == 200
    service.said("Writable.InferenceBindings has changed: Wear", 2)
    service.until(lambda: service.binding("Wear")["settings"]["enabled"], "Wear is on")
    service.ready()
    client.send_event("pump-3", process.reading("Load", "2"))
    assert json.loads(client.wait_results(1)[0].values["Wear"]) == 5.0
    assert holder.put(f"{OWN}/Service/Port", "59999") == 200
    service.said("Service.Port has changed in core-keeper: it is taken up at the next start")
    assert holder.put(f"{OWN}/Writable/LogLevel", "LOUD") == 200
    service.said("the configuration has mistakes: what was in force stays")
    assert service.count(f"core-keeper {OWN}: Writable.LogLevel: 'LOUD' is not") == 1
    assert service.get("/api/v3/config")[1]["config"]["Writable"]["LogLevel"] == "DEBUG"
    assert service.stop() == 0


def test_a_common_key_counts_unless_ours_says_otherwise(pump: Any, mosquitto: Make, keeper: Make) -> None:
    broker = mosquitto()
    holder = keeper(broker.port)
    service = pump.start("run", f"-cp=keeper.{holder.url}", env=INSECURE | HERE).ready()
    holder.until(
        lambda: any("all-services/Writable?keyOnly" in line for line in holder.lines()), "it watches"
    )
    everybody = "edgex/v4/core-common-config-bootstrapper/all-services/Writable"
    assert holder.put(f"{everybody}/Telemetry/Interval", "40s") == 200

    def interval() -> Any:
        return service.get("/api/v3/config")[1]["config"]["Writable"]["Telemetry"]["Interval"]

    service.until(lambda: interval() == "40s", "the common interval")
    assert holder.put(f"{everybody}/LogLevel", "ERROR") == 200
    service.said(f"LogLevel changed for all, and {OWN} says otherwise: no effect here")
    assert service.stop() == 0


def test_what_is_stored_counts_over_the_environment_until_o(pump: Any, mosquitto: Make, keeper: Make) -> None:
    broker = mosquitto()
    holder = keeper(broker.port)
    flags = ("run", f"-cp=keeper.{holder.url}")
    assert pump.start(*flags, env=INSECURE | HERE).ready().stop() == 0
    level = {"WRITABLE_LOGLEVEL": "DEBUG"}
    service = pump.start(*flags, env=INSECURE | HERE | level).ready()
    service.said("WRITABLE_LOGLEVEL is set, and core-keeper says otherwise")
    assert service.get("/api/v3/config")[1]["config"]["Writable"]["LogLevel"] == "INFO"
    assert service.stop() == 0
    service = pump.start(*flags, "-o", env=INSECURE | HERE | level).ready()
    assert service.get("/api/v3/config")[1]["config"]["Writable"]["LogLevel"] == "DEBUG"
    assert holder.text(f"{OWN}/Writable/LogLevel") == "DEBUG"
    assert service.stop() == 0


def test_it_waits_for_a_provider_that_comes_late(pump: Any, mosquitto: Make, keeper: Make) -> None:
    broker = mosquitto()
    holder = keeper(broker.port)
    holder.stop()
    service = pump.start("run", f"-cp=keeper.{holder.url}", "-r", env=INSECURE | HERE)
    service.said(f"core-keeper at {holder.url} does not answer")
    holder.start()
    service.ready()
    holder.stop()
    assert service.stop() == 0
    service.said("core-keeper still lists app-inference")


def test_it_can_be_stopped_while_it_waits(pump: Any) -> None:
    service = pump.start("run", f"-cp=keeper.http://127.0.0.1:{pump.free_port()}", env=INSECURE)
    service.said("does not answer")
    assert service.stop() == 0
    service.said("stopped before it had its configuration")


def test_a_provider_that_never_comes_ends_the_start(pump: Any) -> None:
    port = pump.free_port()
    env = INSECURE | {"EDGEX_STARTUP_DURATION": "0.2"}
    service = pump.start("run", f"-cp=keeper.http://127.0.0.1:{port}", env=env)
    assert service.wait() == 1
    assert service.count("gave up, EDGEX_STARTUP_DURATION is 0.2 s") == 1
    assert service.count("Traceback") == 0


def test_a_provider_that_goes_and_comes(
    pump: Any, process: ModuleType, mosquitto: Make, keeper: Make
) -> None:
    broker = mosquitto()
    holder = keeper(broker.port)
    often = {"SERVICE_HEALTHCHECKINTERVAL": "200ms"}
    service = pump.start("run", f"-cp=keeper.{holder.url}", "-r", env=INSECURE | HERE | often).ready()
    client = pump.client(broker.port)
    holder.stop()
    service.said("what it said last goes on")
    status, body = service.get("/ready")
    assert status == 200
    assert any(reason.startswith(f"core-keeper at {holder.url} ") for reason in body["reasons"]), body
    client.send_event("pump-3", process.reading("Load", "2"))
    assert json.loads(client.wait_results(1)[0].values["Wear"]) == 5.0
    service.until(
        lambda: service.get("/api/v3/inference/traffic")[1]["conditions"]["provider"] == 1, "it is counted"
    )
    holder.start()
    service.said(f"core-keeper at {holder.url} is back")
    service.until(lambda: "core-keeper" not in str(service.get("/ready")[1]), "nothing is amiss with it")
    assert holder.put(f"{OWN}/Writable/LogLevel", "DEBUG") == 200
    service.said("Writable.LogLevel is DEBUG now")
    assert service.count("what it said last goes on") == 1
    assert service.stop() == 0


def test_core_metadata_is_where_the_registry_says(
    pump: Any, mosquitto: Make, keeper: Make, metadata: Make
) -> None:
    broker = mosquitto()
    core = metadata(broker.port)
    holder = keeper(broker.port, common={"app-services": {"Clients": {"core-metadata": {"Port": 1}}}})
    holder.register("core-metadata", core.port)
    service = pump.start("run", f"-cp=keeper.{holder.url}", "-r", env=INSECURE | HERE).ready()
    service.said("Inference.EdgexVersion auto: EdgeX 4, as core-metadata is 4.0.2")
    assert "GET /registry/serviceId/core-metadata" in holder.lines()
    assert service.stop() == 0


def test_an_absent_registry_does_not_keep_it_from_stopping(pump: Any, mosquitto: Make) -> None:
    broker = mosquitto()
    pump.configure(broker.port, f'[Registry]\nHost = "127.0.0.1"\nPort = {pump.free_port()}')
    service = pump.start("run", "-r", env=INSECURE)
    service.said("does not answer")
    assert service.stop() == 0


def test_two_instances_share_a_bus_without_hearing_themselves(
    pump: Any, process: ModuleType, mosquitto: Make, keeper: Make
) -> None:
    broker = mosquitto()
    holder = keeper(broker.port)
    flags = ("run", f"-cp=keeper.{holder.url}", "-r")
    services = [pump.start(*flags, "-i", name, env=INSECURE | HERE).ready() for name in ("east", "west")]
    keys = ["app-inference_east", "app-inference_west"]
    for key in keys:
        holder.until(lambda key=key: holder.status(key) == "UP", f"{key} is up")
    client = pump.client(broker.port)
    client.listen("edgex/events/device/#")
    client.send_event("pump-3", process.reading("Load", "1"))
    results = [one for one in client.wait_results(3) if "app-inference" in one.topic]
    assert sorted(one.topic.split("/")[3] for one in results) == keys
    for service in services:
        messages = service.until(lambda service=service: heard(service), "it hears the other's result")
        assert (messages["matched"], messages["unmatched"]) == (1, 0)
        assert service.count("does another client use the id") == 0
        assert service.stop() == 0
    assert [holder.status(key) for key in keys] == ["HALT", "HALT"]
