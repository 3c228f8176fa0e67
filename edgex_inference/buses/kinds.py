"""From EdgeX's `MessageBus` section to the bus of its type."""

from collections.abc import Callable, Mapping

from edgex_inference.buses.mqtt.bus import MqttBus
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.buses.mqtt.settings import settings_from as mqtt_settings
from edgex_inference.buses.nats.bus import NatsBus
from edgex_inference.buses.nats.settings import settings_from as nats_settings
from edgex_inference.buses.redis.bus import RedisBus
from edgex_inference.buses.redis.settings import settings_from as redis_settings
from edgex_inference.buses.zeromq.bus import ZeroMqBus
from edgex_inference.buses.zeromq.settings import settings_from as zeromq_settings
from edgex_inference.contracts.bus import Bus

_NATS = ("nats-core", "nats-jetstream")


def bus_from(
    kind: str,
    section: Mapping[str, object],
    credentials: Mapping[str, str] | None,
    *,
    service_key: str,
    file: str,
    speaking: Callable[[MqttSettings], MqttSettings],
) -> Bus:
    """A bus that is not open yet; `kind` is the section's Type, `credentials` the secret that it names,
    `speaking` adds the choice of MQTT client.

    Raises SetupError when the bus's library is missing, ConfigurationError with every mistake in the section.
    """
    if kind == "redis":
        return RedisBus(redis_settings(section, credentials, service_key=service_key, file=file))
    if kind in _NATS:
        return NatsBus(nats_settings(section, credentials, service_key=service_key, file=file))
    if kind == "zero":
        return ZeroMqBus(zeromq_settings(section, file=file))
    return MqttBus(speaking(mqtt_settings(section, credentials, service_key=service_key, file=file)))


def carries_headers(kind: str, options: Mapping[str, str]) -> bool:
    """Whether the envelope travels as headers on this bus: on NATS, unless Format says json."""
    return kind in _NATS and options.get("Format", "nats").strip().lower() != "json"
