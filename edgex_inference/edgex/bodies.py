"""Answers of EdgeX's REST services: the body as a whole, within bounds, and failures in words."""

import os

import aiohttp


async def whole(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """Everything that comes, in however many pieces; raises ValueError beyond `most` bytes."""
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > most:
            raise ValueError(f"answers with more than {most >> 20} MiB")
    return bytes(raw)


def words(error: Exception) -> str:
    """What happened to a call that got no answer."""
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno  # asyncio's own text repeats the address
        return f"cannot be reached: {os.strerror(number) if number else error.os_error}"
    return str(error) if isinstance(error, ValueError) else f"broke off: {error or type(error).__name__}"
