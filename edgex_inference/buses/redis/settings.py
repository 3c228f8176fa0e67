"""How to reach a Redis server, and how EdgeX's `MessageBus` section says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgex_inference.buses.section import Section, Tls
from edgex_inference.contracts.errors import ConfigurationError

PLAIN = ("redis", "tcp")
ENCRYPTED = ("rediss", "tcps", "ssl", "tls")
AUTH_MODES = ("none", "usernamepassword", "clientcert", "cacert")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Everything that a connection needs; `connect_timeout` in seconds."""

    host: str = "localhost"
    port: int = 6379
    client_id: str = "app-inference"
    password: str = field(default="", repr=False)
    connect_timeout: float = 5.0
    tls: Tls | None = None
    max_backlog: int = 10_000
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """How messages to people name the server."""
        return f"Redis server {'rediss' if self.tls else 'redis'}://{self.host}:{self.port}"


def settings_from(
    section: Mapping[str, object],
    credentials: Mapping[str, str] | None = None,
    *,
    service_key: str = "app-inference",
    file: str = "configuration",
) -> RedisSettings:
    """Reads EdgeX's `MessageBus` section; `credentials` is the secret that `SecretName` names.

    EdgeX knows a password only, sent for Redis's user `default`, and says AuthMode usernamepassword also where
    there is none. Raises ConfigurationError with every mistake.
    """
    reader = Section(section, credentials, file)
    protocol = reader.one_of("Protocol", (*PLAIN, *ENCRYPTED), "redis")
    auth_mode = reader.one_of("AuthMode", AUTH_MODES, "none")
    tls, notes = reader.tls(protocol, auth_mode, encrypted=ENCRYPTED, either=("redis",))
    secret = reader.secret("password") if auth_mode == "usernamepassword" else ""
    settings = RedisSettings(
        host=reader.host(),
        port=reader.port(6379),
        client_id=reader.option("ClientId") or service_key,
        password=secret or reader.option("Password"),
        connect_timeout=reader.number("ConnectTimeout", 5, 1, 600),
        tls=tls,
        notes=notes,
    )
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return settings
