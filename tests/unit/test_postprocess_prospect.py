"""postprocess.prospect: which values a model's results can ever hold, and the types that carry them."""

from pathlib import Path
from typing import Any

import pytest

from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.events import ValueType as T
from edgex_inference.contracts.models import (
    Build,
    InputCard,
    ModelCard,
    NumbersInput,
    OutputCard,
    Postprocess,
    Quantization,
    Task,
)
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.postprocess import table
from edgex_inference.postprocess.prospect import Promised, Prospect

RAW = Prospect(
    tensors={
        "heat": Promised(datatype=Datatype.FP16, size=2),
        "conv": Promised(datatype=Datatype.INT64),
        "conv.1": Promised(datatype=Datatype.BOOL, size=1),
        "words": Promised(datatype=Datatype.BYTES, size=3),
    }
)


def prospect(task: Task, specs: list[TensorSpec], *, batched: bool = True, **said: Any) -> Prospect:
    inputs: tuple[InputCard, ...] = (NumbersInput(name="x", shape=(4,)),)
    build = Build(path=Path("m.onnx"), format=ONNX, inputs=inputs, outputs=said.pop("outputs", ()),
                  decoder=said.pop("decoder", None))  # fmt: skip
    card = ModelCard(name="m", version="1", task=task, folder=Path(), builds=(build,), **said)
    return table.prospect(card, build, specs, labels=None, batched=batched)


def spec(name: str, *shape: int | None, datatype: Datatype = Datatype.FP32) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


@pytest.mark.parametrize(
    ("value", "default", "carries", "not_this"),
    [
        ("heat", T.FLOAT32_ARRAY, T.FLOAT64_ARRAY, T.FLOAT32),
        ("heat", T.FLOAT32_ARRAY, T.FLOAT32_ARRAY, T.INT8_ARRAY),
        ("heat.0", T.FLOAT32, T.FLOAT64, T.FLOAT32_ARRAY),
        ("conv", T.INT64_ARRAY, T.UINT8, T.BOOL_ARRAY),
        ("conv.2", T.INT64, T.FLOAT32, T.INT64_ARRAY),
        ("conv.1", T.BOOL_ARRAY, T.BOOL, T.UINT8),
        ("words", T.STRING_ARRAY, T.STRING_ARRAY, T.STRING),
        ("words.1", T.STRING, T.STRING, T.FLOAT32),
    ],
)
def test_types_of_raw_values(value: str, default: T, carries: T, not_this: T) -> None:
    found, types = RAW.raw(value)
    assert (found, carries in types, not_this in types) == (default, True, False)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            "haet",
            "'haet' is no output of the model (did you mean heat?); there are heat, conv, conv.1 and words",
        ),
        ("haet.0", "'haet.0' is no output of the model (did you mean heat?)"),
        ("heat.2", "heat has 2 numbers: heat.0 to heat.1"),
        ("conv.1.1", "conv.1 has 1 number: conv.1.0 to conv.1.0"),
    ],
)
def test_raw_values_that_will_never_be(value: str, sentence: str) -> None:
    assert RAW.objection(Task.RAW, value).startswith(sentence)
    for fine in ("heat", "heat.1", "conv", "conv.999", "conv.1", "words.2"):
        assert RAW.objection(Task.RAW, fine) == ""


def test_a_regression_has_as_many_values_as_its_outputs_declare() -> None:
    two = prospect(Task.REGRESSION, [spec("y", None, 2), spec("n", 1, datatype=Datatype.INT64)])
    assert two.objection(Task.REGRESSION, "value.1") == ""
    assert two.objection(Task.REGRESSION, "value.2") == "the model gives 2 numbers: value.0 to value.1"
    free = prospect(Task.REGRESSION, [spec("y", None, None)])
    assert free.objection(Task.REGRESSION, "value.99") == ""


def test_counted_labels_are_labels_of_the_model() -> None:
    named = Prospect(tensors={}, labels=("bolt", "hex nut"))
    assert named.objection(Task.DETECTION, "count.hex nut") == ""
    assert named.objection(Task.DETECTION, "count.bolts").endswith("labels (did you mean bolt?)")
    nameless = Prospect(tensors={})
    assert nameless.objection(Task.DETECTION, "count.3") == ""
    assert "nobody named the classes" in nameless.objection(Task.DETECTION, "count.bolt")


@pytest.mark.parametrize(("decoder", "size", "gives"), [("reconstruction", 4, True), ("score", 1, False)])
def test_contributions_need_a_reconstruction(decoder: str, size: int, gives: bool) -> None:
    found = prospect(Task.ANOMALY, [spec("y", None, size)], decoder=decoder)
    assert (found.objection(Task.ANOMALY, "contributions") == "") is gives


def test_tensors_have_the_card_s_names_and_the_size_of_one_sample() -> None:
    quantized = OutputCard(name="a", tensor="1", quantization=Quantization(scale=1, zero=0))
    specs = [spec("1", 4, 3, datatype=Datatype.INT8), spec("2", 4, None, datatype=Datatype.INT8)]
    outputs = (quantized, OutputCard(name="2"))
    assert prospect(Task.RAW, specs, outputs=outputs).tensors == {
        "a": Promised(datatype=Datatype.FP32, size=3),
        "2": Promised(datatype=Datatype.INT8),
    }
    assert prospect(Task.RAW, specs, outputs=outputs, batched=False).tensors["a"].size == 12


@pytest.mark.parametrize(
    ("shape", "fits"), [((None, 4), True), ((1, 4), True), ((None, None), True), ((None, 2), False)]
)
def test_a_reconstruction_is_as_large_as_what_it_is_compared_with(
    shape: tuple[int | None, ...], fits: bool
) -> None:
    build = Build(
        path=Path("m.onnx"),
        format=ONNX,
        inputs=(NumbersInput(name="x", shape=(4,)),),
        decoder="reconstruction",
    )
    card = ModelCard(name="m", version="1", task=Task.ANOMALY, folder=Path(), builds=(build,))
    if fits:
        table.build(card, build, [spec("y", *shape)], settings=Postprocess(), labels=None)
        return
    with pytest.raises(
        ModelRejected, match=r"outputs\.y: its 2 numbers cannot be compared with the 4 of input x"
    ) as caught:
        table.build(card, build, [spec("y", *shape)], settings=Postprocess(), labels=None)
    assert caught.value.card == ("outputs", "y")
