"""EdgeX events and readings: one type each, decoded straight from the wire (ADR 0002)."""

from enum import StrEnum
from typing import Any

import msgspec


class ValueType(StrEnum):
    """EdgeX value types in their canonical spelling."""

    BOOL = "Bool"
    STRING = "String"
    UINT8 = "Uint8"
    UINT16 = "Uint16"
    UINT32 = "Uint32"
    UINT64 = "Uint64"
    INT8 = "Int8"
    INT16 = "Int16"
    INT32 = "Int32"
    INT64 = "Int64"
    FLOAT32 = "Float32"
    FLOAT64 = "Float64"
    BINARY = "Binary"
    BOOL_ARRAY = "BoolArray"
    STRING_ARRAY = "StringArray"
    UINT8_ARRAY = "Uint8Array"
    UINT16_ARRAY = "Uint16Array"
    UINT32_ARRAY = "Uint32Array"
    UINT64_ARRAY = "Uint64Array"
    INT8_ARRAY = "Int8Array"
    INT16_ARRAY = "Int16Array"
    INT32_ARRAY = "Int32Array"
    INT64_ARRAY = "Int64Array"
    FLOAT32_ARRAY = "Float32Array"
    FLOAT64_ARRAY = "Float64Array"
    OBJECT = "Object"
    OBJECT_ARRAY = "ObjectArray"

    @property
    def is_array(self) -> bool:
        """Arrays of simple values; ObjectArray is not one."""
        return self.value.endswith("Array") and self is not ValueType.OBJECT_ARRAY

    @property
    def element(self) -> "ValueType":
        """The type of one element of an array type; the type itself otherwise."""
        return ValueType(self.value.removesuffix("Array")) if self.is_array else self


class Reading(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One reading as it travels: `value` is still the text of the wire until a binding wants it.

    `value` is a text for simple and array types (numbers and booleans are accepted on the way in), None for
    EdgeX 4's null reading; `binary_value` is set for Binary, `object_value` for Object and ObjectArray.
    `origin` is in nanoseconds since the epoch.
    """

    origin: int = 0
    device_name: str = ""
    resource_name: str = ""
    profile_name: str = ""
    value_type: str
    value: str | int | float | bool | None = None
    units: str = ""
    binary_value: bytes | None = None
    media_type: str = ""
    object_value: Any = None
    id: str = ""
    tags: dict[str, Any] | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """One EdgeX event; `origin` is in nanoseconds since the epoch, the time of capture."""

    api_version: str
    id: str
    device_name: str
    profile_name: str
    source_name: str = ""
    origin: int
    readings: tuple[Reading, ...]
    tags: dict[str, Any] | None = None
