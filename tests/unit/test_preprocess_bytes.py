"""Binary readings for a model that takes numbers: what says which numbers, and what is no number."""

import numpy as np
import pytest

from edgex_inference.contracts.bindings import Binding, ModelChoice, Resource
from edgex_inference.contracts.errors import DecodeError, ModelRejected
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.models import NumbersInput
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.preprocess.build import Preprocess, build

BINDING = Binding(profile="p", resource="A", name="B", model=ModelChoice(name="m"), outputs=())
SPEC = TensorSpec(name="x", datatype=Datatype.FP32, shape=(None, 2))
VALUES = np.array([1, 2], "<f4").tobytes()


def made(media_type: str | None) -> Preprocess:
    """`media_type` is the profile's; None: no profile is at hand."""
    known = (
        {} if media_type is None else {"A": Resource(name="A", value_type="Binary", media_type=media_type)}
    )
    return build(BINDING, (NumbersInput(name="x"),), (SPEC,), known, batched=True)


def event(media_type: str) -> Event:
    reading = Reading(resource_name="A", value_type="Binary", binary_value=VALUES, media_type=media_type)
    return Event(api_version="v3", id="1", device_name="d", profile_name="p", source_name="s", origin=7,
                 readings=(reading,))  # fmt: skip


@pytest.mark.parametrize("media_type", ["image/jpeg", "IMAGE/PNG; q=1"])
def test_a_picture_feeds_no_numbers(media_type: str) -> None:
    with pytest.raises(ModelRejected, match=r"resource A is a picture \(image/"):
        made(media_type.replace("IMAGE", "image"))
    with pytest.raises(DecodeError, match=r"a picture .* where numbers are needed") as caught:
        made(None)(event(media_type))
    assert caught.value.reason == "media"


def test_bytes_need_an_element_type_from_the_profile_or_from_the_card_itself() -> None:
    untyped, typed = made(""), made("application/octet-stream; dtype=float32")
    with pytest.raises(ModelRejected, match="nothing says of which numbers"):
        untyped.check_bytes(BINDING, ())
    with pytest.raises(ModelRejected, match="nothing says of which numbers"):
        untyped.check_bytes(BINDING, (NumbersInput(name="x", shape=(2,)),))
    untyped.check_bytes(BINDING, (NumbersInput(name="x", dtype=Datatype.FP32, shape=(2,)),))
    typed.check_bytes(BINDING, ())
    made(None).check_bytes(BINDING, ())
    assert typed(event("")).tensors["x"].tolist() == [[1, 2]]


def test_a_region_needs_a_picture() -> None:
    binding = Binding(profile="p", resource="A", name="B", model=None, outputs=(), roi=(0, 0, 1, 1))
    with pytest.raises(ModelRejected, match="roi: the model takes no picture") as caught:
        build(binding, (NumbersInput(name="x"),), (SPEC,), {}, batched=True)
    assert caught.value.block == ("roi",)
