"""What is at hand is taken without waiting for more."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from edgex_inference.buses.bursts import at_hand
from edgex_inference.buses.fanout import Fanout, Limits
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts


async def test_what_has_arrived_is_given_and_nothing_is_waited_for() -> None:
    fanout = Fanout(Limits(), Counts(), logging.getLogger(__name__))
    subscriber: AsyncIterator[Sequence[Message]] = fanout.enter(["a/#"])
    assert await at_hand(subscriber) == ()
    fanout.deliver(Message("a/b", b"1"))
    fanout.deliver(Message("a/b", b"2"))
    assert [one.payload for one in await at_hand(subscriber)] == [b"1", b"2"]
    fanout.end()
    assert await at_hand(subscriber) == ()


async def test_it_may_be_asked_while_a_task_is_cancelled() -> None:
    fanout = Fanout(Limits(), Counts(), logging.getLogger(__name__))
    subscriber = fanout.enter(["a/#"])
    found: list[bytes] = []

    async def read() -> None:
        try:
            async for _ in subscriber:
                pass
        finally:
            found.extend(one.payload for one in await at_hand(subscriber))

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    fanout.deliver(Message("a/b", b"late"))
    task.cancel()
    await asyncio.wait((task,))
    assert found == [b"late"]
    assert task.cancelled()
