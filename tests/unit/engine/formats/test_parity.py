"""When two answers are the same, and when a conversion is refused."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.engine.formats.parity import (
    Case,
    Parity,
    compare,
    read_cases,
    read_samples,
    row_by_row,
    says_nothing,
    turned,
)


def off(have: object, want: object) -> float:
    return compare([np.asarray(have)], [np.asarray(want)], ["y"], 1e-4).difference


@pytest.mark.parametrize(
    ("have", "want", "difference"),
    [
        ([0.5], [0.25], 0.25),
        ([101.0], [100.0], 0.01),
        ([math.nan], [math.nan], 0.0),
        ([math.nan], [1.0], math.inf),
        ([math.inf], [math.inf], 0.0),
        ([1.0, 2.0], [1.0], math.inf),
        ([[1.0], [2.0]], [1.0, 2.0], 0.0),
        ([3], [5], 2.0),
        (["a", "b"], ["a", "b"], 0.0),
        (["a", "b"], ["a", "c"], math.inf),
    ],
)
def test_differences(have: object, want: object, difference: float) -> None:
    assert off(have, want) == pytest.approx(difference)


def test_the_output_that_is_furthest_off_is_named() -> None:
    one, other = np.zeros(3), np.array([0.0, 0.5, 0.0])
    worst = compare([one, other], [one, one], ["a", "b"], 1e-4)
    assert (worst.output, worst.difference) == ("b", 0.5)
    assert worst.share > 1


def test_quantized_numbers_may_be_one_off_and_labels_may_not() -> None:
    assert compare([np.int8([5])], [np.int8([6])], ["y"], 1e-4).share <= 1
    assert compare([np.int8([5])], [np.int8([7])], ["y"], 1e-4).share > 1
    assert compare([np.int64([5])], [np.int64([6])], ["y"], 1e-4).share > 1


def test_another_number_of_outputs() -> None:
    assert compare([], [np.zeros(1)], ["y"], 1e-4).share == math.inf


def test_answers_that_are_all_alike_prove_little() -> None:
    def case(value: float) -> Case:
        return Case(inputs=(np.zeros(1),), outputs=(np.array([value]),))

    assert says_nothing([case(1), case(1)])
    assert not says_nothing([case(1), case(2)])


def test_a_card_reads_its_line_as_numbers() -> None:
    line = Parity(
        source="torch 2",
        difference=1.2e-7,
        tolerance=1e-4,
        samples=6,
        converter="c",
        checked_on="onnxruntime:CPU",
    ).line()
    said = yaml.safe_load(line)["parity"]
    assert said["difference"] == 1.2e-7
    assert said["tolerance"] == 1e-4
    assert (said["samples"], said["checkedOn"]) == (6, "onnxruntime:CPU")


def test_samples_of_both_forms(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"x": [[1, 2], [3, 4]]}))
    np.savez(tmp_path / "s.npz", x=np.ones((2, 2)))
    for name in ("s.json", "s.npz"):
        assert read_samples(tmp_path / name).rows(["anything"])["anything"].shape == (2, 2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b'{"x": [[1], [1, 2]]}',
        b'{"x": 1}',
        b'{"x": [1], "y": [1, 2]}',
        b'{"x": []}',
        b'{"x": [{}]}',
    ],
)
def test_what_holds_no_samples(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(content)
    with pytest.raises(ModelRejected, match="holds"):
        read_samples(path)


def test_pickled_samples_are_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ModelRejected, match="holds no samples"):
        read_samples(tmp_path / "s.npz")


def test_a_conversion_without_answers_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"0.in.0": np.zeros(1)})
    with pytest.raises(ModelRejected, match="no answers"):
        read_cases(tmp_path / "a.npz", "m")


def test_inputs_whose_axes_are_in_another_order() -> None:
    picture, mask = np.arange(24.0).reshape(1, 2, 3, 4), np.zeros((1, 5))
    found = turned(Case(inputs=(picture, mask), outputs=(picture,)), [(0, 2, 3, 1), (0, 1)])
    assert found.inputs[0].shape == (1, 3, 4, 2)
    assert found.inputs[0][0, 1, 2, 1] == picture[0, 1, 1, 2]
    assert found.inputs[1] is not None
    assert found.outputs == (picture,)
    assert turned(found, ()) is found


@pytest.mark.parametrize(
    ("extent", "outputs", "count"),
    [(1, (3, 2), 3), (None, (3, 2), 1), (3, (3, 2), 1), (1, (1, 2), 1), (1, (), 1)],
)
def test_rows_apart_for_a_model_that_takes_one(
    extent: int | None, outputs: tuple[int, ...], count: int
) -> None:
    spec = TensorSpec(name="x", datatype=Datatype.FP32, shape=(extent, 4))
    case = Case(inputs=(np.arange(12.0).reshape(3, 4),), outputs=(np.ones(outputs),))
    found = row_by_row([case], [spec])
    assert len(found) == count
    if count > 1:
        assert found[2].inputs[0].tolist() == [[8, 9, 10, 11]]
