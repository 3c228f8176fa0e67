"""When a result goes out: the publish policy as a pure step function."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from edgex_inference.contracts.bindings import Publish
from edgex_inference.contracts.events import Reading, ValueType

Readings = Mapping[str, Reading]
"""Output name → the reading that goes out; an output without a value is absent."""

_CONTINUOUS = frozenset(
    {
        ValueType.FLOAT32,
        ValueType.FLOAT64,
        ValueType.FLOAT32_ARRAY,
        ValueType.FLOAT64_ARRAY,
        ValueType.OBJECT,
    }
)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A result ready to be published; `origin` in ns, `correlation_id` of the event that caused it."""

    readings: Readings
    origin: int
    correlation_id: str


class PublishState(msgspec.Struct, frozen=True, kw_only=True):
    """What was published last and what waits for its turn; times are monotonic seconds.

    `arrived` False: the bus was away, so nobody knows `last` and the next result is a change.
    """

    last: Outgoing | None = None
    arrived: bool = True
    last_at: float = float("-inf")
    pending: Outgoing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A binding's `publish` with what `change` compares."""

    publish: Publish
    compared: tuple[str, ...]

    @classmethod
    def of(cls, publish: Publish, types: Mapping[str, ValueType]) -> "Policy":
        """Discrete outputs decide what a change is; where there is none, all outputs do."""
        discrete = tuple(name for name, kind in types.items() if kind not in _CONTINUOUS)
        return cls(publish=publish, compared=discrete or tuple(types))

    def offer(
        self, state: PublishState, outgoing: Outgoing, now: float
    ) -> tuple[PublishState, Outgoing | None]:
        """A new result: what to publish at once, if anything; the rest may become due later."""
        known = state.last if state.arrived else None
        if self.publish.when == "change" and known is not None and self._same(outgoing, known):
            return replace(state, pending=None), None
        if now - state.last_at < self._interval:
            return replace(state, pending=outgoing), None
        return PublishState(last=outgoing, last_at=now), outgoing

    def due_at(self, state: PublishState) -> float | None:
        """When `tick` has something to do, in monotonic seconds."""
        if state.pending is not None:
            return state.last_at + self._interval
        if state.last is not None and self.publish.keep_alive is not None:
            return state.last_at + self.publish.keep_alive
        return None

    def tick(self, state: PublishState, now: float) -> tuple[PublishState, Outgoing | None]:
        """What is due by now: the newest held result, or a repetition of the last one."""
        due = self.due_at(state)
        if due is None or now < due:
            return state, None
        outgoing = state.pending or state.last
        return PublishState(last=outgoing, last_at=now), outgoing

    def _same(self, one: Outgoing, other: Outgoing) -> bool:
        return all(_content(one, name) == _content(other, name) for name in self.compared)

    @property
    def _interval(self) -> float:
        default = 1.0 if self.publish.when == "interval" else 0.0
        return self.publish.min_interval or default


def _content(outgoing: Outgoing, name: str) -> object:
    reading = outgoing.readings.get(name)
    return None if reading is None else (reading.value, reading.object_value)
