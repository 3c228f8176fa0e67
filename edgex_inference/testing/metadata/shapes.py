"""EdgeX's records as Go's JSON reads and writes them: unknown keys, null, case, empty values, numbers."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Reader = Callable[[Any], Any]


class Mistyped(Exception):
    """A value is of another JSON type than its field."""


class Without(enum.Enum):
    """What an answer shows of a field that is empty."""

    OMITTED = enum.auto()
    """nothing, also where the value is `""`, 0, `[]` or `{}`"""
    POINTER = enum.auto()
    """nothing where it is absent; a zero that was given stays"""


@dataclass(frozen=True, slots=True)
class Field:
    """One key: how its value is read, and what an answer shows without one (a value, or a `Without`)."""

    name: str
    read: Reader
    empty: Any = Without.OMITTED
    shape: "Shape | None" = None
    """of the record, or of each record in the list, that is the value"""


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys of a record, in the order in which they are written."""

    fields: tuple[Field, ...]

    def read(self, given: Any) -> Document:
        """The fields that have a value, whatever the case of their keys; others are dropped silently, as Go does.

        Raises Mistyped.
        """
        if not isinstance(given, Mapping):
            raise Mistyped
        values = {str(key).lower(): value for key, value in given.items() if value is not None}
        known = ((field, values.get(field.name.lower())) for field in self.fields)
        return {field.name: field.read(value) for field, value in known if value is not None}

    def write(self, record: Mapping[str, Any]) -> Document:
        """The record as an answer shows it."""
        written: Document = {}
        for field in self.fields:
            value = record.get(field.name)
            if value is None:
                if not isinstance(field.empty, Without):
                    written[field.name] = field.empty
            elif field.empty is not Without.OMITTED or value not in ("", 0, [], {}):
                written[field.name] = _written(field.shape, value)
        return written


def _written(shape: Shape | None, value: Any) -> Any:
    if shape is None:
        return value
    return [shape.write(one) for one in value] if isinstance(value, list) else shape.write(value)


def text(name: str, empty: Any = Without.OMITTED) -> Field:
    return Field(name, of(str), empty)


def flag(name: str) -> Field:
    return Field(name, of(bool), False)


def whole(name: str, empty: Any = Without.POINTER) -> Field:
    return Field(name, of(int), empty)


def number(name: str, empty: Any = Without.POINTER) -> Field:
    return Field(name, _number, empty)


def texts(name: str, empty: Any = Without.OMITTED) -> Field:
    return Field(name, list_of(of(str)), empty)


def free(name: str, empty: Any = Without.OMITTED) -> Field:
    return Field(name, _through_go, empty)


def table(name: str, empty: Any = Without.OMITTED, values: Reader | None = None) -> Field:
    """An object of free keys, whose values are read by `values`."""
    return Field(name, _table_of(values or _through_go), empty)


def record(name: str, shape: Shape, empty: Any = Without.OMITTED) -> Field:
    return Field(name, shape.read, empty, shape)


def records(name: str, shape: Shape, empty: Any = Without.OMITTED) -> Field:
    return Field(name, list_of(shape.read), empty, shape)


def of(kind: type) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise Mistyped
        return value

    return read


def list_of(one: Reader) -> Reader:
    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise Mistyped
        return [one(item) for item in value]

    return read


def _table_of(one: Reader) -> Reader:
    def read(value: Any) -> Document:
        if not isinstance(value, Mapping):
            raise Mistyped
        return {str(key): one(item) for key, item in value.items()}

    return read


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise Mistyped
    return _as_float64(value)


def _through_go(value: Any) -> Any:
    """Free JSON after a trip through Go: every number is a float64 there, and a whole one loses its point."""
    if isinstance(value, Mapping):
        return {str(key): _through_go(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_through_go(item) for item in value]
    return _as_float64(value) if type(value) in (int, float) else value


def _as_float64(value: float) -> float:
    wide = float(value)
    return int(wide) if wide.is_integer() and abs(wide) < 1e21 else wide
