"""Publishing many messages: how one gets on does not keep the others from leaving."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from edgex_inference.contracts.bus import Refusal
from edgex_inference.contracts.errors import MessageError, TransportError
from edgex_inference.contracts.messages import Message


async def one_by_one(
    publish: Callable[[Message], Awaitable[None]], messages: Sequence[Message]
) -> Sequence[Refusal]:
    """Each once the one before is out: where publishing waits for nothing as a rule."""
    return [await _told(publish, message) for message in messages]


async def side_by_side(
    publish: Callable[[Message], Awaitable[None]], messages: Sequence[Message]
) -> Sequence[Refusal]:
    """Begun in order, all under way at once: where each waits for an acknowledgement."""
    return await asyncio.gather(*(_told(publish, message) for message in messages))


async def _told(publish: Callable[[Message], Awaitable[None]], message: Message) -> Refusal:
    try:
        await publish(message)
    except (TransportError, MessageError) as error:
        return error
    return None


async def at_hand(bursts: AsyncIterator[Sequence[Message]]) -> Sequence[Message]:
    """What has arrived and was not taken yet; waits for nothing."""
    try:
        async with asyncio.timeout(0):
            return await anext(bursts)
    except (TimeoutError, StopAsyncIteration):
        return ()
