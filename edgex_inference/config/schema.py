"""The whole configuration on one page; a key on the wire is the field's name in PascalCase.

`configuration.toml` at the top of the project says the same, with a comment for every key.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NewType

Seconds = NewType("Seconds", float)
"""A duration: a text such as `5s` on the wire."""

Tree = NewType("Tree", Mapping[str, Any])
"""Maps whose keys and values are other rooms' business."""


@dataclass(frozen=True, slots=True)
class Range:
    """Whole numbers that a key may have."""

    low: int
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class Choice:
    """Words that a key may have, in any case; `later` are refused with a sentence."""

    words: tuple[str, ...]
    later: Mapping[str, str] = field(default_factory=dict)


_NO_TRIGGER = "this trigger is not built yet; use edgex-messagebus or http"

LogLevel = Annotated[str, Choice(("TRACE", "DEBUG", "INFO", "WARN", "ERROR"))]
AuthMode = Annotated[str, Choice(("none", "usernamepassword", "clientcert", "cacert"))]
BusType = Annotated[
    str,
    Choice(
        ("mqtt", "redis", "nats-core", "nats-jetstream", "zero", "memory"),
        {"nats": "say which: nats-core or nats-jetstream", "zmq": "ZeroMQ is called zero, as in EdgeX 2"},
    ),
]
TriggerType = Annotated[
    str,
    Choice(("edgex-messagebus", "http"), dict.fromkeys(("external-mqtt", "custom"), _NO_TRIGGER)),
]
Metadata = Annotated[str, Choice(("auto", "required", "none"))]
EdgexVersion = Annotated[str, Choice(("auto", "2", "3", "4"))]
MqttClient = Annotated[str, Choice(("native", "paho"))]
MqttVersion = Annotated[str, Choice(("3.1.1", "5"))]
Port = Annotated[int, Range(0, 65535)]
Amount = Annotated[int, Range(0)]
Some = Annotated[int, Range(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """An entry of InsecureSecrets: what SecretName elsewhere refers to, and its values."""

    secret_name: str = ""
    secret_data: Mapping[str, str] = field(default_factory=dict, repr=False)


def _bus_secret() -> Mapping[str, Secret]:
    return {"mqtt": Secret(secret_name="mqtt-bus", secret_data={"username": "", "password": ""})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """EdgeX's metrics section."""

    interval: Seconds = Seconds(30.0)
    metrics: Mapping[str, bool] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writable:
    """What may change while the service runs; replaced as a whole."""

    log_level: LogLevel = "INFO"
    insecure_secrets: Mapping[str, Secret] = field(default_factory=_bus_secret)
    telemetry: Telemetry = Telemetry()
    inference_bindings: Tree = field(default_factory=lambda: Tree({}))
    """Binding name → keys of its block that count over everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsConfiguration:
    """What browsers are told of pages from elsewhere; lists as in the headers, `cors_max_age` in seconds."""

    enable_cors: bool = False
    cors_allow_credentials: bool = False
    cors_allowed_origin: str = "https://localhost"
    cors_allowed_methods: str = "GET, POST, PUT, PATCH, DELETE"
    cors_allowed_headers: str = (
        "Authorization, Accept, Accept-Language, Content-Language, Content-Type, X-Correlation-ID"
    )
    cors_expose_headers: str = (
        "Cache-Control, Content-Language, Content-Length, Content-Type, Expires, Last-Modified, Pragma, "
        "X-Correlation-ID"
    )
    cors_max_age: Amount = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The HTTP server; `max_request_size` in KB, 0 is no limit."""

    host: str = "localhost"
    port: Port = 59760
    server_bind_addr: str = ""
    startup_msg: str = "edgex-inference has started"
    health_check_interval: Seconds = Seconds(10.0)
    request_timeout: Seconds = Seconds(5.0)
    max_request_size: Amount = 0
    max_result_count: Some = 1024
    enable_name_field_escape: bool = False
    cors_configuration: CorsConfiguration = CorsConfiguration()

    @property
    def bind_address(self) -> str:
        """The address to listen on: ServerBindAddr, else Host."""
        return self.server_bind_addr or self.host


def _bus_options() -> Mapping[str, str]:
    return {
        "Qos": "0",
        "KeepAlive": "10",
        "Retained": "false",
        "AutoReconnect": "true",
        "ConnectTimeout": "5",
        "SkipCertVerify": "false",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageBus:
    """The bus that carries events; `optional` holds EdgeX's connection options, all texts (BUS_OPTIONS)."""

    disabled: bool = False
    type: BusType = "mqtt"
    protocol: str = "mqtt"
    host: str = "localhost"
    port: Annotated[int, Range(1, 65535)] = 1883
    auth_mode: AuthMode = "none"
    secret_name: str = "mqtt-bus"
    base_topic_prefix: str = "edgex"
    optional: Mapping[str, str] = field(default_factory=_bus_options, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Where services register and look one another up, with `-r/--registry`."""

    host: str = "localhost"
    port: Annotated[int, Range(1, 65535)] = 59890
    type: Annotated[str, Choice(("keeper", "consul"))] = "keeper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Which topics are read: a comma list, BaseTopicPrefix goes in front of each."""

    type: TriggerType = "edgex-messagebus"
    subscribe_topics: str = "events/#"
    publish_topic: str = ""

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of the comma list, without the base prefix."""
        return tuple(topic.strip() for topic in self.subscribe_topics.split(",") if topic.strip())


CORE_METADATA, CORE_COMMAND, NOTIFICATIONS = "core-metadata", "core-command", "support-notifications"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Where another EdgeX service listens."""

    protocol: Annotated[str, Choice(("http", "https"))] = "http"
    host: str = "localhost"
    port: Annotated[int, Range(1, 65535)] = 59881

    @property
    def url(self) -> str:
        """Scheme, host and port; an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.protocol}://{host}:{self.port}"


def _clients() -> Mapping[str, Client]:
    return {CORE_METADATA: Client(), CORE_COMMAND: Client(port=59882)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLimits:
    """What the models on one inference device may take: how many, and MB of files together; 0: no limit."""

    max_models: Amount = 0
    max_memory: Amount = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """This service's own section; `threads` 0: unset. `devices` are limits by `accelerator:DEVICE`.

    `auto_accelerators` is a comma list of what `auto` considers, empty for all.

    `max_message_size` in KB, `max_pixels` of one picture, `outbox_max_size` and `cache_max_size` in MB.
    """

    profiles_dir: str = "profiles"
    models_dir: str = "models"
    cache_dir: str = ""
    cache_max_size: Some = 4096
    metadata: Metadata = "auto"
    reconcile_interval: Seconds = Seconds(60.0)
    edgex_version: EdgexVersion = "auto"
    mqtt_client: MqttClient = "native"
    mqtt_version: MqttVersion = "3.1.1"
    max_message_size: Some = 32768
    max_pixels: Some = 64_000_000
    threads: Annotated[int, Range(0, 1024)] = 0
    auto_accelerators: str = ""
    devices: Mapping[str, DeviceLimits] = field(default_factory=dict)
    self_check_interval: Seconds = Seconds(0.0)
    drain_timeout: Seconds = Seconds(5.0)
    outbox_max_size: Amount = 64
    outbox_max_age: Seconds = Seconds(86400.0)
    notification_interval: Seconds = Seconds(900.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that can be configured."""

    writable: Writable = Writable()
    service: Service = Service()
    message_bus: MessageBus = MessageBus()
    registry: Registry = Registry()
    trigger: Trigger = Trigger()
    clients: Mapping[str, Client] = field(default_factory=_clients)
    inference: Inference = Inference()


BUS_OPTIONS: Mapping[str, type] = {
    **dict.fromkeys(("Username", "Password", "ClientId", "Format", "QueueGroup", "Durable", "Subject"), str),
    **dict.fromkeys(("Deliver", "NKeySeedFile", "CredentialsFile"), str),
    **dict.fromkeys(("CertFile", "KeyFile", "CaFile", "CertPEMBlock", "KeyPEMBlock", "CaPEMBlock"), str),
    **dict.fromkeys(("Qos", "KeepAlive", "ConnectTimeout", "DefaultPubRetryAttempts"), int),
    **dict.fromkeys(("Retained", "AutoReconnect", "CleanSession", "SkipCertVerify"), bool),
    **dict.fromkeys(("RetryOnFailedConnect", "AutoProvision", "ExactlyOnce"), bool),
    "PublishPort": int,
    "SubscribeHosts": str,
}
"""EdgeX's keys of MessageBus.Optional with what their texts must hold; the last two are ours, for ZeroMQ."""

UNUSED = frozenset(
    {
        ("Clients", "*", "UseMessageBus"),
        ("Clients", "*", "SecurityOptions"),
        ("Database",),
        ("Databases",),
        ("SecretStore",),
        ("HttpServer",),
        ("ApplicationSettings",),
        ("AppCustom",),
        ("Device",),
        ("Driver",),
        ("MaxEventSize",),
        ("Writable", "Pipeline"),
        ("Writable", "StoreAndForward"),
        ("Writable", "Reading"),
        ("Writable", "Telemetry", "PublishTopicPrefix"),
        ("Writable", "InsecureSecrets", "*", "Path"),
        ("Writable", "InsecureSecrets", "*", "path"),
        ("Writable", "InsecureSecrets", "*", "Secrets"),
        ("Service", "SecurityOptions"),
        ("Trigger", "ExternalMqtt"),
    }
)
"""EdgeX's own keys that this service accepts, so that a file of another service passes, and does not read."""

MOVED: Mapping[tuple[str, ...], str] = {
    ("Trigger", "EdgexMessageBus"): "EdgeX 2 has the bus here; write it as MessageBus (EdgeX 3 and later)",
    ("MessageQueue",): "EdgeX 2 has the bus here; write it as MessageBus (EdgeX 3 and later)",
}
"""Keys of EdgeX 2 that would be dangerous to ignore, with what to write instead."""
