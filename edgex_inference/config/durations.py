"""Durations as EdgeX writes them: Go's `10s`, `800ms`, `1m30s`."""

import re

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def seconds(text: str) -> float:
    """The seconds in `5s`, `800ms` or Go's `1m30s`; raises ValueError with a sentence for a user."""
    if text == "0":
        return 0.0
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no duration such as 800ms, 5s or 1m30s (units ns us ms s m h)")
    return sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text))


def text(duration: float) -> str:
    """The shortest spelling of a duration of at least 0 seconds, exact to the nanosecond: `1m30s`, `500ms`."""
    left = round(duration * 1e9)
    parts = []
    for unit, size in (("h", 3600 * 10**9), ("m", 60 * 10**9), ("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount}{unit}")
    if left:
        parts.append(f"{left}ns")
    return "".join(parts) or "0s"
