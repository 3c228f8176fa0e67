"""What travels on a bus."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """Bytes under a topic; `headers` only on buses that have them (NATS, memory), empty elsewhere."""

    topic: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
