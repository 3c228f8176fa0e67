"""The core-keeper double beside a test that blocks: on a loop of its own in a thread, with a bus of its own."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import aiohttp

from edgex_inference.buses.mqtt.bus import MqttBus
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.testing.bus import eventually
from edgex_inference.testing.keeper.server import KeeperDouble
from tests.ports import free_port

PATIENCE = 60.0
Found = TypeVar("Found")
BOOTSTRAPPER = "edgex/v4/core-common-config-bootstrapper"


class KeeperThread:
    """core-keeper on the broker at this port; `common` is stored beside where bus and registry are."""

    def __init__(self, bus: int, *, common: Mapping[str, Any] | None = None) -> None:
        self.double: KeeperDouble
        self._bus = bus
        self._settings = MqttSettings(host="127.0.0.1", port=bus, client_id="core-keeper")
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._up: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._up.result(PATIENCE)
        self.common(common or {})

    @property
    def port(self) -> int:
        return self.double.port

    @property
    def url(self) -> str:
        return self.double.url

    def common(self, parts: Mapping[str, Any]) -> None:
        """Stores a common configuration, and where the bus and this registry are."""
        here: dict[str, Any] = {
            "MessageBus": {"Type": "mqtt", "Protocol": "tcp", "Host": "127.0.0.1", "Port": self._bus},
            "Registry": {"Type": "keeper", "Host": "127.0.0.1", "Port": self.port},
            "Service": {"ServerBindAddr": "127.0.0.1", "HealthCheckInterval": "200ms"},
        }
        self._loop.call_soon_threadsafe(self.double.common, {"all-services": here})
        self._loop.call_soon_threadsafe(self.double.common, parts)
        self._do(asyncio.sleep(0))

    def put(self, key: str, value: Any) -> int:
        """Stores a value as a person does; the status of the answer."""
        return self._do(self._call("PUT", f"/kvs/key/{key}", {"apiVersion": "v3", "value": value}))

    def register(self, service: str, port: int) -> None:
        """Registers a service of this machine, and waits until it is up."""
        check = {"interval": "100ms", "path": "/api/v3/ping", "type": "http"}
        entry = {"serviceId": service, "host": "127.0.0.1", "port": port, "healthCheck": check}
        assert self._do(self._call("POST", "/registry", {"apiVersion": "v3", "registration": entry})) == 201
        self.until(lambda: self.status(service) == "UP", f"{service} is up")

    def status(self, service: str) -> str:
        """What the registry says of a service; "" for one that it does not know."""
        known = self.double.registry.entries.get(service)
        return known.status if known is not None else ""

    def text(self, key: str) -> str | None:
        return self.double.store.text(key)

    def lines(self) -> Sequence[str]:
        return [one.line for one in self.double.seen]

    def until(self, true: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """What `true` says as soon as it is true; AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < deadline, f"{what}: not after {seconds:g} s; {self.lines()[-5:]}"
            self._do(asyncio.sleep(0.01))
        return found

    def start(self) -> None:
        self._do(self.double.start())

    def stop(self) -> None:
        """An outage: `start` brings it back with everything that it knew."""
        self._do(self.double.stop())

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    async def _call(self, method: str, path: str, body: Any) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.url}/api/v3{path}", json=body) as response,
        ):
            return response.status

    def _do(self, work: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                bus = MqttBus(self._settings)
                await bus.open()
                stack.push_async_callback(bus.close)
                await eventually(lambda: bus.connected, "the double's bus connects")
                self.double = await stack.enter_async_context(KeeperDouble(bus, port=free_port()))
                self._up.set_result(None)
                await self._over.wait()
        except BaseException as error:
            if not self._up.done():
                self._up.set_exception(error)
            raise
