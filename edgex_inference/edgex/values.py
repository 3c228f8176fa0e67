"""Python values to readings, as text that EdgeX's own Go code would have written."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from edgex_inference.contracts.events import Reading, ValueType
from edgex_inference.contracts.values import FLOAT32_LIMIT
from edgex_inference.edgex.ids import new_id

_INTEGERS = {
    kind: (int(np.iinfo(kind.value.lower()).min), int(np.iinfo(kind.value.lower()).max))
    for kind in ValueType
    if "int" in kind.value.lower() and not kind.is_array
}
# An Enum's members are slow to look up and to hash, so the hot path has them at hand and keys by their text.
_FLOAT64, _OBJECT, _OBJECT_ARRAY = ValueType.FLOAT64, ValueType.OBJECT, ValueType.OBJECT_ARRAY
_NUMBERS = (float, int, np.floating, np.integer)
_encode = msgspec.json.Encoder().encode
_DEPTH = 100


class Unfit(ValueError):
    """A value that its value type cannot carry: NaN, infinity, overflow, an empty array, the wrong kind."""


def format_value(value: object, value_type: ValueType) -> str:
    """The text of a simple or array value; floats with Go's shortest digits, StringArray as JSON.

    Takes Python and numpy scalars, and sequences or one-dimensional arrays of them. Raises Unfit for what the
    type cannot carry and for Binary, Object and ObjectArray, which have no text.
    """
    return _FORMATS[value_type._value_](value, value_type)


def reading(
    name: str,
    value: object,
    value_type: ValueType,
    *,
    device: str,
    profile: str,
    origin: int,
    units: str = "",
) -> Reading:
    """A reading ready to be sent, with an id of its own; `origin` in ns since the epoch.

    Objects are taken over as plain JSON values. Raises Unfit as `format_value` does, and for Binary, which
    needs a media type: see `binary_reading`.
    """
    is_object = value_type is _OBJECT or value_type is _OBJECT_ARRAY
    return Reading(
        id=new_id(),
        origin=origin,
        device_name=device,
        resource_name=name,
        profile_name=profile,
        value_type=value_type._value_,
        units=units,
        value=None if is_object else _FORMATS[value_type._value_](value, value_type),
        object_value=_object(value, value_type) if is_object else None,
    )


def binary_reading(
    name: str, data: bytes, media_type: str, *, device: str, profile: str, origin: int
) -> Reading:
    """A Binary reading ready to be sent; raises Unfit without bytes or media type, which EdgeX refuses."""
    if not data or not media_type:
        raise Unfit(f"{name}: a Binary reading needs bytes and a media type")
    return Reading(
        id=new_id(),
        origin=origin,
        device_name=device,
        resource_name=name,
        profile_name=profile,
        value_type=ValueType.BINARY.value,
        binary_value=data,
        media_type=media_type,
    )


def plain(value: object, depth: int = _DEPTH) -> Any:
    """The JSON value of Python and numpy objects; raises Unfit for NaN, infinity and what JSON cannot say."""
    if depth == 0:
        raise Unfit(f"nested deeper than {_DEPTH}")
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise Unfit(f"{type(key).__name__} as a key of an object")
        return {str(key): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth - 1) for item in value]
    raise Unfit(f"{type(value).__name__} in an object")


def _object(value: object, kind: ValueType) -> Any:
    found = plain(value)
    if not isinstance(found, dict if kind is _OBJECT else list):
        raise Unfit(f"{type(value).__name__} as {kind}")
    return found


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise Unfit(f"{number} is not finite")
    return number


def _bool(value: object, kind: ValueType) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    raise Unfit(f"{value!r:.60} as {kind}")


def _string(value: object, kind: ValueType) -> str:
    if isinstance(value, str):
        return value
    raise Unfit(f"{value!r:.60} as {kind}")


def _integer(value: object, kind: ValueType) -> str:
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        raise Unfit(f"{value!r:.60} as {kind}")
    if isinstance(value, float | np.floating) and not float(value).is_integer():
        raise Unfit(f"{value} as {kind}")
    number = int(value)
    low, high = _INTEGERS[kind]
    if not low <= number <= high:
        raise Unfit(f"{number} is out of range for {kind}")
    return str(number)


def _float(value: object, kind: ValueType) -> str:
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        raise Unfit(f"{value!r:.60} as {kind}")
    try:
        number = float(value)
    except OverflowError as error:
        raise Unfit(f"number is out of range for {kind}") from error
    if not math.isfinite(number):
        raise Unfit(f"{number} as {kind}")
    if kind is _FLOAT64:
        return _scientific(repr(number))
    if abs(number) >= FLOAT32_LIMIT:
        raise Unfit(f"{number} is out of range for {kind}")
    return _scientific(str(np.float32(number)))


def float_texts(numbers: Sequence[Any], kind: ValueType) -> list[str]:
    """As `format_value` for many numbers of Float32 or Float64 at once, a third of the cost of one by one."""
    try:
        wide = np.array(numbers, np.float64)
        with np.errstate(over="ignore"):
            narrow = wide.astype(np.float32) if kind is not _FLOAT64 else wide
    except (TypeError, ValueError, OverflowError) as error:
        raise Unfit(f"numbers are out of range for {kind}") from error
    if not np.isfinite(narrow).all() or bool in set(map(type, numbers)):
        raise Unfit(f"a number that does not fit {kind}")
    texts = map(repr, wide.tolist()) if kind is _FLOAT64 else narrow.astype("U32").tolist()
    return list(map(_scientific, texts))


def _scientific(text: str) -> str:
    """The shortest digits of a number with one of them before the point, as Go's %e writes them."""
    if "e" in text:
        return text
    if text[1] == "." and text[0] in "123456789":
        return f"{text[0]}e+00" if text[2:] == "0" else f"{text}e+00"
    sign = "-" if text[0] == "-" else ""
    whole, _, rest = text[len(sign) :].partition(".")
    if whole != "0":
        digits, exponent = (whole + rest).rstrip("0"), len(whole) - 1
    elif not (digits := rest.lstrip("0")):
        return f"{sign}0e+00"
    else:
        exponent = len(digits) - len(rest) - 1
    more = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{more}e{exponent:+03d}"


def _array(value: object, kind: ValueType) -> str:
    items = _elements(value, kind)
    if not items:
        raise Unfit(f"empty {kind}")
    element = kind.element
    one = _FORMATS[element._value_]
    return "[" + ", ".join([one(item, element) for item in items]) + "]"


def _strings(value: object, kind: ValueType) -> str:
    items = [_string(item, kind.element) for item in _elements(value, kind)]
    return _encode(items).decode()


def _elements(value: object, kind: ValueType) -> Sequence[object]:
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return list(value)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | np.ndarray | Mapping):
        return list(value)
    raise Unfit(f"{type(value).__name__} as {kind}")


def _no_text(_value: object, kind: ValueType) -> str:
    raise Unfit(f"{kind} has no text")


def _format(kind: ValueType) -> Callable[[object, ValueType], str]:
    if kind is ValueType.STRING_ARRAY:
        return _strings
    if kind.is_array:
        return _array
    if kind in _INTEGERS:
        return _integer
    simple = {ValueType.BOOL: _bool, ValueType.STRING: _string}
    return simple.get(kind) or (_float if "Float" in kind.value else _no_text)


_FORMATS = {kind.value: _format(kind) for kind in ValueType}
