"""Readings, cards and bindings of the tests of numbers, in few words."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from edgex_inference.contracts.bindings import Binding, InputReading, ModelChoice, Resource
from edgex_inference.contracts.errors import DecodeError
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.models import InputCard
from edgex_inference.contracts.tensors import Array, Datatype, TensorSpec
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
