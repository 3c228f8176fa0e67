"""CBOR as EdgeX uses it: maps of text keys, no tags, no surprises."""

import re
from typing import Any

import cbor2

from edgex_inference.edgex.duplicates import DuplicateKey

_BIG = 64 * 1024
_MOST_ITEMS = 200_000
_DEPTH = 200
_LENGTH_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}
_STRING_MAJORS = (2, 3)
_TWICE = re.compile("Duplicate map key: (.+)", re.DOTALL)


def _refuse(_decoder: object, *_more: object) -> Any:
    raise ValueError("CBOR tags are not part of EdgeX messages")


# Every tag that the library gives a meaning: dates, big numbers, shared references (cycles), regular expressions …
_TAGS = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_NO_TAGS: Any = dict.fromkeys(_TAGS, _refuse)


def loads(data: bytes) -> Any:
    """The one item in `data`; raises ValueError for anything else, in time that `data` cannot blow up.

    A map with a key twice, at any depth, is a DuplicateKey.
    """
    if len(data) > _BIG:
        _survey(data)
    try:
        return cbor2.loads(
            data,
            tag_hook=_refuse,
            semantic_decoders=_NO_TAGS,
            max_depth=_DEPTH,
            strict_hashable_types=True,
            allow_duplicate_keys=False,
        )
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        if twice := _TWICE.search(str(error)):
            raise DuplicateKey(twice[1]) from error
        raise ValueError(f"malformed CBOR: {error}") from error


def _survey(data: bytes) -> None:
    """Counts items, jumping over strings: building millions of small ones would stall every other message."""
    at, left, end = 0, _MOST_ITEMS, len(data)
    while at < end:
        left -= 1
        if left < 0:
            raise ValueError(f"malformed CBOR: more than {_MOST_ITEMS} items")
        head = data[at]
        at += 1
        major, info = head >> 5, head & 31
        size = _LENGTH_BYTES.get(info, 0)
        if major in _STRING_MAJORS and info != 31:
            at += int.from_bytes(data[at : at + size], "big") if size else info
        at += size
