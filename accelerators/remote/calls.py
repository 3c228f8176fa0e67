"""What both transports give and how they fail: the words between a transport and its session."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from edgex_inference.contracts.tensors import Array, TensorSpec

MOST_BYTES = 1 << 30
"""The longest answer that is read."""

Failure = Literal["away", "late", "denied", "absent", "busy", "refused", "failed", "garbage"]
"""No connection · no answer in time · not allowed · no such model or endpoint · too much to do, or not ready ·
not with this input · the server's own fault · an answer that is none."""


class CallFailed(Exception):
    """A call that gave no answer; `text` is the server's sentence, or ours."""

    def __init__(self, failure: Failure, text: str) -> None:
        self.failure: Failure = failure
        self.text = text
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a server says of itself; all of it may be empty."""

    name: str = ""
    version: str = ""
    extensions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A tensor of a model: as it is here, and the word of the protocol for its elements on the wire."""

    spec: TensorSpec
    wire: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A tensor as a server's metadata have it; negative extents are open."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSaid:
    """What a server says of a model."""

    platform: str
    versions: tuple[str, ...]
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An output as a server gave it, of a datatype that it claims; None in `array`: its data do not fit its shape."""

    datatype: str
    array: Array


class Transport(Protocol):
    """One model of one server. Every call raises CallFailed and nothing else; `timeout` is in seconds.

    `close` is idempotent, legal at any time, and ends the calls in flight.
    """

    def server(self, timeout: float) -> Server: ...
    def model(self, timeout: float) -> ModelSaid: ...
    def ready(self, timeout: float) -> bool: ...
    def most_rows(self, timeout: float) -> int | None: ...
    def infer(
        self, inputs: Mapping[str, tuple[str, Array]], outputs: tuple[str, ...], timeout: float
    ) -> Mapping[str, Answered]: ...
    def close(self) -> None: ...
