"""The ZeroMQ bus keeps the Bus port's promises between several of its own publishers."""

import pytest

from edgex_inference.buses.zeromq.bus import ZeroMqBus
from edgex_inference.buses.zeromq.settings import Address, ZeroMqSettings
from edgex_inference.contracts.bus import Bus
from edgex_inference.testing.bus import PATIENCE, BusContract, BusServer
from tests.ports import free_port


class Neighbors:
    """There is no server: each client publishes on a port of its own, and hears itself and all that came before."""

    def __init__(self) -> None:
        self.addresses: list[Address] = []

    def client(self, name: str) -> Bus:
        self.addresses.append(Address("127.0.0.1", free_port()))
        return ZeroMqBus(
            ZeroMqSettings(
                publishers=tuple(self.addresses),
                publish_port=self.addresses[-1].port,
                bind_host="127.0.0.1",
                settle=PATIENCE,
            )
        )

    async def stop(self) -> None:
        pytest.fail("ZeroMQ has no server: the suite is told so by `restartable`")

    async def start(self) -> None:
        pytest.fail("ZeroMQ has no server: the suite is told so by `restartable`")


class TestZeroMqBus(BusContract):
    restartable = False

    @pytest.fixture
    def server(self) -> BusServer:
        return Neighbors()
