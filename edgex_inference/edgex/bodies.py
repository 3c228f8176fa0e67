"""The body of an HTTP answer as a whole, within bounds."""

import aiohttp


async def whole(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """Everything that comes, in however many pieces; raises ValueError beyond `most` bytes."""
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > most:
            raise ValueError(f"answers with more than {most >> 20} MiB")
    return bytes(raw)
