"""Identifiers as EdgeX wants them."""

import itertools
import re
import secrets
import uuid

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_PREFIX = str(uuid.uuid4())[:24]
_count = itertools.count(secrets.randbits(47))
_MOST = (1 << 48) - 1


def new_id() -> str:
    """A UUID (version 4) that nobody else has: random for this process, counted within it.

    An id has to be unique, not secret, and at each event four are made.
    """
    return f"{_PREFIX}{next(_count) & _MOST:012x}"


FORM = f"{_PREFIX}%012x"
"""What an id is made of one of `numbers` with."""


def numbers(amount: int) -> list[int]:
    """As many ids as that, each still a number for `FORM`: for who writes many at once."""
    return [number & _MOST for number in itertools.islice(_count, amount)]


def is_id(text: str) -> bool:
    """Whether EdgeX's validators take this for a UUID."""
    return _UUID.fullmatch(text) is not None
