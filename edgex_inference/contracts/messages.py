"""What travels on a bus."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

_NONE: Mapping[str, str] = MappingProxyType({})


class Message(msgspec.Struct, frozen=True, gc=False):
    """Bytes under a topic; `headers` only on buses that have them (NATS, memory), empty elsewhere.

    A struct, since there are two for each event and a frozen dataclass costs ten times as much to make.
    """

    topic: str
    payload: bytes
    headers: Mapping[str, str] = _NONE
