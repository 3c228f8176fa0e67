"""What a reading's text means: bool, number, numpy array, list of texts, bytes or object."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from edgex_inference.contracts.events import Reading, ValueType

Number = TypeVar("Number", int, float)
Value = bool | int | float | str | bytes | npt.NDArray[Any] | list[Any] | dict[str, Any] | None

_BY_NAME = {name: kind for kind in ValueType for name in (kind.value, kind.value.lower())}
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_INT = re.compile(r"[+-]?[0-9]{1,40}")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE)
_INT_CHARACTERS = re.compile(r'[-+0-9,"\s\[\]]*', re.ASCII)
_FLOAT_CHARACTERS = re.compile(r'[-+.0-9einfaty,"\s\[\]]*', re.ASCII | re.IGNORECASE)
FLOAT32_LIMIT = 3.4028235677973366e38
"""the smallest number that rounds to infinity in 32 bits"""

_FLOAT32, _INFINITY = ValueType.FLOAT32, float("inf")  # an Enum's members are slow to look up

_DTYPES: dict[ValueType, np.dtype[Any]] = {
    kind: np.dtype(kind.element.value.lower())
    for kind in ValueType
    if kind.is_array and kind not in (ValueType.STRING_ARRAY,)
}
_LIMITS = {
    kind: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for kind in ValueType
    if kind.value.lower() in ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
    for dtype in (np.dtype(kind.value.lower()),)
}
_floats = msgspec.json.Decoder(list[float], strict=False)
_ints = msgspec.json.Decoder(list[int])
_bools = msgspec.json.Decoder(list[bool])
_texts = msgspec.json.Decoder(list[str])
_MALFORMED = (msgspec.MsgspecError, UnicodeError, RecursionError)


def value_type(name: str) -> ValueType:
    """The value type of this spelling in any case; raises ValueError for one that EdgeX does not have."""
    found = _BY_NAME.get(name) or _BY_NAME.get(name.lower())
    if found is None:
        raise ValueError(f"unknown valueType {_short(name)}")
    return found


def parse(reading: Reading) -> Value:
    """The value of a reading; None for EdgeX 4's null reading.

    Bool → bool, integers → int, floats → float (NaN and infinities as they are), String → str, Binary → bytes,
    numeric arrays and BoolArray → one-dimensional numpy array of the element's dtype with at least one element,
    StringArray → list of str, Object and ObjectArray → what the JSON says. Raises ValueError, with a short
    reason, for a value that is not of its type, does not fit it, or is missing where another kind is present.
    """
    parser = _PARSERS.get(reading.value_type) or _PARSERS[value_type(reading.value_type).value]
    return parser(reading)


def _parse_bool(reading: Reading) -> Value:
    value = reading.value
    if value is None or isinstance(value, bool):
        return value
    return _bool(_text(value))


def _parse_string(reading: Reading) -> Value:
    value = reading.value
    return value if value is None or isinstance(value, str) else _text(value)


def _parse_binary(reading: Reading) -> Value:
    if reading.binary_value is None and reading.value:
        raise ValueError("Binary reading without binaryValue")
    return reading.binary_value


def _parse_object(reading: Reading) -> Value:
    found = reading.object_value
    if found is None or isinstance(found, (dict, list)):
        return found
    raise ValueError(f"objectValue is {type(found).__name__}, not an object")


def _parse_objects(reading: Reading) -> Value:
    found = reading.object_value
    if found is None or isinstance(found, list):
        return found
    raise ValueError(f"objectValue is {type(found).__name__}, not an array of objects")


def _parse_texts(reading: Reading) -> Value:
    value = reading.value
    if value is None:
        return None
    if not isinstance(value, str) or value[:1] != "[" or value[-1:] != "]" or len(value) < 2:
        raise ValueError(f"{_short(value)} is not of type StringArray")
    try:
        return _texts.decode(value)
    except _MALFORMED:  # Go before 4.0.2 wrote [a, b], which is not JSON
        return value[1:-1].split(", ") if len(value) > 2 else []


def _integer(kind: ValueType) -> Callable[[Reading], Value]:
    low, high = _LIMITS[kind]

    def parse_integer(reading: Reading) -> Value:
        value = reading.value
        if value is None:
            return None
        if isinstance(value, str):
            number = _int(value, kind)
        elif isinstance(value, bool) or value != (number := _whole(value)):
            raise ValueError(f"{_short(value)} is not of type {kind}")
        if not low <= number <= high:
            raise ValueError(f"{_short(value)} is out of range for {kind}")
        return number

    return parse_integer


def _floating(kind: ValueType) -> Callable[[Reading], Value]:
    def parse_float(reading: Reading) -> Value:
        value = reading.value
        if value is None:
            return None
        if isinstance(value, bool):
            raise ValueError(f"{value} is not of type {kind}")
        if isinstance(value, str):
            return _float(value, kind)
        try:
            return _fits(float(value), "", kind)
        except OverflowError as error:
            raise ValueError(f"{_short(value)} is out of range for {kind}") from error

    return parse_float


def _array(
    kind: ValueType, convert: Callable[[str, ValueType], npt.NDArray[Any]]
) -> Callable[[Reading], Value]:
    def parse_array(reading: Reading) -> Value:
        value = reading.value
        if value is None:
            return None
        if not isinstance(value, str) or value[:1] != "[" or value[-1:] != "]" or len(value) < 2:
            raise ValueError(f"{_short(value)} is not of type {kind}: brackets are missing")
        if value[1:-1].isspace() or len(value) == 2:
            raise ValueError(f"empty {kind}")
        return convert(value, kind)

    return parse_array


def _float_array(text: str, kind: ValueType) -> npt.NDArray[Any]:
    try:
        wide = np.array(_floats.decode(text))
    except _MALFORMED:  # NaN and infinities have no JSON form
        wide = np.array(_items(text, kind, _FLOAT_CHARACTERS, float))
    with np.errstate(over="ignore"):
        numbers = wide.astype(_DTYPES[kind])
    infinite = np.count_nonzero(np.isinf(numbers))
    if infinite and infinite > text.lower().count("inf"):
        raise ValueError(f"{kind} has a number that is out of range")
    return numbers


def _int_array(text: str, kind: ValueType) -> npt.NDArray[Any]:
    try:
        numbers = _ints.decode(text)
    except _MALFORMED:
        numbers = _items(text, kind, _INT_CHARACTERS, int)
    low, high = _LIMITS[kind.element]
    if min(numbers) < low or max(numbers) > high:
        raise ValueError(f"{kind} has a number that is out of range")
    return np.array(numbers, _DTYPES[kind])


def _bool_array(text: str, _kind: ValueType) -> npt.NDArray[Any]:
    try:
        return np.array(_bools.decode(text), np.bool_)
    except _MALFORMED:
        return np.array([_bool(item.strip()) for item in text[1:-1].split(",")], np.bool_)


def _items(
    text: str, kind: ValueType, allowed: re.Pattern[str], convert: Callable[[str], Number]
) -> list[Number]:
    """What JSON does not read: quoted numbers, NaN, leading signs; `allowed` keeps Python's liberties out."""
    try:
        if allowed.fullmatch(text):
            return [convert(item) for item in text[1:-1].replace('"', "").split(",")]
    except ValueError:
        pass
    raise ValueError(f"{_short(text)} is not of type {kind}")


def _bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"{_short(text)} is not of type Bool")


def _int(text: str, kind: ValueType) -> int:
    if not _INT.fullmatch(text):
        raise ValueError(f"{_short(text)} is not of type {kind}")
    return int(text)


def _float(text: str, kind: ValueType) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"{_short(text)} is not of type {kind}")
    return _fits(float(text), text, kind)


def _fits(number: float, text: str, kind: ValueType) -> float:
    if abs(number) >= (FLOAT32_LIMIT if kind is _FLOAT32 else _INFINITY) and "inf" not in text.lower():
        raise ValueError(f"{_short(text or number)} is out of range for {kind}")
    return number


def _whole(value: int | float) -> int:
    if isinstance(value, int):
        return value
    return int(value) if value.is_integer() else 0


def _text(value: str | int | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _short(value: object) -> str:
    text = repr(value if not isinstance(value, str) else value[:40])
    return text if len(text) <= 60 else text[:57] + "..."


def _parser(kind: ValueType) -> Callable[[Reading], Value]:
    if kind in _LIMITS:
        return _integer(kind)
    if kind in (ValueType.FLOAT32, ValueType.FLOAT64):
        return _floating(kind)
    if kind in _DTYPES:
        convert = {"f": _float_array, "b": _bool_array}.get(_DTYPES[kind].kind, _int_array)
        return _array(kind, convert)
    return {
        ValueType.BOOL: _parse_bool,
        ValueType.STRING: _parse_string,
        ValueType.BINARY: _parse_binary,
        ValueType.STRING_ARRAY: _parse_texts,
        ValueType.OBJECT: _parse_object,
        ValueType.OBJECT_ARRAY: _parse_objects,
    }[kind]


_PARSERS = {kind.value: _parser(kind) for kind in ValueType}
