"""How to reach an MQTT broker, and how EdgeX's `MessageBus` section says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgex_inference.buses.section import Section, Tls
from edgex_inference.contracts.errors import ConfigurationError, Problem

PLAIN = ("tcp", "mqtt")
ENCRYPTED = ("tcps", "ssl", "tls", "mqtts")
AUTH_MODES = ("none", "usernamepassword", "clientcert", "cacert")
_OVERHEAD = 131_072
"""Bytes that topic and properties may add to a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """Everything that a connection needs; times in seconds, `keep_alive` 0 is off.

    `client` is native or paho, `version` 3.1.1 or 5 (native only), `max_packet` the bytes of a packet that the
    native client takes; it works with `qos` 1 where 2 is set.
    """

    host: str = "localhost"
    port: int = 1883
    client_id: str = "app-inference"
    username: str = ""
    password: str = field(default="", repr=False)
    auth_mode: str = "none"
    secret_name: str = ""
    qos: int = 0
    retained: bool = False
    keep_alive: int = 10
    connect_timeout: float = 5.0
    clean_session: bool = True
    tls: Tls | None = None
    will_topic: str = ""
    will_payload: bytes = b""
    max_backlog: int = 10_000
    max_packet: int = 268_435_455
    client: str = "native"
    version: str = "3.1.1"
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """How messages to people name the broker."""
        return f"MQTT broker {'ssl' if self.tls else 'tcp'}://{self.host}:{self.port}"


def settings_from(
    section: Mapping[str, object],
    credentials: Mapping[str, str] | None = None,
    *,
    service_key: str = "app-inference",
    instance: str = "",
    file: str = "configuration",
) -> MqttSettings:
    """Reads EdgeX's `MessageBus` section.

    `credentials` is the secret that `SecretName` names, None if there is none. The client id is
    `Optional.ClientId`, else the service key, with `-instance` after it. Raises ConfigurationError with every
    mistake.
    """
    reader = Section(section, credentials, file)
    protocol = reader.one_of("Protocol", (*PLAIN, *ENCRYPTED), "tcp")
    auth_mode = reader.one_of("AuthMode", AUTH_MODES, "none")
    username, password = reader.login(auth_mode)
    tls, notes = reader.tls(protocol, auth_mode, encrypted=ENCRYPTED)
    settings = MqttSettings(
        host=reader.host(),
        port=reader.port(1883),
        client_id=(reader.option("ClientId") or service_key) + (f"-{instance}" if instance else ""),
        username=username,
        password=password,
        auth_mode=auth_mode,
        secret_name=reader.text("SecretName"),
        qos=reader.number("Qos", 0, 0, 2),
        retained=reader.flag("Retained", False),
        keep_alive=_keep_alive(reader),
        connect_timeout=reader.number("ConnectTimeout", 5, 1, 600),
        clean_session=reader.flag("CleanSession", True),
        tls=tls,
        notes=notes,
    )
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return settings


def with_client(
    settings: MqttSettings, *, client: str, version: str, max_message: int, file: str = "configuration"
) -> MqttSettings:
    """Adds which client works, with which version, for messages of up to `max_message` bytes.

    Raises ConfigurationError for a client that does not speak the version.
    """
    if client == "paho" and version != "3.1.1":
        message = f"the client paho speaks 3.1.1 here, not {version}; set Inference.MqttClient to native"
        raise ConfigurationError((Problem(file=file, path="Inference.MqttVersion", message=message),))
    notes = settings.notes
    if client == "native" and settings.qos == 2:
        notes += (
            "MessageBus.Optional.Qos is 2: the native client works at 1 (at least once); for 2 on the wire set "
            "Inference.MqttClient to paho",
        )
    largest = min(max_message + _OVERHEAD, settings.max_packet)
    return replace(settings, client=client, version=version, max_packet=largest, notes=notes)


def _keep_alive(reader: Section) -> int:
    seconds = reader.number("KeepAlive", 10, 0, 65535)
    if seconds == 1:
        reader.wrong("Optional.KeepAlive", "'1' does not fit; set at least 2 seconds, or 0 for none")
    return seconds
