"""How to reach an MQTT broker, and how EdgeX's `MessageBus` section says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgex_inference.contracts.errors import ConfigurationError, Problem

PLAIN = ("tcp", "mqtt")
ENCRYPTED = ("tcps", "ssl", "tls", "mqtts")
AUTH_MODES = ("none", "usernamepassword", "clientcert", "cacert")
_OVERHEAD = 131_072
"""Bytes that topic and properties may add to a message."""

_TRUE = ("true", "1", "t")
_FALSE = ("false", "0", "f", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificates as files or as PEM text; with none of them the system's authorities are trusted."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    ca_pem: str = ""
    cert_pem: str = ""
    key_pem: str = field(default="", repr=False)
    skip_verify: bool = False


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
    reader = _Reader(section, credentials, file)
    protocol = reader.one_of("Protocol", (*PLAIN, *ENCRYPTED), "tcp")
    auth_mode = reader.one_of("AuthMode", AUTH_MODES, "none")
    username, password = reader.login(auth_mode)
    tls, notes = reader.tls(protocol, auth_mode)
    settings = MqttSettings(
        host=reader.host(),
        port=reader.port(),
        client_id=(reader.option("ClientId") or service_key) + (f"-{instance}" if instance else ""),
        username=username,
        password=password,
        auth_mode=auth_mode,
        secret_name=reader.text("SecretName"),
        qos=reader.number("Qos", 0, 0, 2),
        retained=reader.flag("Retained", False),
        keep_alive=reader.keep_alive(),
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


class _Reader:
    """Takes values out of the section and collects what is wrong with them."""

    def __init__(
        self, section: Mapping[str, object], credentials: Mapping[str, str] | None, file: str
    ) -> None:
        self.problems: list[Problem] = []
        self._section, self._file = section, file
        self._secret = credentials
        optional = section.get("Optional") or {}
        self._optional = optional if isinstance(optional, Mapping) else {}
        if optional is not self._optional and optional:
            self._wrong("Optional", "is a table of strings")

    def _wrong(self, path: str, message: str) -> None:
        self.problems.append(Problem(file=self._file, path=f"MessageBus.{path}", message=message))

    def text(self, key: str) -> str:
        return str(self._section.get(key) or "").strip()

    def option(self, key: str) -> str:
        value = self._optional.get(key)
        if isinstance(value, bool):
            return str(value).lower()
        return "" if value is None else str(value)

    def one_of(self, key: str, known: tuple[str, ...], default: str) -> str:
        value = self.text(key).lower() or default
        if value not in known:
            self._wrong(key, f"{value!r} is not known here; use one of {', '.join(known)}")
        return value

    def host(self) -> str:
        host = self.text("Host")
        if not host:
            self._wrong("Host", "is empty; set the broker's host name, for instance localhost")
        elif "@" in host or "/" in host or host != "".join(host.split()):
            self._wrong(
                "Host", "is not a plain host name; user and password belong to Writable.InsecureSecrets"
            )
            return ""
        return host

    def port(self) -> int:
        value = self.text("Port")
        if value.isdecimal() and 1 <= int(value) <= 65535:
            return int(value)
        self._wrong("Port", f"{value!r} is no port; set a number from 1 to 65535, for instance 1883")
        return 0

    def number(self, key: str, default: int, low: int, high: int) -> int:
        value = self.option(key).strip()
        if not value:
            return default
        if value.isdecimal() and low <= int(value) <= high:
            return int(value)
        self._wrong(f"Optional.{key}", f"{value!r} does not fit; set a whole number from {low} to {high}")
        return default

    def keep_alive(self) -> int:
        seconds = self.number("KeepAlive", 10, 0, 65535)
        if seconds == 1:
            self._wrong("Optional.KeepAlive", "'1' does not fit; set at least 2 seconds, or 0 for none")
        return seconds

    def flag(self, key: str, default: bool) -> bool:
        value = self.option(key).strip().lower()
        if value not in (*_TRUE, *_FALSE):
            self._wrong(f"Optional.{key}", f"{value!r} is neither true nor false")
        return default if not value else value in _TRUE

    def _secret_value(self, key: str, auth_mode: str) -> str:
        value = (self._secret or {}).get(key, "")
        if not value:
            name = self.text("SecretName")
            self._wrong(
                "SecretName",
                f"AuthMode is {auth_mode!r}, but the secret {name!r} "
                + ("is not there" if self._secret is None else f"has no {key!r}")
                + f"; add it, for instance under Writable.InsecureSecrets with SecretName {name!r}",
            )
        return value

    def login(self, auth_mode: str) -> tuple[str, str]:
        """From the secret in mode `usernamepassword`, else, or if there is none, from Optional."""
        own = self.option("Username"), self.option("Password")
        if auth_mode != "usernamepassword" or (not self._secret and own[0]):
            return own
        return self._secret_value("username", auth_mode), self._secret_value("password", auth_mode)

    def tls(self, protocol: str, auth_mode: str) -> tuple[Tls | None, tuple[str, ...]]:
        """EdgeX's rule: the protocol decides; certificates under a plain protocol are not used."""
        secret = self._secret or {}
        by_mode = {"clientcert": ("clientcert", "clientkey"), "cacert": ("cacert",)}.get(auth_mode, ())
        for key in by_mode:
            self._secret_value(key, auth_mode)
        found = Tls(
            ca_file=self.option("CaFile"),
            cert_file=self.option("CertFile"),
            key_file=self.option("KeyFile"),
            ca_pem=secret.get("cacert", "") or self.option("CaPEMBlock"),
            cert_pem=(secret.get("clientcert", "") if by_mode else "") or self.option("CertPEMBlock"),
            key_pem=(secret.get("clientkey", "") if by_mode else "") or self.option("KeyPEMBlock"),
            skip_verify=self.flag("SkipCertVerify", False),
        )
        if bool(found.cert_file or found.cert_pem) != bool(found.key_file or found.key_pem):
            self._wrong(
                "Optional.KeyFile", "a client certificate needs both CertFile and KeyFile (or the PEM blocks)"
            )
        if protocol in ENCRYPTED:
            return found, ()
        if found != Tls():
            note = f"MessageBus.Protocol is {protocol!r}: its certificate options are not used; set 'ssl' for TLS"
            return None, (note,)
        return None, ()
