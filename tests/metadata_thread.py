"""The core-metadata double beside a test that blocks: on a loop of its own in a thread, and a listener to the bus."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from edgex_inference.buses.mqtt.bus import MqttBus
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.contracts.messages import Message
from edgex_inference.testing.bus import eventually
from edgex_inference.testing.metadata.server import MetadataDouble
from tests.ports import free_port

PATIENCE = 60.0
Found = TypeVar("Found")


class MetadataThread:
    """core-metadata of this version on the broker at this port; `heard` is everything below `edgex/`.

    `connect` opens another bus than MQTT; without it and with port 0 there is none, which is enough for EdgeX 2.
    """

    def __init__(
        self, bus: int, *, version: str = "4.0.2", port: int = 0, connect: Callable[[], Any] | None = None
    ) -> None:
        self.heard: list[Message] = []
        self.double: MetadataDouble
        self._options = {"version": version, "port": port or free_port()}
        settings = MqttSettings(host="127.0.0.1", port=bus, client_id="core-metadata")
        self._connect = connect or ((lambda: MqttBus(settings)) if bus else None)
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._up: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._up.result(PATIENCE)

    @property
    def port(self) -> int:
        return self.double.port

    @property
    def url(self) -> str:
        return self.double.url

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """An HTTP call to the double: status and decoded answer."""
        return self._do(self.double.call(method, path, body))

    def start(self) -> None:
        self._do(self.double.start())

    def stop(self) -> None:
        """An outage: `start` brings it back with everything that it knew."""
        self._do(self.double.stop())

    def wait(
        self, enough: Callable[[Sequence[Message]], Found], what: str, seconds: float = PATIENCE
    ) -> Found:
        """What `enough` says of all that was heard, as soon as it is true; AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (found := enough(self.heard)):
                left = deadline - time.monotonic()
                assert left > 0, f"{what}: not after {seconds:g} s; {[one.topic for one in self.heard[-5:]]}"
                self._changed.wait(left)
            return found

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    def _do(self, work: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                bus = self._connect() if self._connect is not None else None
                if bus is not None:
                    await bus.open()
                    stack.push_async_callback(bus.close)
                    await eventually(lambda: bus.connected, "the double's bus connects")
                    bursts = await stack.enter_async_context(bus.subscribe("edgex/#"))
                    listening = asyncio.create_task(self._listen(bursts))
                    stack.callback(listening.cancel)
                self.double = await stack.enter_async_context(MetadataDouble(bus, **self._options))
                self._up.set_result(None)
                await self._over.wait()
        except BaseException as error:
            if not self._up.done():
                self._up.set_exception(error)
            raise

    async def _listen(self, bursts: Any) -> None:
        async for messages in bursts:
            with self._changed:
                self.heard += messages
                self._changed.notify_all()
