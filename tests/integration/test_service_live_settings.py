"""The running service follows its configuration file: the log level at once, the rest at the next start."""

import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

Mosquitto = Callable[..., Any]
TOML = """
[Writable]
LogLevel = "{level}"
[Service]
Port = {http}
[MessageBus]
Host = "127.0.0.1"
Port = {port}
"""


def write(folder: Path, port: int, *, level: str = "INFO", http: int = 0) -> None:
    (folder / "configuration.toml").write_text(TOML.format(level=level, port=port, http=http))


def test_the_log_level_changes_while_it_runs(pump: Any, process: ModuleType, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    write(pump.folder, broker.port)
    service = pump.start()
    service.ready()
    assert service.count("level=DEBUG") == 0
    write(pump.folder, broker.port, level="DEBUG")
    service.said("Writable.LogLevel is DEBUG now")
    client = pump.client(broker.port)
    client.send_event("pump-3", process.reading("Load", "not a number"))
    client.send_event("pump-3", process.reading("Load", "not a number"))
    service.said("level=DEBUG")
    assert service.get("/api/v3/config")[1]["config"]["Writable"]["LogLevel"] == "DEBUG"
    assert service.stop() == 0


def test_what_cannot_change_now_is_said_and_mistakes_change_nothing(pump: Any, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    write(pump.folder, broker.port)
    service = pump.start()
    service.ready()
    write(pump.folder, broker.port, http=1)
    service.said("Service.Port has changed: it is taken up at the next start")
    write(pump.folder, broker.port, level="LOUD")
    service.tell(signal.SIGHUP)
    service.said("the configuration has mistakes: what was in force stays")
    assert service.count("Writable.LogLevel") > 0
    assert service.get("/api/v3/config")[1]["config"]["Writable"]["LogLevel"] == "INFO"
    assert service.stop() == 0
