"""A support-notifications of EdgeX for tests: takes POSTs on a free port of the loopback interface, and may be away."""

from typing import Any

import msgspec
from aiohttp import web

from tests.ports import free_port

SEVERITIES = ("MINOR", "NORMAL", "CRITICAL")


class Notifications:
    """`taken` are the notifications, `bodies` whole requests; `status` is what each is answered with."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.status = 201
        self.port = free_port()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/api/{version}/notification", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """An outage; `start` brings it back on the same port."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        asked = msgspec.json.decode(await request.read())
        self.bodies.append(asked)
        answers = []
        for one in asked:
            if self.status < 300:
                self.taken.append(one["notification"])
            said = {"apiVersion": one["apiVersion"], "requestId": one["requestId"], "statusCode": self.status}
            answers.append(said if self.status < 300 else {**said, "message": "not today"})
        return web.Response(status=207, body=msgspec.json.encode(answers), content_type="application/json")
