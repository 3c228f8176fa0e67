"""Answers that come in pieces are read to their end; those that never end are not."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from edgex_inference.contracts.errors import RegistryUnavailable
from edgex_inference.edgex.providers import rest
from edgex_inference.edgex.providers.rest import Rest


@pytest.fixture
async def server() -> AsyncIterator[Rest]:
    """`/long` sends 1 MB in twenty pieces, with a turn of the loop between two of them."""

    async def pieces(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(20):
            await answer.write(b"x" * 50_000)
            await asyncio.sleep(0.001)
        await answer.write_eof()
        return answer

    app = web.Application()
    app.router.add_get("/long", pieces)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made = Rest(name="core-keeper", base=f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield made
    await made.close()
    await runner.cleanup()


async def test_an_answer_in_pieces_is_read_to_its_end(server: Rest) -> None:
    answer = await server.call("GET", "/long")
    assert answer.body == b"x" * 1_000_000


async def test_an_answer_without_end_is_none(server: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_MOST", 100_000)
    with pytest.raises(
        RegistryUnavailable, match=r"core-keeper at .* does not answer: answers with more than"
    ):
        await server.call("GET", "/long")
