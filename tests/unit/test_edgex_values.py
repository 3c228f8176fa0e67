"""edgex.values: text as Go writes it, and what a type cannot carry."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgex_inference.contracts.events import Reading, ValueType
from edgex_inference.contracts.values import parse
from edgex_inference.edgex.ids import is_id
from edgex_inference.edgex.values import Unfit, binary_reading, float_texts, format_value, plain, reading

WHO: dict[str, Any] = {"device": "d", "profile": "p", "origin": 5}


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("Bool", True, "true"),
        ("Bool", np.bool_(False), "false"),
        ("String", "", ""),
        ("Int8", -128, "-128"),
        ("Uint16", np.int64(65535), "65535"),
        ("Uint64", 2**64 - 1, "18446744073709551615"),
        ("Int32", 3.0, "3"),
        ("Int32", np.float32(-3), "-3"),
        ("Float32", 0.12345679, "1.2345679e-01"),
        ("Float32", np.float64(1) / 3, "3.3333334e-01"),
        ("Float32", 100, "1e+02"),
        ("Float64", 10 / 3, "3.3333333333333335e+00"),
        ("Float64", -0.0, "-0e+00"),
        ("Float64", 5e-324, "5e-324"),
        ("Float64", 1e100, "1e+100"),
        ("Float64", np.float32(0.1), "1.0000000149011612e-01"),
        ("Float32Array", [0.1, 2], "[1e-01, 2e+00]"),
        ("Float32Array", np.array([0.1, 2], np.float32), "[1e-01, 2e+00]"),
        ("Float64Array", (0.1,), "[1e-01]"),
        ("Int8Array", np.array([1, -2], np.int8), "[1, -2]"),
        ("BoolArray", np.array([True, False]), "[true, false]"),
        ("StringArray", ["a b", 'c,"d'], '["a b","c,\\"d"]'),
        ("StringArray", [], "[]"),
    ],
)
def test_text(kind: str, value: Any, text: str) -> None:
    assert format_value(value, ValueType(kind)) == text


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Bool", 1),
        ("Bool", "true"),
        ("String", 1),
        ("Int8", 128),
        ("Uint8", -1),
        ("Uint8", True),
        ("Int32", 2.7),
        ("Int32", float("nan")),
        ("Int64", float("inf")),
        ("Int64", 1e30),
        ("Int32", "3"),
        ("Int32", None),
        ("Float32", float("nan")),
        ("Float32", np.float32("inf")),
        ("Float32", -1e39),
        ("Float32", 3.4028235677973366e38),
        ("Float64", 10**400),
        ("Float64", np.nan),
        ("Float64", True),
        ("Float32", np.bool_(True)),
        ("Float32Array", []),
        ("Float32Array", np.zeros(0)),
        ("Float32Array", np.zeros((2, 2))),
        ("Float32Array", [1, float("nan")]),
        ("Float32Array", 1.5),
        ("BoolArray", []),
        ("Int8Array", [1, 200]),
        ("StringArray", "abc"),
        ("StringArray", ["a", 1]),
        ("Binary", b"x"),
        ("Object", {}),
        ("ObjectArray", []),
    ],
)
def test_what_does_not_fit(kind: str, value: Any) -> None:
    with pytest.raises(Unfit) as caught:
        format_value(value, ValueType(kind))
    assert len(str(caught.value)) < 120


def test_the_largest_float32_fits() -> None:
    assert format_value(3.4028235e38, ValueType.FLOAT32) == "3.4028235e+38"
    assert format_value(3.4028235677973362e38, ValueType.FLOAT32) == "3.4028235e+38"


def test_readings() -> None:
    made = reading("Score", 0.5, ValueType.FLOAT32, units="g", **WHO)
    assert is_id(made.id)
    expected = Reading(
        id=made.id,
        origin=5,
        device_name="d",
        resource_name="Score",
        profile_name="p",
        value_type="Float32",
        value="5e-01",
        units="g",
    )
    assert made == expected
    picture = binary_reading("Picture", b"\xff", "image/jpeg", **WHO)
    assert (picture.value, picture.binary_value, picture.media_type) == (None, b"\xff", "image/jpeg")
    for data, media_type in ((b"", "image/jpeg"), (b"x", "")):
        with pytest.raises(Unfit):
            binary_reading("Picture", data, media_type, **WHO)
    with pytest.raises(Unfit):
        reading("Picture", b"x", ValueType.BINARY, **WHO)


def test_objects_become_plain_json() -> None:
    value = {
        "n": np.float32(0.5),
        "i": np.int64(3),
        "b": np.bool_(True),
        "a": np.ones((1, 2)),
        "t": ("x", None),
    }
    made = reading("Detail", value, ValueType.OBJECT, **WHO)
    assert made.object_value == {"n": 0.5, "i": 3, "b": True, "a": [[1.0, 1.0]], "t": ["x", None]}
    assert [type(one) for one in made.object_value.values()] == [float, int, bool, list, list]
    assert reading("Boxes", [{"a": 1}], ValueType.OBJECT_ARRAY, **WHO).object_value == [{"a": 1}]


@pytest.mark.parametrize(
    "value",
    [
        {"a": float("nan")},
        {"a": [np.float32("inf")]},
        {"a": np.array([np.nan])},
        {1: 2},
        {"a": b"x"},
        {"a": {1}},
        [1],
    ],
)
def test_objects_that_json_cannot_say(value: Any) -> None:
    with pytest.raises(Unfit):
        reading("Detail", value, ValueType.OBJECT, **WHO)


def test_objects_nested_without_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Unfit, match="nested"):
        plain(loop)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_text_reads_back_the_same_bits(number: float) -> None:
    text = format_value(number, ValueType.FLOAT32)
    found = parse(Reading(value_type="Float32", value=text))
    assert isinstance(found, float)
    assert np.float32(found).tobytes() == np.float32(number).tobytes()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float64_text_reads_back_the_same_bits(number: float) -> None:
    found = parse(Reading(value_type="Float64", value=format_value(number, ValueType.FLOAT64)))
    assert np.float64(found).tobytes() == np.float64(number).tobytes()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_floats_digits_are_the_shortest_in_gos_form(number: float) -> None:
    wanted = np.format_float_scientific(number, trim="-", exp_digits=2)
    assert format_value(number, ValueType.FLOAT64) == wanted


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_short_floats_digits_are_the_shortest_in_gos_form(number: float) -> None:
    wanted = np.format_float_scientific(np.float32(number), trim="-", exp_digits=2)
    assert format_value(number, ValueType.FLOAT32) == wanted


@pytest.mark.parametrize("kind", [ValueType.FLOAT32, ValueType.FLOAT64])
@settings(deadline=None)
@given(st.lists(st.floats() | st.floats(width=32) | st.integers(-(2**200), 2**200), max_size=6))
def test_many_floats_are_written_as_each_alone(kind: ValueType, numbers: list[float]) -> None:
    try:
        alone = [format_value(number, kind) for number in numbers]
    except Unfit:
        with pytest.raises(Unfit):
            float_texts(numbers, kind)
    else:
        assert float_texts(numbers, kind) == alone
