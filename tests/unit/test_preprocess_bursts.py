"""Numbers of a burst: many events at once give what each gives alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.bindings import Binding, InputReading, ModelChoice
from edgex_inference.contracts.errors import DecodeError
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.models import Normalize, NumbersInput
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.preprocess.build import Preprocess, build

F32, I64 = Datatype.FP32, Datatype.INT64


def prepared(
    names: str, card: NumbersInput, datatype: Datatype = F32, *, keep_numbers: bool = False
) -> Preprocess:
    """A model with one input of shape [batch, a reading for each letter of `names`]."""
    readings = tuple(InputReading(resource=name) for name in names)
    model = ModelChoice(name="spindle-ae")
    binding = Binding(profile="motor", resource="A", name="Health", model=model, outputs=(), inputs=readings)
    spec = TensorSpec(name="x", datatype=datatype, shape=(None, len(names)))
    return build(binding, [card], [spec], {}, batched=True, keep_numbers=keep_numbers)


def event(*readings: Reading) -> Event:
    return Event(
        api_version="v3", id="1", device_name="pump-3", profile_name="motor", source_name="All", origin=7,
        readings=readings,
    )  # fmt: skip


def scalar(name: str, value: str) -> Reading:
    return Reading(resource_name=name, value_type="Float32", value=value, origin=5)


@given(
    st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), min_size=2, max_size=5),
    st.sampled_from([F32, I64, Datatype.FP16]),
    st.booleans(),
)
def test_a_burst_gives_the_samples_of_its_events(
    rows: list[list[float]], datatype: Datatype, normalize: bool
) -> None:
    card = NumbersInput(name="x", normalize=Normalize(mean=(1.0,), std=(2.0,)) if normalize else None)
    ready = prepared("ABC", card, datatype, keep_numbers=True)
    burst = [event(*(scalar(name, repr(n)) for name, n in zip("ABC", row, strict=True))) for row in rows]
    for one, found in zip(burst, ready.many(burst), strict=True):
        if isinstance(found, DecodeError):
            with pytest.raises(DecodeError) as alike:
                ready(one)
            assert (str(found), found.reason) == (str(alike.value), alike.value.reason)
            continue
        alone = ready(one)
        assert found.numbers is not None
        assert alone.numbers is not None
        np.testing.assert_array_equal(found.tensors["x"], alone.tensors["x"])
        np.testing.assert_array_equal(found.numbers["x"], alone.numbers["x"])
        assert found.tensors["x"].dtype == alone.tensors["x"].dtype
        assert found.origin == alone.origin


def test_events_of_a_burst_may_differ_in_what_else_they_have() -> None:
    ready = prepared("AB", NumbersInput(name="x"))
    plain = event(scalar("A", "1"), scalar("B", "2"))
    more, swapped = event(*plain.readings, scalar("Z", "9")), event(*reversed(plain.readings))
    found = ready.many([plain, more, swapped, event(scalar("A", "1"))])
    assert [type(one) for one in found[3:]] == [DecodeError]
    for one in found[:3]:
        assert not isinstance(one, DecodeError)
        assert one.tensors["x"].tolist() == [[1, 2]]
