"""The Redis bus keeps the Bus port's promises on a real redis-server: open, with a password, encrypted."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.buses.redis.bus import RedisBus
from edgex_inference.buses.redis.settings import RedisSettings
from edgex_inference.buses.section import Tls
from edgex_inference.contracts.bus import Bus
from edgex_inference.testing.bus import BusContract, BusServer, opened

Start = Callable[..., Any]
PLAIN = RedisSettings(host="127.0.0.1")


def sockets() -> int:
    """How many this process has open."""
    return sum(
        os.readlink(one).startswith("socket:") for one in Path("/proc/self/fd").iterdir() if one.is_symlink()
    )


class RedisServer:
    def __init__(self, server: Any, settings: RedisSettings) -> None:
        self.server, self.settings = server, replace(settings, port=server.port)

    def client(self, name: str) -> Bus:
        return RedisBus(replace(self.settings, client_id=name))

    async def stop(self) -> None:
        self.server.kill()

    async def start(self) -> None:
        self.server.start()


class TestRedisBus(BusContract):
    @pytest.fixture
    def server(self, run_server: Start) -> BusServer:
        return RedisServer(run_server("Redis"), PLAIN)


class TestRedisBusWithPassword(BusContract):
    @pytest.fixture
    def server(self, run_server: Start) -> BusServer:
        return RedisServer(run_server("Redis", "requirepass s3cret"), replace(PLAIN, password="s3cret"))


class TestRedisBusWithTls(BusContract):
    @pytest.fixture
    def server(self, run_server: Start, certificates: Path) -> BusServer:
        server = run_server(
            "Redis",
            f"tls-cert-file {certificates}/server.pem",
            f"tls-key-file {certificates}/server.key",
            f"tls-ca-cert-file {certificates}/ca.pem",
            tls=True,
        )
        tls = Tls(
            ca_file=f"{certificates}/ca.pem",
            cert_pem=(certificates / "client.pem").read_text(),
            key_pem=(certificates / "client.key").read_text(),
        )
        return RedisServer(server, replace(PLAIN, tls=tls))

    async def test_a_server_that_hangs_keeps_no_socket_of_ours(self, server: BusServer) -> None:
        assert isinstance(server, RedisServer)
        bus, before = server.client("hung"), sockets()
        async with opened(bus):
            assert sockets() > before
            server.server.suspend()
            await bus.close()
            assert sockets() == before
