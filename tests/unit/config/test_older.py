"""EdgeX 2's spellings: the bus below Trigger, secrets with path, and their variables."""

from pathlib import Path

import pytest

from edgex_inference.config.credentials import Credentials, credentials
from edgex_inference.config.load import Loaded, load
from edgex_inference.contracts.errors import ConfigurationError

INSECURE = {"EDGEX_SECURITY_SECRET_STORE": "false"}
EDGEX_2 = """
[Writable]
LogLevel = "INFO"
  [Writable.InsecureSecrets.DB]
  path = "redisdb"
    [Writable.InsecureSecrets.DB.Secrets]
    username = "u"
    password = "p"
[Trigger]
Type = "edgex-messagebus"
  [Trigger.EdgexMessageBus]
  Type = "mqtt"
    [Trigger.EdgexMessageBus.SubscribeHost]
    Host = "edgex-mqtt"
    Port = 1884
    Protocol = "tcp"
    SubscribeTopics = "edgex/events/device/#, edgex/other/#"
    [Trigger.EdgexMessageBus.PublishHost]
    Host = "edgex-mqtt"
    Port = 1884
    Protocol = "tcp"
    PublishTopic = "example"
    [Trigger.EdgexMessageBus.Optional]
    authmode = "usernamepassword"
    secretname = "redisdb"
    ClientId = "app-sample"
    Qos = "1"
"""


def loaded(folder: Path, text: str, env: dict[str, str] | None = None) -> Loaded:
    (folder / "configuration.toml").write_text(text)
    return load(environ=INSECURE | (env or {}), directory=folder)


def test_a_file_of_edgex_2_says_where_the_bus_is(tmp_path: Path) -> None:
    found = loaded(tmp_path, EDGEX_2)
    bus = found.config.message_bus
    assert (bus.type, bus.host, bus.port, bus.protocol) == ("mqtt", "edgex-mqtt", 1884, "tcp")
    assert (bus.auth_mode, bus.secret_name) == ("usernamepassword", "redisdb")
    assert (bus.optional["ClientId"], bus.optional["Qos"], bus.optional["KeepAlive"]) == (
        "app-sample",
        "1",
        "10",
    )
    assert found.config.trigger.topics == ("events/device/#", "other/#")
    assert credentials(found.config) == Credentials(username="u", password="p")


def test_its_variables_count_and_todays_count_over_them(tmp_path: Path) -> None:
    env = {
        "TRIGGER_EDGEXMESSAGEBUS_SUBSCRIBEHOST_HOST": "older",
        "TRIGGER_EDGEXMESSAGEBUS_SUBSCRIBEHOST_PORT": "1",
        "TRIGGER_EDGEXMESSAGEBUS_SUBSCRIBEHOST_SUBSCRIBETOPICS": "edgex/events/#",
        "TRIGGER_EDGEXMESSAGEBUS_OPTIONAL_CLIENTID": "other",
        "MESSAGEBUS_PORT": "2",
    }
    config = loaded(tmp_path, EDGEX_2, env).config
    assert (config.message_bus.host, config.message_bus.port) == ("older", 2)
    assert config.message_bus.optional["ClientId"] == "other"
    assert config.trigger.topics == ("events/#",)


def test_todays_keys_count_over_its(tmp_path: Path) -> None:
    config = loaded(tmp_path, EDGEX_2 + '[MessageBus]\nHost = "today"\n').config
    assert (config.message_bus.host, config.message_bus.port) == ("today", 1884)


def test_a_mistake_is_told_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, EDGEX_2.replace("Port = 1884", 'Port = "many"', 1))
    (problem,) = caught.value.problems
    assert str(problem).endswith("configuration.toml:15:12: MessageBus.Port: must be a number, not a text")
