"""The MQTT bus keeps the Bus port's promises on a real mosquitto: every QoS, password, TLS."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.buses.mqtt import MqttBus
from edgex_inference.buses.mqtt_settings import MqttSettings, settings_from
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


PLAIN = MqttSettings(host="127.0.0.1")


class TestMqttBus(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start) -> BusServer:
        return MosquittoServer(mosquitto(), PLAIN)


class TestMqttBusOnABrokerThatDeliversOverlapsTwice(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start) -> BusServer:
        return MosquittoServer(mosquitto("allow_duplicate_messages true"), PLAIN)


class TestMqttBusAtQos1(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start) -> BusServer:
        return MosquittoServer(mosquitto("max_inflight_messages 0"), replace(PLAIN, qos=1))


class TestMqttBusAtQos2(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start) -> BusServer:
        return MosquittoServer(
            mosquitto("max_inflight_messages 0"), replace(PLAIN, qos=2, clean_session=False)
        )


class TestMqttBusWithPassword(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start, tmp_path: Path) -> BusServer:
        passwords = tmp_path / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "edge", "s3cret"], check=True)
        passwords.chmod(0o600)
        section = {"Host": "127.0.0.1", "Port": 1, "AuthMode": "usernamepassword", "SecretName": "mqtt-bus"}
        settings = settings_from(section, {"username": "edge", "password": "s3cret"})
        return MosquittoServer(mosquitto(f"password_file {passwords}", anonymous=False), settings)


class TestMqttBusWithTls(BusContract):
    @pytest.fixture
    def server(self, mosquitto: Start, certificates: Path) -> BusServer:
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
        return MosquittoServer(broker, settings_from(section, secret))
