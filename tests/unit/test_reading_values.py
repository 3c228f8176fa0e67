"""contracts.values: every value type, in every spelling that EdgeX services write."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.events import Reading, ValueType
from edgex_inference.contracts.values import parse, value_type

INTS = [kind for kind in ValueType if "int" in kind.value.lower() and not kind.is_array]


def read(kind: str, value: Any) -> Any:
    return parse(Reading(value_type=kind, value=value))


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("Bool", "True", True),
        ("bool", "f", False),
        ("BOOL", "1", True),
        ("Bool", True, True),
        ("String", "", ""),
        ("String", 1.5, "1.5"),
        ("String", False, "false"),
        ("Uint64", "18446744073709551615", 18446744073709551615),
        ("int8", "-128", -128),
        ("Int8", "+7", 7),
        ("Int32", 3, 3),
        ("Int32", 3.0, 3),
        ("Float32", "1.2345679e-01", 0.12345679),
        ("Float64", "1.5", 1.5),
        ("Float64", 2, 2.0),
        ("Float32", "+Inf", float("inf")),
        ("Float32", "-Inf", float("-inf")),
        ("StringArray", '["a b","c,d"]', ["a b", "c,d"]),
        ("StringArray", "[a, b]", ["a", "b"]),
        ("StringArray", "[1, 2]", ["1", "2"]),
        ("StringArray", "[]", []),
    ],
)
def test_simple_values(kind: str, text: Any, expected: Any) -> None:
    found = read(kind, text)
    assert found == expected
    assert type(found) is type(expected)


def test_nan_is_read_as_it_is() -> None:
    assert np.isnan(read("Float64", "NaN"))


@pytest.mark.parametrize(
    ("kind", "text", "expected", "dtype"),
    [
        ("Float32Array", "[1e-01, -2.5e+00, 3e+00]", [0.1, -2.5, 3], "float32"),
        ("float32array", "[1e-01,-2.5e+00,3e+00]", [0.1, -2.5, 3], "float32"),
        ("Float64Array", '["1e-01", "2"]', [0.1, 2], "float64"),
        ("Float64Array", "[1, NaN, -Inf, +Inf]", [1, np.nan, -np.inf, np.inf], "float64"),
        ("Float32Array", "[NaN]", [np.nan], "float32"),
        ("Int8Array", "[-128, 127]", [-128, 127], "int8"),
        ("Uint8Array", "[0,255]", [0, 255], "uint8"),
        ("Uint64Array", "[18446744073709551615]", [18446744073709551615], "uint64"),
        ("Int64Array", '["-9223372036854775808", 1]', [-9223372036854775808, 1], "int64"),
        ("BoolArray", "[true, false]", [True, False], "bool"),
        ("BoolArray", "[True, 0]", [True, False], "bool"),
    ],
)
def test_arrays(kind: str, text: str, expected: list[Any], dtype: str) -> None:
    found = read(kind, text)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, np.array(expected, dtype))


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("Bool", "yes", "'yes' is not of type Bool"),
        ("Bool", 2, "'2' is not of type Bool"),
        ("Int32", "1.0", "'1.0' is not of type Int32"),
        ("Int32", " 1", "is not of type Int32"),
        ("Int32", "1_0", "is not of type Int32"),
        ("Int32", "٣", "is not of type Int32"),
        ("Int32", "", "is not of type Int32"),
        ("Int32", True, "is not of type Int32"),
        ("Int32", 1.5, "is not of type Int32"),
        ("Int8", "128", "out of range for Int8"),
        ("Uint8", "-1", "out of range for Uint8"),
        ("Int64", "9" * 5000, "not of type Int64"),
        ("Float32", "1e39", "out of range for Float32"),
        ("Float32", 1e39, "out of range for Float32"),
        ("Float64", "1e400", "out of range for Float64"),
        ("Float64", 10**400, "out of range for Float64"),
        ("Float64", "1_0", "is not of type Float64"),
        ("Float64", False, "is not of type Float64"),
        ("Int8Array", "[]", "empty Int8Array"),
        ("Float32Array", "[ ]", "empty Float32Array"),
        ("BoolArray", "[]", "empty BoolArray"),
        ("Int8Array", "", "brackets are missing"),
        ("Int8Array", "[", "brackets are missing"),
        ("Int8Array", "1,2", "brackets are missing"),
        ("Int8Array", "[1.0]", "is not of type Int8Array"),
        ("Int8Array", "[1,128]", "out of range"),
        ("Uint8Array", "[-1]", "out of range"),
        ("Float32Array", "[1e39, 1]", "out of range"),
        ("Float64Array", "[1e400]", "out of range"),
        ("Float64Array", "[1_0]", "is not of type Float64Array"),
        ("Float32Array", "[1,,2]", "is not of type Float32Array"),
        ("Float32Array", "[[1],[2]]", "is not of type Float32Array"),
        ("Float32Array", "[null]", "is not of type Float32Array"),
        ("Float32Array", 1.5, "is not of type Float32Array"),
        ("BoolArray", "[maybe]", "'maybe' is not of type Bool"),
        ("StringArray", "a", "is not of type StringArray"),
        ("Float16", "1", "unknown valueType 'Float16'"),
    ],
)
def test_a_value_that_is_not_of_its_type_says_why(kind: str, text: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        read(kind, text)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("kind", list(ValueType))
def test_null_is_none(kind: ValueType) -> None:
    assert read(kind.value, None) is None


def test_binary_and_objects() -> None:
    assert parse(Reading(value_type="binary", binary_value=b"\xff", value="")) == b"\xff"
    assert parse(Reading(value_type="Object", object_value={"a": [1]}, value="")) == {"a": [1]}
    assert parse(Reading(value_type="ObjectArray", object_value=[{"a": 1}])) == [{"a": 1}]
    for bad in (
        Reading(value_type="Binary", value="abc"),
        Reading(value_type="Object", object_value="text"),
        Reading(value_type="ObjectArray", object_value={"a": 1}),
    ):
        with pytest.raises(ValueError):
            parse(bad)


@given(st.sampled_from(list(ValueType)), st.booleans())
def test_names_in_any_case(kind: ValueType, upper: bool) -> None:
    assert value_type(kind.value.upper() if upper else kind.value.lower()) is kind


@given(st.sampled_from(INTS), st.integers(-(2**70), 2**70))
def test_integers_are_in_range_or_refused(kind: ValueType, number: int) -> None:
    limits = np.iinfo(kind.value.lower())
    if limits.min <= number <= limits.max:
        assert read(kind.value, str(number)) == number
        assert read(kind.value + "Array", f"[{number}, {number}]").tolist() == [number, number]
    else:
        for text, name in ((str(number), kind.value), (f"[{number}]", kind.value + "Array")):
            with pytest.raises(ValueError):
                read(name, text)


@given(st.lists(st.floats(width=32), min_size=1))
def test_float_arrays_keep_every_number(numbers: list[float]) -> None:
    text = "[" + ", ".join(repr(number) for number in numbers) + "]"
    np.testing.assert_array_equal(read("Float32Array", text), np.array(numbers, np.float32))
    np.testing.assert_array_equal(read("Float64Array", text), np.array(numbers, np.float64))


@given(st.sampled_from(list(ValueType)), st.text())
def test_no_text_raises_anything_but_valueerror(kind: ValueType, text: str) -> None:
    for candidate in (text, f"[{text}]"):
        try:
            read(kind.value, candidate)
        except ValueError:
            continue


def test_half_a_million_numbers_with_a_nan_are_one_pass() -> None:
    found = read("Float32Array", "[" + "1e+00, " * 500_000 + "NaN]")
    assert found.shape == (500_001,)
