"""The MQTT bus keeps the Bus port's promises on a real mosquitto: both clients, every QoS, password, TLS."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.buses.mqtt.bus import MqttBus
from edgex_inference.buses.mqtt.settings import MqttSettings, settings_from
from edgex_inference.contracts.bus import Bus
from edgex_inference.testing.bus import BusContract, BusServer

Start = Callable[..., Any]


class MosquittoServer:
    def __init__(self, broker: Any, settings: MqttSettings) -> None:
        self.broker, self.settings = broker, replace(settings, port=broker.port)

    def client(self, name: str) -> Bus:
        return MqttBus(replace(self.settings, client_id=name))

    async def stop(self) -> None:
        self.broker.kill()

    async def start(self) -> None:
        self.broker.start()


@pytest.fixture(params=("native", "paho"))
def plain(request: pytest.FixtureRequest) -> MqttSettings:
    return MqttSettings(host="127.0.0.1", client=request.param)


class TestMqttBus(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start, plain: MqttSettings) -> BusServer:
        return MosquittoServer(mosquitto(), plain)


class TestMqttBusOnABrokerThatDeliversOverlapsTwice(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start, plain: MqttSettings) -> BusServer:
        return MosquittoServer(mosquitto("allow_duplicate_messages true"), plain)


class TestMqttBusAtQos1(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start, plain: MqttSettings) -> BusServer:
        return MosquittoServer(mosquitto("max_inflight_messages 0"), replace(plain, qos=1))


class TestMqttBusInMqtt5(BusContract):
    @pytest.fixture(params=(0, 1))
    def server(self, mosquitto: Start, request: pytest.FixtureRequest) -> BusServer:
        settings = MqttSettings(host="127.0.0.1", client="native", version="5", qos=request.param)
        return MosquittoServer(mosquitto("max_inflight_messages 0"), settings)


class TestMqttBusAtQos2(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start, plain: MqttSettings) -> BusServer:
        return MosquittoServer(
            mosquitto("max_inflight_messages 0"), replace(plain, qos=2, clean_session=False)
        )


class TestMqttBusWithPassword(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start, plain: MqttSettings, tmp_path: Path) -> BusServer:
        passwords = tmp_path / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "edge", "s3cret"], check=True)
        passwords.chmod(0o600)
        section = {"Host": "127.0.0.1", "Port": 1, "AuthMode": "usernamepassword", "SecretName": "mqtt-bus"}
        settings = _as(plain, settings_from(section, {"username": "edge", "password": "s3cret"}))
        return MosquittoServer(mosquitto(f"password_file {passwords}", anonymous=False), settings)


class TestMqttBusWithTls(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start, plain: MqttSettings, certificates: Path) -> BusServer:
        broker = mosquitto(
            f"cafile {certificates}/ca.pem",
            f"certfile {certificates}/server.pem",
            f"keyfile {certificates}/server.key",
            "require_certificate true",
        )
        section = {
            "Protocol": "ssl",
            "Host": "localhost",
            "Port": broker.port,
            "AuthMode": "clientcert",
            "SecretName": "mqtt-bus",
            "Optional": {"CaFile": str(certificates / "ca.pem")},
        }
        secret = {
            "clientcert": (certificates / "client.pem").read_text(),
            "clientkey": (certificates / "client.key").read_text(),
        }
        return MosquittoServer(broker, _as(plain, settings_from(section, secret)))


def _as(plain: MqttSettings, settings: MqttSettings) -> MqttSettings:
    return replace(settings, client=plain.client)
