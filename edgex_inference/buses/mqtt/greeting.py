"""How we introduce ourselves to a broker."""

from edgex_inference.buses.mqtt import packets
from edgex_inference.buses.mqtt.settings import MqttSettings


def hello(settings: MqttSettings, version: int, most_open: int) -> packets.Hello:
    """What the settings say; `most_open` messages may be unacknowledged before the broker has to wait."""
    will = None
    if settings.will_topic:
        will = packets.Will(
            topic=settings.will_topic,
            payload=settings.will_payload,
            qos=min(settings.qos, 1),
            retained=settings.retained,
        )
    return packets.Hello(
        version=version,
        client_id=settings.client_id,
        clean=settings.clean_session,
        keep_alive=settings.keep_alive,
        username=settings.username,
        password=settings.password,
        will=will,
        receive_maximum=min(65_535, most_open),
        largest=min(settings.max_packet, packets.MOST),
    )
