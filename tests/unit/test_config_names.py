"""Configuration: what flags say of hosts and names, and the credentials that it holds."""

from pathlib import Path
from typing import Any

import pytest

from edgex_inference.config.credentials import Credentials, credentials
from edgex_inference.config.flags import Flags
from edgex_inference.config.load import Loaded, load
from edgex_inference.config.schema import Configuration
from edgex_inference.contracts.errors import ConfigurationError


def loaded(folder: Path, text: str = "", env: dict[str, str] | None = None, **flags: Any) -> Loaded:
    if text:
        (folder / "configuration.toml").write_text(text)
    return load(
        Flags(**flags), environ={"EDGEX_SECURITY_SECRET_STORE": "false", **(env or {})}, directory=folder
    )


def mistakes(folder: Path, text: str = "", env: dict[str, str] | None = None, **flags: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, text, env, **flags)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_hosts_of_flags_reach_the_registry_and_clients(tmp_path: Path) -> None:
    text = '[Registry]\nHost = "keeper"\n'
    assert loaded(tmp_path, text, dev=True).config.registry.host == "localhost"
    assert loaded(tmp_path, text, remote_service_hosts="me,edge,0.0.0.0").config.registry.host == "edge"


def test_dev_and_remote_hosts(tmp_path: Path) -> None:
    text = '[Service]\nHost = "a"\n[MessageBus]\nHost = "b"\n'
    config = loaded(tmp_path, text, dev=True).config
    assert (config.service.host, config.message_bus.host) == ("localhost", "localhost")
    config = loaded(tmp_path, text, remote_service_hosts="me, edge ,0.0.0.0").config
    assert (config.service.host, config.message_bus.host) == ("me", "edge")
    assert config.service.bind_address == "0.0.0.0"
    (said,) = mistakes(tmp_path, text, remote_service_hosts="me,edge")
    assert said.startswith("-rsh/--remoteServiceHosts: needs this host,EdgeX's host")


@pytest.mark.parametrize(
    ("flags", "key"),
    [
        ({"service_key": "app-x"}, "app-x"),
        ({"instance": "2"}, "app-inference_2"),
        ({"service_key": "app-<profile>"}, "app"),
        ({"service_key": "app-<profile>", "profile": "cam"}, "app-cam"),
    ],
)
def test_service_key(tmp_path: Path, flags: dict[str, Any], key: str) -> None:
    (tmp_path / "res" / "cam").mkdir(parents=True)
    (tmp_path / "res" / "cam" / "configuration.toml").write_text("")
    assert loaded(tmp_path, **flags).service_key == key
    (said,) = mistakes(tmp_path, service_key="a/b")
    assert "cannot be a level of a topic" in said


def test_credentials(tmp_path: Path) -> None:
    assert credentials(Configuration()) is None
    (said,) = mistakes(tmp_path, env={"MESSAGEBUS_AUTHMODE": "usernamepassword"})
    assert said == (
        "MESSAGEBUS_AUTHMODE: MessageBus.AuthMode: usernamepassword needs username and password: set SecretData "
        "of the entry of Writable.InsecureSecrets whose SecretName is 'mqtt-bus', or Username, Password of "
        "MessageBus.Optional"
    )
    optional = {"MESSAGEBUS_OPTIONAL_USERNAME": "u", "MESSAGEBUS_OPTIONAL_PASSWORD": "p"}
    assert credentials(loaded(tmp_path, env=optional).config) == Credentials(username="u", password="p")
    stored = {
        "WRITABLE_INSECURESECRETS_MQTT_SECRETDATA_USERNAME": "su",
        "WRITABLE_INSECURESECRETS_MQTT_SECRETDATA_PASSWORD": "sp",
    }
    assert credentials(loaded(tmp_path, env=optional | stored).config) == Credentials(
        username="u", password="p"
    )
    both = loaded(tmp_path, env=optional | stored | {"MESSAGEBUS_AUTHMODE": "usernamepassword"}).config
    found = credentials(both)
    assert found == Credentials(username="su", password="sp")
    assert "sp" not in repr(both) + repr(found).replace("Credentials", "")
    text = '[MessageBus]\nAuthMode = "cacert"\n[Writable.InsecureSecrets.mqtt.SecretData]\ncacert = "PEM"\n'
    assert credentials(loaded(tmp_path, text).config) == Credentials(ca_cert="PEM")
