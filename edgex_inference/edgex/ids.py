"""Identifiers as EdgeX wants them."""

import itertools
import re
import secrets
import uuid

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_PREFIX = str(uuid.uuid4())[:24]
_count = itertools.count(secrets.randbits(47))
_MOST = (1 << 47) - 1
_blocks = itertools.count(secrets.randbits(38))
_FIRST_BLOCK, _LAST_BLOCK = 1 << 39, (1 << 39) - 1


def new_id() -> str:
    """A UUID (version 4) that nobody else has: random for this process, counted within it.

    An id has to be unique, not secret, and at each event four are made.
    """
    return f"{_PREFIX}{next(_count) & _MOST:012x}"


BLOCK = 256
"""Ids of one block."""


def of_block(place: int) -> str:
    """A format that makes the id at this place of a block out of what `blocks` gives."""
    return f"{_PREFIX}%s{place:02x}"


def blocks(amount: int) -> list[str]:
    """As many blocks of ids as that, all new: for who writes many texts with several ids each."""
    return [f"{_FIRST_BLOCK | number & _LAST_BLOCK:010x}" for number in itertools.islice(_blocks, amount)]


def is_id(text: str) -> bool:
    """Whether EdgeX's validators take this for a UUID."""
    return _UUID.fullmatch(text) is not None
