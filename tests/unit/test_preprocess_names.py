"""A card's names and a binding's readings: by name, by position where all names are foreign, never half and half."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgex_inference.cli.main import main
from edgex_inference.contracts.bindings import Binding, InputReading, ModelChoice, Resource
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import NumbersInput
from edgex_inference.preprocess.feeds import assign

XYZ = NumbersInput(name="x", names=("X", "Y", "Z"))
HEAT = NumbersInput(name="heat", names=("T",))
PLAIN = NumbersInput(name="plain")


def assigned(cards: Sequence[NumbersInput], *inputs: str | InputReading) -> list[list[str]]:
    """What each input is fed with."""
    readings = tuple(InputReading(resource=one) if isinstance(one, str) else one for one in inputs)
    model = ModelChoice(name="spindle")
    binding = Binding(profile="p", resource="A", name="B", model=model, outputs=(), inputs=readings)
    names = {*(one.resource for one in readings), "A", "X", "Y", "Z"}
    resources = {name: Resource(name=name, value_type="Float32") for name in names}
    return [[str(feed) for feed in feeds] for feeds in assign(binding, cards, resources)]


def test_names_of_the_card_give_the_order() -> None:
    assert assigned([XYZ], "Z", "X", "Y") == [["X", "Y", "Z"]]


def test_foreign_names_are_taken_in_their_order() -> None:
    assert assigned([XYZ], "c", "a", "b") == [["c", "a", "b"]]
    fields = [InputReading(resource="Motor", pointer=f"/{key}") for key in "uvw"]
    assert assigned([XYZ], *fields) == [["Motor at /u", "Motor at /v", "Motor at /w"]]


def test_foreign_names_over_several_inputs() -> None:
    assert assigned([XYZ, HEAT], "a", "b", "c", "d") == [["a", "b", "c"], ["d"]]
    assert assigned([XYZ, HEAT], "T", "Z", "X", "Y") == [["X", "Y", "Z"], ["T"]]


@pytest.mark.parametrize(
    ("cards", "inputs", "says"),
    [
        ([XYZ], ("a", "X", "b"), r"no reading is called Y \(the binding names a, X, b"),
        ([XYZ], ("a", "b"), "no reading is called X"),
        ([XYZ], ("a", "b", "c", "d"), "use none of the card's names: as many readings are then taken in their order"),
        ([XYZ, HEAT], ("a", "b", "c", "T"), "no reading is called X"),
        ([XYZ, PLAIN], ("a", "b", "c", "d"), "no reading is called X"),
        ([XYZ], ("X", "X", "Y"), "2 readings are called X"),
    ],
)  # fmt: skip
def test_half_and_half_is_a_mistake(cards: list[NumbersInput], inputs: tuple[str, ...], says: str) -> None:
    with pytest.raises(ModelRejected, match=says):
        assigned(cards, *inputs)


def test_a_binding_without_inputs_goes_by_name() -> None:
    assert assigned([XYZ]) == [["X", "Y", "Z"]]


PROFILE = """apiVersion: v3
name: mill
deviceResources:
  - name: {names[0]}
    properties:
      valueType: Float32Array
      optional:
        inference:
          Health:
            model: {{name: spindle-ae}}
            inputs: [{inputs}]
            outputs: {{Score: {{value: score}}}}
  - {{name: {names[1]}, properties: {{valueType: Float32Array}}}}
  - {{name: {names[2]}, properties: {{valueType: Float32Array}}}}
  - {{name: {names[3]}, properties: {{valueType: Float32}}}}
"""


@pytest.mark.parametrize(
    ("names", "code", "says"),
    [
        (("vib_x", "vib_y", "vib_z", "t_bearing"), 0, "1 file: 0 errors, 0 warnings"),
        (("AccelX", "vib_y", "vib_z", "t_bearing"), 1, "no reading is called AccelY"),
    ],
)
def test_validate_knows_foreign_names(
    names: tuple[str, ...], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ", ".join(f"{{resource: {name}}}" for name in names)
    (tmp_path / "p.yaml").write_text(PROFILE.format(names=names, inputs=inputs))
    assert main(["validate", str(tmp_path / "p.yaml")]) == code
    assert says in capsys.readouterr().out
