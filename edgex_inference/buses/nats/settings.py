"""How to reach a NATS server, and how EdgeX's `MessageBus` section says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgex_inference.buses.nats.subjects import wildcard_of
from edgex_inference.buses.section import Section, Tls
from edgex_inference.buses.topics import mistake_in_filter
from edgex_inference.contracts.errors import ConfigurationError

PLAIN = ("nats", "tcp")
ENCRYPTED = ("tls", "ssl", "tcps")
AUTH_MODES = ("none", "usernamepassword", "clientcert", "cacert")
FORMATS = ("nats", "json")
DELIVER = ("new", "all", "last", "lastpersubject")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How JetStream is used: `subject` as a filter in EdgeX's spelling, "" for none."""

    subject: str = ""
    durable: str = ""
    deliver: str = "new"
    provision: bool = False
    retries: int = 2

    @property
    def name(self) -> str:
        """The stream that EdgeX makes: called like Durable, else after Subject."""
        derived = wildcard_of(self.subject).translate({ord("."): "_", ord("*"): None, ord(">"): None})
        return self.durable or derived.removesuffix("_")


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsSettings:
    """Everything that a connection needs; `stream` None is core NATS, `connect_timeout` in seconds."""

    host: str = "localhost"
    port: int = 4222
    client_id: str = "app-inference"
    username: str = ""
    password: str = field(default="", repr=False)
    nkey_seed_file: str = ""
    credentials_file: str = ""
    connect_timeout: float = 5.0
    tls: Tls | None = None
    format: str = "nats"
    queue_group: str = ""
    exactly_once: bool = False
    stream: StreamSettings | None = None
    max_backlog: int = 10_000
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """How messages to people name the server."""
        return f"NATS server {'tls' if self.tls else 'nats'}://{self.host}:{self.port}"


def settings_from(
    section: Mapping[str, object],
    credentials: Mapping[str, str] | None = None,
    *,
    service_key: str = "app-inference",
    file: str = "configuration",
) -> NatsSettings:
    """Reads EdgeX's `MessageBus` section; `credentials` is the secret that `SecretName` names.

    The client id is `Optional.ClientId`, else the service key. Raises ConfigurationError with every mistake.
    """
    reader = Section(section, credentials, file)
    protocol = reader.one_of("Protocol", (*PLAIN, *ENCRYPTED), "nats")
    auth_mode = reader.one_of("AuthMode", AUTH_MODES, "none")
    username, password = reader.login(auth_mode)
    tls, notes = reader.tls(protocol, auth_mode, encrypted=ENCRYPTED, either=("nats",))
    reader.flag("RetryOnFailedConnect", True)  # we always do
    streams = reader.text("Type").lower() == "nats-jetstream"
    settings = NatsSettings(
        host=reader.host(),
        port=reader.port(4222),
        client_id=reader.option("ClientId") or service_key,
        username=username,
        password=password,
        nkey_seed_file=reader.option("NKeySeedFile"),
        credentials_file=reader.option("CredentialsFile"),
        connect_timeout=reader.number("ConnectTimeout", 5, 1, 600),
        tls=tls,
        format=reader.option_of("Format", FORMATS, "nats"),
        queue_group=reader.option("QueueGroup").strip(),
        exactly_once=reader.flag("ExactlyOnce", False),
        stream=_stream(reader) if streams else None,
        notes=notes,
    )
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return settings


def _stream(reader: Section) -> StreamSettings:
    subject = reader.option("Subject").strip() or "edgex/#"
    if mistake := mistake_in_filter(subject):
        reader.wrong("Optional.Subject", f"{subject!r} is no topic filter: {mistake}")
    durable = reader.option("Durable").strip()
    if set(durable) & set(" \t.*>/\\"):
        reader.wrong(
            "Optional.Durable", f"{durable!r} is no name for a consumer: no spaces, dots, slashes, * or >"
        )
    settings = StreamSettings(
        subject=subject,
        durable=durable,
        deliver=reader.option_of("Deliver", DELIVER, "new"),
        provision=reader.flag("AutoProvision", True),
        retries=reader.number("DefaultPubRetryAttempts", 2, 0, 100),
    )
    if not settings.name:
        reader.wrong(
            "Optional.Subject", f"{subject!r} gives a stream no name; start it with a level, as in edgex/#"
        )
    return settings
