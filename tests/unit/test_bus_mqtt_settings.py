"""EdgeX's MessageBus section becomes settings, and every mistake in it a sentence."""

from typing import Any

import pytest

from edgex_inference.buses.mqtt.settings import MqttSettings, settings_from, with_client
from edgex_inference.buses.section import Tls
from edgex_inference.contracts.errors import ConfigurationError

SECTION: dict[str, Any] = {
    "Type": "mqtt",
    "Protocol": "tcp",
    "Host": "localhost",
    "Port": 1883,
    "AuthMode": "none",
}


def _with(optional: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {**SECTION, **changes, "Optional": optional or {}}


def _mistakes(section: dict[str, Any], secret: dict[str, str] | None = None) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        settings_from(section, secret)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_the_common_configuration() -> None:
    optional = {
        "ClientId": "app-x",
        "Qos": "1",
        "KeepAlive": "20",
        "Retained": "true",
        "AutoReconnect": "true",
        "ConnectTimeout": "7",
        "SkipCertVerify": "false",
        "CleanSession": False,
        "Format": "nats",
    }
    assert settings_from(_with(optional)) == MqttSettings(
        client_id="app-x", qos=1, keep_alive=20, retained=True, connect_timeout=7, clean_session=False
    )


def test_the_client_id_is_the_service_key_and_tells_instances_apart() -> None:
    assert settings_from(SECTION, service_key="app-line").client_id == "app-line"
    assert settings_from(SECTION, service_key="app-line", instance="2").client_id == "app-line-2"
    assert settings_from(_with({"ClientId": "x"}), instance="2").client_id == "x-2"


def test_every_mistake_is_reported_at_once() -> None:
    optional = {"Qos": "3", "KeepAlive": "1", "Retained": "maybe", "ConnectTimeout": "soon"}
    found = _mistakes(_with(optional, Protocol="wss", Host="", Port="eighty", AuthMode="token"))
    assert set(found) == {
        "MessageBus.Protocol",
        "MessageBus.Host",
        "MessageBus.Port",
        "MessageBus.AuthMode",
        *(f"MessageBus.Optional.{key}" for key in optional),
    }
    assert "one of tcp" in found["MessageBus.Protocol"]


@pytest.mark.parametrize("port", [0, 65536, "", None, -1])
def test_no_ports(port: object) -> None:
    assert "MessageBus.Port" in _mistakes(_with(Port=port))


def test_credentials_from_the_secret_or_from_optional() -> None:
    section = _with(AuthMode="usernamepassword", SecretName="mqtt-bus")
    secret = settings_from(section, {"username": "u", "password": "p"})
    assert (secret.username, secret.password, secret.secret_name) == ("u", "p", "mqtt-bus")
    own = settings_from(_with({"Username": "v", "Password": "q"}))
    assert (own.username, own.password) == ("v", "q")
    both = {**section, "Optional": {"Username": "v", "Password": "q"}}
    assert settings_from(both, {"username": "u", "password": "p"}).username == "u"
    assert settings_from(both).username == "v"


def test_a_missing_secret_is_named() -> None:
    section = _with(AuthMode="usernamepassword", SecretName="mqtt-bus")
    assert "'mqtt-bus' is not there" in _mistakes(section)["MessageBus.SecretName"]
    assert "has no 'password'" in _mistakes(section, {"username": "u"})["MessageBus.SecretName"]


def test_secrets_are_not_shown() -> None:
    settings = settings_from(
        _with({"Password": "hush", "KeyPEMBlock": "quiet", "CertPEMBlock": "c"}, Protocol="ssl"), None
    )
    assert "hush" not in repr(settings)
    assert "quiet" not in repr(settings)


@pytest.mark.parametrize("protocol", ["ssl", "TLS", "tcps", "mqtts"])
def test_the_protocol_switches_tls_on(protocol: str) -> None:
    assert settings_from(_with({"CaFile": "/ca"}, Protocol=protocol)).tls == Tls(ca_file="/ca")
    assert settings_from(_with(Protocol=protocol)).tls == Tls()
    assert settings_from(_with({"SkipCertVerify": "true"}, Protocol=protocol)).tls == Tls(skip_verify=True)


@pytest.mark.parametrize("optional", [{"CaFile": "/ca"}, {"SkipCertVerify": "true"}])
def test_certificates_alone_do_not(optional: dict[str, str]) -> None:
    settings = settings_from(_with(optional))
    assert settings.tls is None
    assert "'ssl'" in settings.notes[0]


def test_certificates_from_the_secret() -> None:
    section = _with(Protocol="ssl", AuthMode="clientcert", SecretName="bus")
    secret = {"clientcert": "C", "clientkey": "K", "cacert": "A"}
    assert settings_from(section, secret).tls == Tls(cert_pem="C", key_pem="K", ca_pem="A")
    assert "has no 'clientkey'" in _mistakes(section, {"clientcert": "C"})["MessageBus.SecretName"]
    assert "has no 'cacert'" in _mistakes({**section, "AuthMode": "cacert"}, {})["MessageBus.SecretName"]
    with_login = _with(Protocol="ssl", AuthMode="usernamepassword", SecretName="bus")
    tls = settings_from(with_login, {"username": "u", "password": "p", "cacert": "A"}).tls
    assert tls == Tls(ca_pem="A"), "an authority in the secret counts in every mode"


def test_half_a_client_certificate() -> None:
    assert "both" in _mistakes(_with({"CertFile": "/c"}, Protocol="ssl"))["MessageBus.Optional.KeyFile"]


def test_the_client_is_chosen_beside_the_section() -> None:
    settings = with_client(settings_from(SECTION), client="paho", version="3.1.1", max_message=1 << 20)
    assert (settings.client, settings.version) == ("paho", "3.1.1")
    assert (1 << 20) < settings.max_packet < (2 << 20)
    assert settings.notes == ()
    with pytest.raises(
        ConfigurationError, match=r"Inference.MqttVersion: .* set Inference.MqttClient to native"
    ):
        with_client(settings, client="paho", version="5", max_message=1 << 20)
    huge = with_client(settings_from(SECTION), client="native", version="5", max_message=1 << 40)
    assert huge.max_packet == MqttSettings().max_packet


@pytest.mark.parametrize(("client", "notes"), [("native", 1), ("paho", 0)])
def test_qos_2_is_said_where_it_becomes_1(client: str, notes: int) -> None:
    section = _with({"Qos": "2"})
    found = with_client(settings_from(section), client=client, version="3.1.1", max_message=1 << 20).notes
    assert len(found) == notes
    assert all("Optional.Qos is 2: the native client works at 1" in note for note in found)
