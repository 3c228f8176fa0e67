"""EdgeX metrics on the bus: which of them are wanted, and how one is written."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import topics, wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import new_id
from edgex_inference.telemetry.families import Point
from edgex_inference.telemetry.metrics import Spread

SERVICE_TAG = "service"
_FIELDS = {"counter": "counter-count", "gauge": "gauge-value"}
_NANO = 1e9
_SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
"""What EdgeX's own timers lack: a mean says nothing about the slow ones."""


def is_wanted(point: Point, switches: Mapping[str, bool]) -> bool:
    """Whether Writable.Telemetry.Metrics switches it on: a name there is the beginning of `<metric>-<of>`.

    Where several fit the longest decides; EdgeX's own services leave that to chance.
    """
    name = point.family.metric
    full = f"{name}-{point.of}" if point.of else name
    fitting = [switch for switch in switches if switch and full.startswith(switch)] if name else []
    return bool(fitting) and switches[max(fitting, key=len)]


def encode(point: Point, *, service: str, tags: Mapping[str, str], now: int, dialect: Dialect) -> Message:
    """The message of one metric; `now` in nanoseconds, `tags` those of the configuration."""
    metric = point.family.metric
    said = {SERVICE_TAG: service, **tags, **point.labels}
    body = {
        "apiVersion": "v2" if dialect.major == "2" else "v3",
        "name": metric,
        "fields": [{"name": name, "value": value} for name, value in _fields(point)],
        "tags": [{"name": name, "value": value} for name, value in said.items() if value],
        "timestamp": now,
    }
    topic = topics.telemetry_topic(dialect, service=service, metric=metric)
    text = msgspec.json.encode(body)
    return wire.encode_json(text, topic=topic, correlation_id=new_id(), dialect=dialect)


def _fields(point: Point) -> Sequence[tuple[str, Any]]:
    seen = point.value
    if not isinstance(seen, Spread):
        return [(_FIELDS[point.family.kind], int(seen))]
    least = seen.least if seen.count else 0.0
    return [
        ("timer-count", seen.count),
        ("timer-min", round(least * _NANO)),
        ("timer-max", round(seen.most * _NANO)),
        ("timer-mean", seen.mean * _NANO),
        ("timer-stddev", seen.deviation * _NANO),
        ("timer-variance", seen.variance * _NANO * _NANO),
        *((f"timer-{name}", round(seen.percentile(share) * _NANO)) for name, share in _SHARES.items()),
    ]
