"""Answers of EdgeX's services that are no JSON: each client takes them as its kind of failure, never as a surprise."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from edgex_inference.contracts.errors import (
    EnvelopeError,
    MetadataUnavailable,
    NotificationsUnavailable,
    SourceUnavailable,
)
from edgex_inference.edgex.commands import CommandClient
from edgex_inference.edgex.metadata.client import MetadataClient
from edgex_inference.edgex.notifications import Notification, NotificationClient

STRANGE = {
    "cut off": b"[",
    "bad letter": b'{"message":"\xff"}',
    "too deep": b"[" * 60_000,
    "too deep and long": b"[" * 200_000,
}
strange = pytest.mark.parametrize("raw", STRANGE.values(), ids=STRANGE.keys())
Serve = Callable[[int, bytes], Coroutine[Any, Any, str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(200, b"[")`: the URL of a server that answers everything so."""
    runners: list[web.AppRunner] = []

    async def start(status: int, raw: bytes) -> str:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(status=status, body=raw, content_type="application/json")

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for one in runners:
        await one.cleanup()


@asynccontextmanager
async def closing(client: Any) -> AsyncIterator[Any]:
    try:
        yield client
    finally:
        await client.close()


@strange
async def test_core_metadata(serve: Serve, raw: bytes) -> None:
    async with closing(MetadataClient(await serve(200, raw))) as client:
        with pytest.raises(MetadataUnavailable, match="answers with something that is no JSON"):
            await client.all("profile")
    async with closing(MetadataClient(await serve(503, raw))) as client:
        with pytest.raises(MetadataUnavailable, match="with HTTP 503"):
            await client.all("profile")


@strange
async def test_core_command(serve: Serve, raw: bytes) -> None:
    async with closing(CommandClient(await serve(500, raw))) as client:
        with pytest.raises(SourceUnavailable, match=r"HTTP 500$"):
            await client.get("p", "X", {}, timeout=20)
    async with closing(CommandClient(await serve(200, raw))) as client:
        with pytest.raises(EnvelopeError):
            await client.get("p", "X", {}, timeout=20)


@strange
async def test_support_notifications(serve: Serve, raw: bytes) -> None:
    note = Notification(content="text", labels=("a",), severity="MINOR")
    async with closing(NotificationClient(await serve(400, raw), "app-inference")) as client:
        assert await client.post(note) == "HTTP 400"
    async with closing(NotificationClient(await serve(207, raw), "app-inference")) as client:
        with pytest.raises(NotificationsUnavailable, match="answers with HTTP 502: no JSON"):
            await client.post(note)
