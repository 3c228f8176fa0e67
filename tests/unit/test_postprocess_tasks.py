"""Classification, regression, anomaly and raw: from tensors to results."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.contracts.errors import InferenceFailed, ModelRejected
from edgex_inference.contracts.models import (
    Build,
    ModelCard,
    NumbersInput,
    OutputCard,
    Postprocess,
    Quantization,
    Score,
    Task,
)
from edgex_inference.contracts.results import Anomaly, Classification, Raw, Regression, Result, Sample
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.postprocess import table

NOTHING = Sample(tensors={})
AXES = NumbersInput(name="accel", names=("x", "y", "z"))


def f32(*numbers: float) -> np.ndarray:
    return np.array([numbers], dtype=np.float32)


def interpret(task: Task, tensors: dict[str, np.ndarray], sample: Sample = NOTHING, **said: Any) -> Result:
    """The result of one sample; `said` are fields of the card, `decoder`, `inputs`, `outputs` those of its build."""
    parts = {key: said.pop(key) for key in ("inputs", "outputs", "decoder") if key in said}
    build = Build(path=Path("m.onnx"), format=ONNX, **parts)
    shape = said.pop("shape", None)
    card = ModelCard(name="m", version="1", task=task, folder=Path("."), builds=(build,), **said)
    specs = [
        TensorSpec(name=name, datatype=Datatype.of(array.dtype), shape=shape or (None, *array.shape[1:]))
        for name, array in tensors.items()
    ]
    return table.build(card, build, specs, settings=Postprocess(), labels=None)(tensors, sample)


def classify(tensors: dict[str, np.ndarray], **said: Any) -> tuple[list[float], tuple[str, ...]]:
    result = interpret(Task.CLASSIFICATION, tensors, **said)
    assert isinstance(result, Classification)
    assert result.scores.dtype == np.float32
    return result.scores.tolist(), result.labels


def test_scores_that_sum_to_one_are_taken_as_they_are() -> None:
    assert classify({"y": f32(0.25, 0.75)}) == ([0.25, 0.75], ())


def test_other_scores_are_softmaxed() -> None:
    scores, labels = classify({"y": f32(1.0, 3.0, 1000.0)}, labels=("a", "b", "c"))
    assert (scores, labels) == ([0, 0, 1], ("a", "b", "c"))
    assert classify({"y": f32(0.2, 0.2)})[0] == [0.5, 0.5]


def test_quantized_probabilities_may_miss_one_by_their_steps() -> None:
    steps = Quantization(scale=1 / 256, zero=0)
    counts = np.array([[250, 3, 1, 0, 0, 0, 0, 0]], dtype=np.uint8)  # the sum is 254/256
    scores, _ = classify({"y": counts}, outputs=(OutputCard(name="y", quantization=steps),))
    assert scores[0] == pytest.approx(250 / 256)


def test_declared_decoders_do_what_they_say() -> None:
    assert classify({"y": f32(0.4, 0.9)}, decoder="softmax")[0] == pytest.approx([0.4, 0.9])
    assert classify({"y": f32(0.25, 0.75)}, decoder="logits")[0] == pytest.approx(
        [0.37754, 0.62246], abs=1e-5
    )
    assert classify({"y": f32(0.0, -1000.0)}, decoder="multilabel")[0] == [0.5, 0.0]


@pytest.mark.parametrize(("decoder", "given"), [("softmax", 0.75), ("logits", float(np.log(3)))])
def test_one_score_for_two_labels_is_the_second_label_s(decoder: str, given: float) -> None:
    scores, labels = classify({"y": f32(given)}, decoder=decoder, labels=("off", "on"))
    assert scores == pytest.approx([0.25, 0.75], abs=1e-6)
    assert labels == ("off", "on")


def test_one_score_alone_needs_a_decoder() -> None:
    with pytest.raises(ModelRejected, match=r"decoder: is missing: output y is a single score; say softmax"):
        classify({"y": f32(0.5)})
    with pytest.raises(InferenceFailed, match="softmax or logits"):
        classify({"y": f32(0.5)}, shape=(None, None))


def test_background_has_no_label() -> None:
    outputs = (OutputCard(name="y", parameters={"background": 0}),)
    scores, labels = classify({"y": f32(0.5, 0.125, 0.375)}, outputs=outputs, labels=("a", "b"))
    assert (scores, labels) == ([0.125, 0.375], ("a", "b"))


def maps(answer: object) -> np.ndarray:
    array = np.empty(1, dtype=object)
    array[0] = answer
    return array


def test_maps_from_number_to_score_are_put_in_order() -> None:
    tensors = {"output_label": np.array([7]), "output_probability": maps({9: 0.125, 5: 0.125, 7: 0.75})}
    assert classify(tensors) == ([0.125, 0.75, 0.125], ("5", "7", "9"))
    assert classify(tensors, labels=("a", "b", "c"))[1] == ("a", "b", "c")


def test_maps_from_text_to_score_follow_the_labels() -> None:
    tensors = {"output_label": maps("run"), "output_probability": maps({"run": 0.75, "idle": 0.25})}
    assert classify(tensors) == ([0.75, 0.25], ("run", "idle"))
    assert classify(tensors, labels=("idle", "run")) == ([0.25, 0.75], ("idle", "run"))
    with pytest.raises(InferenceFailed, match="its classes are run, idle, the labels say idle, stall"):
        classify(tensors, labels=("idle", "stall"))


@pytest.mark.parametrize("answer", [{}, "text", None, 3])
def test_what_is_no_map_fails(answer: object) -> None:
    with pytest.raises(InferenceFailed, match="map from class to score"):
        classify({"scores": maps(answer)})


def test_a_class_alone_has_score_one() -> None:
    assert classify({"label": np.array([1])}, labels=("a", "b")) == ([0, 1], ("a", "b"))
    assert classify({"label": maps("a")}, labels=("a", "b")) == ([1, 0], ("a", "b"))
    with pytest.raises(InferenceFailed, match="none of 2 labels"):
        classify({"label": np.array([-1])}, labels=("a", "b"))
    with pytest.raises(ModelRejected, match="labels: are missing"):
        classify({"label": np.array([1])})


def test_scores_are_found_beside_a_class() -> None:
    assert classify({"label": np.array([1]), "p": f32(0.25, 0.75)})[0] == [0.25, 0.75]


def test_no_number_stays_no_number() -> None:
    assert np.isnan(classify({"y": f32(np.nan, 1.0)})[0]).all()


@pytest.mark.parametrize("shape", [(1, 2, 3), (1, 0)])
def test_scores_of_another_shape_fail(shape: tuple[int, ...]) -> None:
    with pytest.raises(InferenceFailed, match="one number for each class"):
        classify({"y": np.zeros(shape, np.float32)}, decoder="softmax")


def test_labels_are_counted_again_when_the_answer_comes() -> None:
    with pytest.raises(InferenceFailed, match="3 classes, but there are 2 labels"):
        classify({"y": f32(1, 2, 3)}, labels=("a", "b"), shape=(None, None))
    assert classify({"y": f32(0, 0, 1)}, labels=("a", "n/a", "b", "c"), shape=(None, None))[1] == (
        "a",
        "b",
        "c",
    )


def test_regression_takes_what_comes() -> None:
    result = interpret(Task.REGRESSION, {"a": f32(1, 2).T, "b": np.array([3.0])}, shape=(None, 1))
    assert isinstance(result, Regression)
    assert (result.values.dtype, result.values.tolist()) == (np.float32, [1, 2, 3])


def test_raw_is_what_the_model_said() -> None:
    outputs = (
        OutputCard(name="mask", tensor="1"),
        OutputCard(name="level", tensor="2", quantization=Quantization(scale=0.5, zero=2)),
    )
    given = {"1": np.array([[[True], [False]]]), "2": np.array([4, 6], dtype=np.int8)}
    result = interpret(Task.RAW, given, outputs=outputs)
    assert isinstance(result, Raw)
    assert {name: array.tolist() for name, array in result.tensors.items()} == {
        "mask": [[True], [False]],
        "level": [1, 2],
    }


def anomaly(tensors: dict[str, np.ndarray], sample: Sample = NOTHING, **said: Any) -> Anomaly:
    result = interpret(Task.ANOMALY, tensors, sample, **said)
    assert isinstance(result, Anomaly)
    return result


ACCEL = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
MADE = {"made": np.array([[[1, 2], [3, 6], [8, 6]]], dtype=np.float32)}


@pytest.mark.parametrize(
    ("metric", "score", "shares"),
    [
        ("mse", (4 + 9) / 6, [0, 4 / 13, 9 / 13]),
        ("mae", 5 / 6, [0, 0.4, 0.6]),
        ("max", 3, [0, 0.4, 0.6]),
    ],
)
def test_reconstruction(metric: Any, score: float, shares: list[float]) -> None:
    sample = Sample(tensors={}, numbers={"accel": ACCEL})
    result = anomaly(MADE, sample, decoder="reconstruction", inputs=(AXES,), score=Score(metric=metric))
    assert result.score == pytest.approx(score)
    assert result.contributions is not None
    assert result.contributions.tolist() == pytest.approx(shares)
    assert result.channels == ("x", "y", "z")


def test_reconstruction_in_time_by_channel_order() -> None:
    sample = Sample(tensors={}, numbers={"accel": ACCEL.T})
    made = {"made": np.ascontiguousarray(MADE["made"].transpose(0, 2, 1))}
    result = anomaly(made, sample, decoder="reconstruction", inputs=(AXES,))
    assert result.contributions is not None
    assert result.contributions.tolist() == pytest.approx([0, 4 / 13, 9 / 13])


def test_reconstruction_of_a_model_that_lies_about_its_shape() -> None:
    sample = Sample(tensors={}, numbers={"accel": f32(1, 2, 3)})
    made = {"variable": np.array([[1], [2], [5]], dtype=np.float32)}
    result = anomaly(made, sample, shape=(None, 1), decoder="reconstruction", inputs=(AXES,))
    assert result.score == pytest.approx(4 / 3)
    assert result.channels == ("x", "y", "z")


def test_reconstruction_is_compared_with_a_target_output() -> None:
    tensors = {"reconstruction": f32(1, 2, 3), "target": f32(1, 2, 5)}
    result = anomaly(tensors, inputs=(AXES, NumbersInput(name="temperature")))
    assert (result.score, result.channels) == (pytest.approx(4 / 3), ())
    assert result.contributions is not None
    assert result.contributions.tolist() == [0, 0, 1]


def test_reconstruction_falls_back_on_the_tensor_that_was_fed() -> None:
    card = NumbersInput(name="accel", tensor="in", quantization=Quantization(scale=0.5, zero=-1))
    sample = Sample(tensors={"in": np.array([[1, 3]], dtype=np.int8)})
    assert anomaly(
        {"made": f32(1, 4)}, sample, decoder="reconstruction", inputs=(card,)
    ).score == pytest.approx(2)


def test_perfect_reconstruction_blames_nobody() -> None:
    sample = Sample(tensors={}, numbers={"accel": f32(1, 2, 3)})
    result = anomaly({"made": f32(1, 2, 3)}, sample, decoder="reconstruction", inputs=(AXES,))
    assert result.contributions is not None
    assert (result.score, result.contributions.tolist()) == (0, [0, 0, 0])


def test_a_likeness_is_negated() -> None:
    sample = Sample(tensors={}, numbers={"accel": f32(1, 2, 3)})
    said: dict[str, Any] = {"inputs": (AXES,), "score": Score(direction="lowerIsWorse")}
    assert anomaly({"made": f32(1, 2, 6)}, sample, decoder="reconstruction", **said).score == pytest.approx(
        -3
    )


@pytest.mark.parametrize("sample", [NOTHING, Sample(tensors={}, numbers={"accel": f32(1, 2)})])
def test_what_cannot_be_compared_fails(sample: Sample) -> None:
    with pytest.raises(InferenceFailed, match="compare"):
        anomaly({"made": f32(1, 2, 3)}, sample, decoder="reconstruction", inputs=(AXES,))


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ({}, 0.25),
        ({"decoder": "score"}, 0.25),
        ({"score": Score(direction="lowerIsWorse")}, -0.25),
        ({"decoder": "isolation-forest"}, -0.25),
        ({"decoder": "isolation-forest", "score": Score(direction="lowerIsWorse")}, -0.25),
    ],
)
def test_scores_and_their_direction(said: dict[str, Any], score: float) -> None:
    assert anomaly({"label": np.array([[1]]), "scores": f32(0.25)}, **said).score == score


def test_a_score_is_one_number() -> None:
    assert np.isnan(anomaly({"s": f32(np.nan)}).score)
    with pytest.raises(InferenceFailed, match="one score"):
        anomaly({"s": f32(1, 2)})


def test_a_lost_output_fails() -> None:
    build = Build(path=Path("m.onnx"), format=ONNX)
    card = ModelCard(name="m", version="1", task=Task.RAW, folder=Path("."), builds=(build,))
    specs = [TensorSpec(name="y", datatype=Datatype.FP32, shape=(None, 1))]
    with pytest.raises(InferenceFailed, match="model 'm': the run gave no output 'y'"):
        table.build(card, build, specs, settings=Postprocess(), labels=None)({}, NOTHING)


@pytest.mark.parametrize("direction", ["higherIsWorse", "lowerIsWorse"])
@pytest.mark.parametrize("metric", ["mse", "mae", "max"])
def test_a_burst_says_of_each_sample_what_it_says_of_it_alone(metric: Any, direction: Any) -> None:
    numbers = np.random.default_rng(5).standard_normal((6, 3, 2)).astype(np.float32)
    made = np.random.default_rng(6).standard_normal((6, 1, 3, 2)).astype(np.float32)
    made[2] = numbers[2]  # nothing to share out
    samples = [Sample(tensors={}, numbers={"accel": one}) for one in numbers]
    reader = reconstruction(metric, direction)
    found = reader.many([{"made": one} for one in made], samples)
    for one, sample, together in zip(made, samples, found, strict=True):
        alone = reader({"made": one}, sample)
        assert isinstance(together, Anomaly)
        assert isinstance(alone, Anomaly)
        assert (together.score, together.channels) == (alone.score, alone.channels)
        assert together.contributions is not None
        assert alone.contributions is not None
        assert together.contributions.tolist() == alone.contributions.tolist()


def test_what_cannot_be_read_fails_alone() -> None:
    samples = [Sample(tensors={}, numbers={"accel": ACCEL})] * 3
    odd = {"made": np.zeros((1, 5), np.float32)}
    found = reconstruction("mse", "higherIsWorse").many([MADE, odd, MADE], samples)
    assert [type(one) for one in found] == [Anomaly, InferenceFailed, Anomaly]


def reconstruction(metric: Any, direction: Any) -> table.Reader:
    build = Build(path=Path("m.onnx"), format=ONNX, inputs=(AXES,), decoder="reconstruction")
    said = Score(metric=metric, direction=direction)
    card = ModelCard(name="m", version="1", task=Task.ANOMALY, folder=Path("."), builds=(build,), score=said)
    specs = [TensorSpec(name="made", datatype=Datatype.FP32, shape=(None, 3, 2))]
    return table.build(card, build, specs, settings=Postprocess(), labels=None)
