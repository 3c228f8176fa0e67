"""Numbers and texts that make no tensor: every reason, at load or with the reading."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.bindings import InputReading
from edgex_inference.contracts.errors import DecodeError, ModelRejected
from edgex_inference.contracts.events import Reading
from edgex_inference.contracts.models import Normalize, NumbersInput
from edgex_inference.contracts.tensors import Datatype, Quantization
from edgex_inference.preprocess.build import build
from tests.unit.numbers_stage import (
    I64,
    bound,
    event,
    floats,
    obj,
    prepared,
    refused,
    scalar,
    spec,
    tensor,
)


@pytest.mark.parametrize(
    ("readings", "resource", "reason", "says"),
    [
        ([scalar("A", "1")], "B", "missing", "event All (which has A)"),
        ([], "A", "missing", "no readings"),
        ([scalar("A", None), scalar("B", "1")], "A", "null", "null"),
        ([scalar("A", "1"), scalar("B", "1"), scalar("A", "1")], "A", "duplicate", "more than one"),
        ([scalar("A", "1"), scalar("B", "NaN")], "B", "nan", "no finite"),
        ([scalar("A", "1"), scalar("B", "-Inf", "Float64")], "B", "nan", "no finite"),
        ([scalar("A", "NaN", "String"), scalar("B", "1")], "A", "nan", "NaN"),
        ([scalar("A", "1"), scalar("B", "overflow", "String")], "B", "range", "overflow"),
        ([scalar("A", "1"), scalar("B", "hot", "String")], "B", "type", "hot"),
        ([scalar("A", "1"), scalar("B", "hot")], "B", "parse", "hot"),
        ([scalar("A", "300", "Uint8"), scalar("B", "1")], "A", "parse", "300"),
        ([scalar("A", "1"), scalar("B", "1e300", "Float64")], "B", "range", "FP32"),
        ([scalar("A", "1"), obj("B", {"x": 1})], "B", "type", "dict"),
        ([scalar("A", "1"), obj("B", [1, "x"])], "B", "type", "numbers"),
        ([scalar("A", "1"), obj("B", [[1, 2], [3]])], "B", "type", "unequal"),
        ([scalar("A", "1"), obj("B", [])], "B", "empty", "empty"),
        ([floats("A", 1), floats("B", 1, 2)], "A, B", "length", "(1, 2)"),
        (
            [scalar("A", "1"), floats("B", 1, 2)],
            "A, B",
            "length",
            "3 numbers of shape [3], the model takes [2]",
        ),
    ],
)
def test_what_cannot_become_a_vector(readings: list[Reading], resource: str, reason: str, says: str) -> None:
    error = refused(prepared(bound("A", "B"), NumbersInput(name="x"), (None, 2)), *readings)
    assert (error.resource, error.reason) == (resource, reason)
    assert says in error.detail


@pytest.mark.parametrize(
    ("datatype", "kind", "value", "reason"),
    [
        (Datatype.INT8, "Int16", "128", "range"),
        (Datatype.UINT8, "Int16", "-1", "range"),
        (I64, "Float64", "9.3e18", "range"),
        (I64, "Float64", "NaN", "nan"),
        (Datatype.INT32, "Uint64", "18446744073709551615", "range"),
        (Datatype.BOOL, "Uint8", "2", "range"),
        (Datatype.FP16, "Float32", "70000", "range"),
        (Datatype.BYTES, "Int8", "1", "type"),
        (Datatype.BYTES, "Float32", "1", "type"),
    ],
)
def test_values_beyond_the_models_type(datatype: Datatype, kind: str, value: str, reason: str) -> None:
    ready = prepared(bound(), NumbersInput(name="x"), (None, 1), datatype)
    assert refused(ready, scalar("A", value, kind)).reason == reason


NAN = NumbersInput(name="x", nan="allow")


@pytest.mark.parametrize("kind", ["Float32", "Float64", "String"])
def test_a_card_may_take_nan_for_a_missing_value(kind: str) -> None:
    ready = prepared(bound("A", "B"), NAN, (None, 2))
    found = ready(event(scalar("A", "NaN", kind), scalar("B", "2.5"))).tensors["x"]
    assert np.isnan(found[0, 0])
    assert found[0, 1] == 2.5
    refusing = prepared(bound("A", "B"), NumbersInput(name="x"), (None, 2))
    assert refused(refusing, scalar("A", "NaN", kind), scalar("B", "2.5")).reason == "nan"


def test_a_card_that_takes_nan_still_refuses_infinities_and_other_texts() -> None:
    ready = prepared(bound("A", "B"), NAN, (None, 2))
    for value, kind, reason in (
        ("+Inf", "Float32", "nan"),
        ("inf", "String", "nan"),
        ("overflow", "String", "range"),
    ):
        assert refused(ready, scalar("A", "NaN"), scalar("B", value, kind)).reason == reason
    many = ready.many(
        [event(scalar("A", "NaN"), scalar("B", "1")), event(scalar("A", "1"), scalar("B", "+Inf"))]
    )
    assert not isinstance(many[0], DecodeError)
    assert np.isnan(many[0].tensors["x"][0, 0])
    assert isinstance(many[1], DecodeError)


def test_nan_is_allowed_for_floats_only() -> None:
    with pytest.raises(ModelRejected, match="whole numbers have no NaN, and the model declares"):
        prepared(bound(), NAN, (None, 1), I64)


def test_a_bad_element_of_a_turned_tensor_is_blamed_on_its_reading() -> None:
    ready = prepared(bound("A", "B"), NumbersInput(name="x", kind="tensor"), (None, 3, 2))
    error = refused(ready, floats("A", 1, 2, 3), scalar("B", "[1, NaN, 3]", "Float32Array"))
    assert (error.resource, error.reason) == ("B", "nan")


@pytest.mark.parametrize(
    ("value", "reason", "says"),
    [
        ({"Y": 1}, "field", "there are Y"),
        ({"X": None}, "null", "/X"),
        ({"X": "1"}, "type", "text"),
        (None, "null", "null"),
    ],
)
def test_fields_that_are_not_there(value: object, reason: str, says: str) -> None:
    ready = prepared(bound(InputReading(resource="A", pointer="/X")), NumbersInput(name="x"), (None, 1))
    error = refused(ready, obj("A", value))
    assert (error.reason, error.resource) == (reason, "A at /X")
    assert says in error.detail


def test_a_scalar_has_no_fields() -> None:
    ready = prepared(bound(InputReading(resource="A", pointer="/X")), NumbersInput(name="x"), (None, 1))
    assert refused(ready, scalar("A", "1.5")).reason == "field"


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
def test_float_texts_arrive_bit_by_bit(values: list[float]) -> None:
    names = [f"R{i}" for i in range(len(values))]
    ready = prepared(bound(*names), NumbersInput(name="x"), (None, len(names)))
    found = tensor(ready, *(scalar(name, repr(value)) for name, value in zip(names, values, strict=True)))
    np.testing.assert_array_equal(found[0], np.array(values, np.float32))


@given(
    st.lists(
        st.one_of(st.text(max_size=12), st.none(), st.booleans(), st.integers(), st.floats()),
        min_size=2,
        max_size=2,
    ),
    st.sampled_from(["Float32", "Int64", "Bool", "String", "Float64Array", "Object", "Wrong", "Binary"]),
)
def test_whatever_a_reading_holds_only_decode_errors_come_out(values: list[Any], kind: str) -> None:
    ready = prepared(bound("A", "B"), NumbersInput(name="x"), (None, 2))
    try:
        found = tensor(ready, *(scalar(name, value, kind) for name, value in zip("AB", values, strict=True)))
    except DecodeError:
        return
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("inputs", "card", "shape", "types", "says"),
    [
        (("A", "B", "C"), {}, (None, 4), dict.fromkeys("ABC", "Float32"), ("[3]", "x FP32[?, 4]", "inputs")),
        (
            ("A", "B"),
            {"kind": "tensor"},
            (None, 5),
            dict.fromkeys("AB", "Float32Array"),
            ("2 readings", "[5]"),
        ),
        (("A",), {"shape": (3, 100)}, (None, 3, 512), {}, ("[3, 100]", "[?, 3, 512]", "shape")),
        (("A",), {"dtype": I64}, (None, 1), {}, ("INT64", "FP32", "dtype")),
        (("A",), {"tensor": "y"}, (None, 1), {}, ("no input y", "x FP32[?, 1]", "tensor")),
        (("A", "B"), {"names": ("A", "C")}, (None, 2), {}, ("called C", "A, B")),
        (("A", "B", "C"), {"names": ("A", "B")}, (None, 2), {}, ("no input for C",)),
        (("A", "Q"), {}, (None, 2), {"A": "Int8", "B": "Int8"}, ("no resource Q", "A, B")),
        (("A",), {}, (None, 1), {"A": "String"}, ("A is String", "numbers")),
        (("A",), {}, (None, 1), {"A": "Object"}, ("field",)),
        (("A",), {"normalize": Normalize(mean=(0,), std=(0,))}, (None, 1), {}, ("std of 0",)),
        (("A",), {"normalize": Normalize(mean=(0, 0, 0), std=(1,))}, (None, 2), {}, ("3 values", "[2]")),
        (("A",), {"normalize": Normalize(mean=(math.nan,), std=(1,))}, (None, 2), {}, ("finite",)),
    ],
)
def test_what_can_never_fit_is_found_at_load(
    inputs: tuple[str, ...],
    card: dict[str, Any],
    shape: Sequence[int | None],
    types: dict[str, str],
    says: tuple[str],
) -> None:
    with pytest.raises(ModelRejected) as caught:
        prepared(bound(*inputs), NumbersInput(name="x", **card), shape, types=types)
    assert "spindle-ae" in str(caught.value)
    assert str(caught.value).startswith("model 'spindle-ae': inputs")
    for words in says:
        assert words in str(caught.value)


def test_a_model_input_that_nothing_describes_is_found_at_load() -> None:
    with pytest.raises(ModelRejected, match=r"no input for y FP32\[1\]"):
        build(bound(), [NumbersInput(name="x")], [spec((1,)), spec((1,), name="y")], {}, batched=False)
    with pytest.raises(ModelRejected, match="no reading feeds it"):
        build(
            bound("A"), [NumbersInput(name="x", names=("A",)), NumbersInput(name="y")],
            [spec((None, 1)), spec((None, 1), name="y")], {}, batched=True,
        )  # fmt: skip
    card = NumbersInput(name="x", quantization=Quantization(scale=0.0, zero=0))
    with pytest.raises(ModelRejected, match="quantization scale 0"):
        prepared(bound(), card, (None, 1), Datatype.INT8)
