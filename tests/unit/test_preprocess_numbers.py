"""Numbers and texts: every way from readings to a tensor, and every reason why there is none."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.bindings import Binding, InputReading, ModelChoice, Resource
from edgex_inference.contracts.errors import DecodeError, ModelRejected
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.models import InputCard, Normalize, NumbersInput
from edgex_inference.contracts.tensors import Array, Datatype, Quantization, TensorSpec
from edgex_inference.preprocess.build import Preprocess, build

F32, I64 = Datatype.FP32, Datatype.INT64


def spec(shape: Sequence[int | None], datatype: Datatype = F32, name: str = "x") -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=tuple(shape))


def bound(*inputs: str | InputReading, resource: str = "A", **more: Any) -> Binding:
    readings = tuple(InputReading(resource=entry) if isinstance(entry, str) else entry for entry in inputs)
    model = ModelChoice(name="spindle-ae")
    return Binding(
        profile="motor", resource=resource, name="Health", model=model, outputs=(), inputs=readings, **more
    )


def prepared(
    binding: Binding, card: InputCard, shape: Sequence[int | None], datatype: Datatype = F32, **more: Any
) -> Preprocess:
    resources = {name: Resource(name=name, value_type=kind) for name, kind in more.pop("types", {}).items()}
    return build(binding, [card], [spec(shape, datatype)], resources, **{"batched": True, **more})


def event(*readings: Reading) -> Event:
    return Event(
        api_version="v3", id="1", device_name="pump-3", profile_name="motor", source_name="All", origin=7,
        readings=readings,
    )  # fmt: skip


def floats(name: str, *values: float) -> Reading:
    return Reading(resource_name=name, value_type="Float32Array", value=json.dumps(values), origin=5)


def scalar(name: str, value: object, kind: str = "Float32") -> Reading:
    return Reading(resource_name=name, value_type=kind, value=value, origin=5)  # type: ignore[arg-type]


def obj(name: str, value: object) -> Reading:
    return Reading(resource_name=name, value_type="Object", object_value=value)


def tensor(ready: Preprocess, *readings: Reading) -> Array:
    return ready(event(*readings)).tensors["x"]


def refused(ready: Preprocess, *readings: Reading) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        ready(event(*readings))
    assert caught.value.device == "pump-3"
    return caught.value


def test_scalars_of_one_event_make_a_vector_in_the_bindings_order() -> None:
    ready = prepared(bound("B", "A", "C"), NumbersInput(name="x"), (None, 3))
    found = ready(event(scalar("A", "1e0"), scalar("Z", "9"), scalar("B", "2.5e+00"), scalar("C", 3)))
    np.testing.assert_array_equal(found.tensors["x"], np.array([[2.5, 1, 3]], np.float32))
    assert found.tensors["x"].dtype == np.float32
    assert (found.origin, found.geometry, found.numbers) == (5, None, None)
    assert (ready.resources, ready.pixels) == ({"A", "B", "C"}, False)


def test_the_cards_names_give_the_order() -> None:
    ready = prepared(bound("A", "B"), NumbersInput(name="x", names=("B", "A")), (None, 2))
    assert tensor(ready, scalar("A", "1"), scalar("B", "2")).tolist() == [[2, 1]]


def test_a_binding_without_inputs_takes_its_readings_from_the_cards_names() -> None:
    card = NumbersInput(name="x", names=("A", "B"))
    ready = prepared(bound(), card, (1, 2), types={"A": "Int16", "B": "Bool"})
    assert tensor(ready, scalar("A", "-7", "Int16"), scalar("B", "true", "Bool")).tolist() == [[-7, 1]]


def test_names_are_fields_of_an_object_and_elements_of_an_array() -> None:
    card = NumbersInput(name="x", names=("X", "Y"))
    ready = prepared(bound(), card, (None, 2), types={"A": "Object"})
    assert tensor(ready, obj("A", {"Y": 2, "X": 1.5})).tolist() == [[1.5, 2]]
    ready = prepared(bound(), card, (None, 2), types={"A": "Float32Array"})
    assert tensor(ready, floats("A", 3, 4)).tolist() == [[3, 4]]


@pytest.mark.parametrize(
    ("shape", "want"),
    [
        ((None, 2, 3), (1, 2, 3)),
        ((None, 6), (1, 6)),
        ((None, 1, 2, 3), (1, 1, 2, 3)),
        ((1, None, 3), (1, 2, 3)),
    ],
)
def test_arrays_stack_and_take_the_models_shape(shape: Sequence[int | None], want: Sequence[int]) -> None:
    ready = prepared(bound("A", "B"), NumbersInput(name="x", kind="tensor"), shape)
    found = tensor(ready, floats("A", 1, 2, 3), floats("B", 4, 5, 6))
    np.testing.assert_array_equal(found, np.arange(1, 7, dtype=np.float32).reshape(want))


def test_channels_of_a_time_major_model_are_turned_over() -> None:
    ready = prepared(bound("A", "B"), NumbersInput(name="x", kind="tensor"), (None, 3, 2))
    assert tensor(ready, floats("A", 1, 2, 3), floats("B", 4, 5, 6)).tolist() == [[[1, 4], [2, 5], [3, 6]]]


def test_the_cards_shape_closes_open_extents_and_no_batch_axis_is_added_without_one() -> None:
    card = NumbersInput(name="x", kind="tensor", shape=(2, 2))
    assert tensor(prepared(bound(), card, (None, None, None)), floats("A", 1, 2, 3, 4)).shape == (1, 2, 2)
    ready = prepared(bound(), NumbersInput(name="x", kind="tensor"), (4,), batched=False)
    assert tensor(ready, floats("A", 1, 2, 3, 4)).shape == (4,)


def test_bool_and_integer_arrays_and_scalars_beside_arrays() -> None:
    ready = prepared(bound("A", "B", "C"), NumbersInput(name="x"), (None, 5))
    found = tensor(
        ready, scalar("A", "[true, false]", "BoolArray"), scalar("B", "[1, 255]", "Uint8Array"), scalar("C", "0.5")
    )  # fmt: skip
    assert found.tolist() == [[1, 0, 1, 255, 0.5]]


def test_object_fields_by_pointer_with_scale_and_offset() -> None:
    inputs = (
        InputReading(resource="A", pointer="/a~1b/0", scale=2.0, offset=1.0),
        InputReading(resource="A", pointer="/list"),
    )
    ready = prepared(bound(*inputs), NumbersInput(name="x"), (None, 3))
    assert tensor(ready, obj("A", {"a/b": [10], "list": [1, 2.5]})).tolist() == [[21, 1, 2.5]]


def test_scale_and_offset_hold_for_scalars_and_arrays() -> None:
    ready = prepared(
        bound(InputReading(resource="A", scale=0.1, offset=-1)), NumbersInput(name="x"), (None, 2)
    )
    np.testing.assert_allclose(tensor(ready, floats("A", 10, 20)), [[0, 1]], atol=1e-7)
    ready = prepared(bound(InputReading(resource="A", scale=10)), NumbersInput(name="x"), (None, 1))
    assert tensor(ready, scalar("A", "1.5")).tolist() == [[15]]


def test_normalize_of_the_binding_wins_over_the_cards() -> None:
    card = NumbersInput(name="x", normalize=Normalize(mean=(0,), std=(10,)))
    assert tensor(prepared(bound(), card, (None, 2)), floats("A", 1, 3))[0].tolist() == pytest.approx(
        [0.1, 0.3]
    )
    own = bound(normalize=Normalize(mean=(1, 2), std=(2, 4)))
    assert tensor(prepared(own, card, (None, 2)), floats("A", 3, 4)).tolist() == [[1, 0.5]]


def test_normalize_of_channels_goes_along_the_channels() -> None:
    card = NumbersInput(name="x", kind="tensor", normalize=Normalize(mean=(1, 2), std=(1, 2)))
    assert tensor(
        prepared(bound("A", "B"), card, (None, 2, 3)), floats("A", 1, 2, 3), floats("B", 2, 4, 6)
    ).tolist() == [[[0, 1, 2], [0, 1, 2]]]


def test_quantized_values_round_and_clip() -> None:
    card = NumbersInput(name="x", quantization=Quantization(scale=0.5, zero=10))
    ready = prepared(bound(), card, (None, 4), Datatype.INT8, keep_numbers=True)
    sample = ready(event(floats("A", 1.2, -10, 1000, -1000)))
    assert sample.tensors["x"].tolist() == [[12, -10, 127, -128]]
    assert sample.tensors["x"].dtype == np.int8
    assert sample.numbers is not None
    np.testing.assert_allclose(sample.numbers["x"], [[1.2, -10, 1000, -1000]], rtol=1e-6)


@pytest.mark.parametrize(
    ("datatype", "kind", "value", "want"),
    [
        (I64, "Int64", "-9223372036854775808", -(2**63)),
        (Datatype.UINT64, "Uint64", "18446744073709551615", 2**64 - 1),
        (Datatype.INT32, "Float64", "2.6", 3),
        (Datatype.BOOL, "Bool", "true", True),
        (Datatype.BOOL, "Uint8", "1", True),
        (Datatype.FP16, "Float32", "1.5", 1.5),
        (Datatype.FP64, "Float64", "1e300", 1e300),
        (Datatype.UINT8, "Bool", "true", 1),
    ],
)
def test_datatypes_of_the_model(datatype: Datatype, kind: str, value: str, want: object) -> None:
    found = tensor(prepared(bound(), NumbersInput(name="x"), (1, 1), datatype), scalar("A", value, kind))
    assert found.dtype == datatype.numpy
    assert found.item() == want


def test_texts_make_a_tensor_of_texts() -> None:
    ready = prepared(bound("A", "B"), NumbersInput(name="x"), (None, 2), Datatype.BYTES)
    assert tensor(ready, scalar("A", "lot", "String"), scalar("B", "x y", "String")).tolist() == [
        ["lot", "x y"]
    ]
    ready = prepared(bound(), NumbersInput(name="x"), (None, 2), Datatype.BYTES, types={"A": "StringArray"})
    assert tensor(ready, scalar("A", '["a", "b"]', "StringArray")).tolist() == [["a", "b"]]


def test_several_inputs_take_the_readings_of_their_names() -> None:
    cards = [
        NumbersInput(name="x", names=("A", "B")),
        NumbersInput(name="speed", tensor="s"),
        NumbersInput(name="rest"),
    ]
    specs = [spec((None, 2)), spec((None, 1), name="s"), spec((None, 1), I64, "rest")]
    ready = build(bound("A", "speed", "B", "C"), cards, specs, {}, batched=True)
    found = ready(
        event(scalar("A", "1"), scalar("B", "2"), scalar("C", "3", "Int8"), scalar("speed", "4"))
    ).tensors
    assert {name: value.tolist() for name, value in found.items()} == {
        "x": [[1, 2]],
        "s": [[4]],
        "rest": [[3]],
    }


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
