"""A whole service on the memory bus of this process, and who feeds and counts opposite to it.

Feeding and counting are charged to the service: messages that were made before are handed to the hub in bursts, as a
socket would bring them, and a subscriber counts the results (together well below a microsecond for each event).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.config.load import Loaded
from edgex_inference.config.schema import Configuration, Inference, MessageBus, Service
from edgex_inference.contracts.messages import Message
from edgex_inference.service import Service as InferenceService

RESULTS = "edgex/events/device/app-inference/+/+/{}"
STATUS = b"InferenceStatus"
BURST = 64
WINDOW = 256
"""Events under way at most: enough that the service always has work, and no queue overflows."""

PATIENCE = 60.0


class Lost(Exception):
    """Results that should have come did not."""


@dataclass
class Inside:
    """A running service; `cost` drives events through it."""

    service: InferenceService
    hub: MemoryHub
    bursts: AsyncIterator[Sequence[Message]]
    source: Iterator[Message]

    async def through(self, amount: int, *, window: int = WINDOW, burst: int = BURST) -> None:
        """Sends events and waits until each has its result; raises Lost when one has not after a while."""
        sent = came = 0
        while came < amount:
            while sent < amount and sent - came <= window - burst:
                fresh = min(burst, amount - sent)
                self.hub.spread_all(list(islice(self.source, fresh)))
                sent += fresh
            try:
                async with asyncio.timeout(PATIENCE):
                    came += sum(STATUS not in message.payload for message in await anext(self.bursts))
            except TimeoutError:
                counted = [run.measures.counters() for run in self.service.router.runs]
                raise Lost(f"{came} of {amount} results came; {counted}") from None

    async def cost(self, amount: int, *, window: int = WINDOW, burst: int = BURST) -> float:
        """Processor time of the whole process for each event, in µs."""
        began = time.process_time()
        await self.through(amount, window=window, burst=burst)
        return (time.process_time() - began) / amount * 1e6

    async def pace(self, amount: int, *, window: int, burst: int) -> float:
        """Seconds on the clock for each event."""
        began = time.perf_counter()
        await self.through(amount, window=window, burst=burst)
        return (time.perf_counter() - began) / amount


@asynccontextmanager
async def running(
    folder: Path, messages: Sequence[Message], *, binding: str = "Health", major: str = "4"
) -> AsyncIterator[Inside]:
    """A service over `profiles` and `models` of a folder, until the block ends; `messages` go round in a ring."""
    hub = MemoryHub()
    loaded = Loaded(
        config=Configuration(
            service=Service(port=0, server_bind_addr="127.0.0.1"),
            message_bus=MessageBus(type="memory"),
            inference=Inference(edgex_version=major, metadata="none", max_message_size=4096),
        ),
        service_key="app-inference",
        file=None,
        profiles=folder / "profiles",
        models=folder / "models",
        cache=None,
        notes=(),
    )
    service = InferenceService(loaded, MemoryBus(hub, in_a_row=BURST))
    work = asyncio.create_task(service.run())
    peer = MemoryBus(hub, name="peer")
    await peer.open()
    try:
        async with asyncio.timeout(PATIENCE):
            await service.started.wait()
            for run in service.router.runs:
                await run.settled.wait()
        async with peer.subscribe(RESULTS.format(binding)) as bursts:
            yield Inside(service, hub, bursts, cycle(messages))
    finally:
        service.stop()
        await work
        await peer.close()
