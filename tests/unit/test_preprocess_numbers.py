"""Numbers and texts: every way from readings to a tensor."""

from collections.abc import Sequence

import numpy as np
import pytest

from edgex_inference.contracts.bindings import InputReading
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
    scalar,
    spec,
    tensor,
)


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
