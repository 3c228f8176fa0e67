"""A reading becomes numbers or texts: scalars, arrays, fields of Objects, declared bytes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgex_inference.contracts.errors import DecodeError
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.tensors import Array
from edgex_inference.contracts.values import Value, parse
from edgex_inference.preprocess import raw
from edgex_inference.preprocess.elements import Unfit
from edgex_inference.preprocess.feeds import Feed

_OVERFLOW = "overflow"
"""what the device SDK writes, as a String reading, for a float that left its range; NaN likewise"""


def pick(event: Event, resources: frozenset[str]) -> dict[str, Reading]:
    """The wanted readings by resource; raises DecodeError (`missing`, `duplicate`)."""
    found: dict[str, Reading] = {}
    for reading in event.readings:
        name = reading.resource_name
        if name not in resources:
            continue
        if name in found:
            raise DecodeError(
                event.device_name, name, "more than one reading of it in one event", reason="duplicate"
            )
        found[name] = reading
    if len(found) < len(resources):
        name = min(resources - found.keys())
        has = ", ".join(reading.resource_name for reading in event.readings[:16]) or "no readings"
        detail = f"no reading of it in event {event.source_name or event.id} (which has {has})"
        raise DecodeError(event.device_name, name, detail, reason="missing")
    return found


def value_of(reading: Reading, pointer: str) -> Value:
    """The value, or the part of an Object that the JSON pointer names.

    Raises Unfit: `parse` (text that is not of its type), `null`, `field` (the pointer leads nowhere).
    """
    try:
        value = parse(reading)
    except ValueError as error:
        raise Unfit("parse", str(error)) from error
    if value is None:
        raise Unfit("null", "the reading is null")
    if not pointer:
        return value
    found: Value = _resolve(value, pointer)
    if found is None:
        raise Unfit("null", f"field {pointer} is null")
    return found


def numbers_of(reading: Reading, feed: Feed, default: np.dtype[Any]) -> Array | float:
    """The number of a scalar, or the array of a reading as it is declared, with scale and offset applied.

    `default` is the element type of bytes that declare none. Raises Unfit with the reason.
    """
    source = feed.reading
    plain = source.scale == 1.0 and source.offset == 0.0
    value = value_of(reading, source.pointer)
    if isinstance(value, int | float):
        return value if plain else value * source.scale + source.offset
    if isinstance(value, bytes):
        value = _declared_bytes(value, reading, feed, default)
    elif isinstance(value, str):
        raise _text(value)
    try:
        numbers = np.asarray(value)
    except ValueError as error:
        raise Unfit("type", "nested lists of unequal length are no tensor") from error
    if numbers.dtype.kind not in "iufb":
        raise Unfit("type", f"a {type(value).__name__} where numbers are needed")
    if numbers.size == 0:
        raise Unfit("empty", "an empty array")
    return numbers if plain else numbers * source.scale + source.offset


def texts_of(reading: Reading, feed: Feed) -> Array:
    """The text of a String or the texts of a StringArray as objects; raises Unfit with the reason."""
    value = value_of(reading, feed.reading.pointer)
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise Unfit("type", "the model takes texts, this is no String or StringArray")
    found = np.empty(len(texts), object)
    found[:] = texts
    return found if isinstance(value, list) else found.reshape(())


def _declared_bytes(data: bytes, reading: Reading, feed: Feed, default: np.dtype[Any]) -> Array:
    profile = feed.declared.media_type if feed.declared is not None else ""
    try:
        declared = raw.declared(profile, reading.media_type)
    except ValueError as error:
        raise Unfit("media", str(error)) from error
    if declared.essence.startswith("image/"):
        raise Unfit("media", f"a picture ({declared.essence}) where numbers are needed")
    return raw.array(data, declared.dtype or default, declared.shape)


def _text(value: str) -> Unfit:
    word = value.lower().lstrip("+-")
    if word in ("nan", "inf", "infinity"):
        return Unfit("nan", f"{value} is no finite number", missing=word == "nan")
    if value == _OVERFLOW:
        return Unfit("range", "the device reports an overflow")
    return Unfit("type", f"the text {value[:40]!r} where numbers are needed")


def _resolve(value: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        value = _child(value, key, pointer)
    return value


def _child(value: Any, key: str, pointer: str) -> Any:
    if isinstance(value, dict) and key in value:
        return value[key]
    if (
        isinstance(value, list)
        and key.isdecimal()
        and key.isascii()
        and len(key) < 10
        and int(key) < len(value)
    ):
        return value[int(key)]
    raise Unfit("field", f"field {pointer} is missing" + _has(value))


def _has(value: Any) -> str:
    if isinstance(value, dict):
        names: Sequence[str] = [str(name)[:40] for name in list(value)[:16]]
        return f" (there are {', '.join(names) or 'none'})"
    return f" (a list of {len(value)})" if isinstance(value, list) else ""
