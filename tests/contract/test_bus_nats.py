"""The NATS buses keep the Bus port's promises on a real nats-server: core, JetStream, a password."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nats
import pytest

from edgex_inference.buses.nats.bus import NatsBus
from edgex_inference.buses.nats.settings import NatsSettings, StreamSettings
from edgex_inference.buses.section import Tls
from edgex_inference.contracts.bus import Bus
from edgex_inference.testing.bus import BusContract, BusServer

Start = Callable[..., Any]
PLAIN = NatsSettings(host="127.0.0.1")
LARGE = "max_payload: 9437184"


class NatsServer:
    def __init__(self, server: Any, settings: NatsSettings) -> None:
        self.server, self.settings = server, replace(settings, port=server.port)

    def client(self, name: str) -> Bus:
        return NatsBus(replace(self.settings, client_id=name))

    async def stop(self) -> None:
        self.server.kill()

    async def start(self) -> None:
        self.server.start()


class TestNatsBus(BusContract):
    headers = True

    @pytest.fixture
    def server(self, run_server: Start) -> BusServer:
        return NatsServer(run_server("Nats", LARGE), PLAIN)


class TestNatsBusWithPassword(BusContract):
    headers = True

    @pytest.fixture
    def server(self, run_server: Start) -> BusServer:
        server = run_server("Nats", LARGE, "authorization { user: edge, password: s3cret }")
        return NatsServer(server, replace(PLAIN, username="edge", password="s3cret"))


class TestNatsBusWithTls(BusContract):
    headers = True

    @pytest.fixture
    def server(self, run_server: Start, certificates: Path) -> BusServer:
        files = f"cert_file: '{certificates}/server.pem', key_file: '{certificates}/server.key'"
        verify = f"ca_file: '{certificates}/ca.pem', verify: true"
        server = run_server("Nats", LARGE, f"tls {{ {files}, {verify} }}")
        tls = Tls(
            ca_file=f"{certificates}/ca.pem",
            cert_pem=(certificates / "client.pem").read_text(),
            key_pem=(certificates / "client.key").read_text(),
        )
        return NatsServer(server, replace(PLAIN, tls=tls))


class TestJetStreamBus(BusContract):
    headers = True

    @pytest.fixture
    async def server(self, run_server: Start) -> BusServer:
        server = run_server("Nats", LARGE, streams=True)
        client = await nats.connect(f"nats://127.0.0.1:{server.port}")
        subjects = ["contract", "contract.>", "other.>"]  # EdgeX's own stream would have one root only
        await client.jetstream().add_stream(name="contract", subjects=subjects)
        await client.close()
        return NatsServer(server, replace(PLAIN, stream=StreamSettings(subject="contract/#")))
