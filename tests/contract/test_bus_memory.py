"""The memory bus keeps the Bus port's promises."""

import pytest

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.contracts.bus import Bus
from edgex_inference.testing.bus import BusContract, BusServer


class HubServer:
    def __init__(self) -> None:
        self.hub = MemoryHub()

    def client(self, name: str) -> Bus:
        return MemoryBus(self.hub, name=name)

    async def stop(self) -> None:
        self.hub.stop()

    async def start(self) -> None:
        self.hub.start()


class TestMemoryBus(BusContract):
    headers = True

    @pytest.fixture
    def server(self) -> BusServer:
        return HubServer()
