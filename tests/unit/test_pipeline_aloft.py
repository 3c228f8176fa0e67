"""Items on their way, over all journeys of a binding."""

import asyncio

from edgex_inference.pipeline.aloft import Aloft


async def test_one_waits_until_there_are_fewer() -> None:
    aloft = Aloft()
    aloft.add(10)
    waiting = asyncio.create_task(aloft.below(5))
    await asyncio.sleep(0)
    aloft.add(-4)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    aloft.add(-2)
    async with asyncio.timeout(20):
        await waiting
    await aloft.below(5)
