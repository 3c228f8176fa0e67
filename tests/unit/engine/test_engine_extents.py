"""What a card fixes of open extents before its file is loaded."""

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from edgex_inference.contracts import onnx_file, unchanged
from edgex_inference.contracts.accelerator import ONNX, TFLITE
from edgex_inference.contracts.models import Build, ImageInput, InputCard, NumbersInput
from edgex_inference.engine.cards.extents import Extents, extents_of
from edgex_inference.testing.onnx_models import save

Shape = tuple[int | str, ...]
PICTURE = ImageInput(name="x", size=(320, 240))
NHWC = ImageInput(name="x", size=(320, 240), layout="NHWC")


def written(folder: Path, *shapes: Shape) -> Path:
    """An ONNX file with inputs x, b … of these shapes."""
    names = [chr(ord("a") + n) for n in range(len(shapes))]
    names[0] = "x"
    specs = {name: (TensorProto.FLOAT, shape) for name, shape in zip(names, shapes, strict=True)}
    nodes = [helper.make_node("Neg", [name], [f"out_{name}"]) for name in names]
    return save(folder / "m.onnx", nodes, specs, {f"out_{name}": spec for name, spec in specs.items()})


@pytest.mark.parametrize(
    ("shape", "entry", "fixed"),
    [
        (("N", 3, "H", "W"), PICTURE, (None, None, 240, 320)),
        (("N", "H", "W", 3), PICTURE, (None, 240, 320, None)),
        (("N", "H", "W", 1), PICTURE, (None, 240, 320, None)),
        (("N", "H", "W", "C"), NHWC, (None, 240, 320, None)),
        (("N", "A", "B", "C"), PICTURE, None),
        (("N", 3, 240, 320), PICTURE, None),
        (("N", "L"), PICTURE, None),
        (("N", 3, "H", "W"), ImageInput(name="x"), None),
        (("N", "L"), NumbersInput(name="x", shape=(16,)), (None, 16)),
        (("N", 16), NumbersInput(name="x", shape=(16,)), None),
        ((1, "L"), NumbersInput(name="x", shape=(16,)), (None, 16)),
        (("L",), NumbersInput(name="x", shape=(16,)), (16,)),
        (("N", "L"), NumbersInput(name="x", shape=(1, 16)), (None, 16)),
        (("L", "C"), NumbersInput(name="x", shape=(50, 6)), (50, 6)),
        (("N", "L"), NumbersInput(name="x", shape=(3, 4, 5)), None),
        (("N", "L"), NumbersInput(name="x"), None),
    ],
)
def test_extents_of_one_input(tmp_path: Path, shape: Shape, entry: InputCard, fixed: Extents | None) -> None:
    found = extents_of(Build(path=written(tmp_path, shape), format=ONNX, inputs=(entry,)))
    assert found == ({} if fixed is None else {"x": fixed})


def test_the_tensor_is_found_by_its_name_or_as_the_only_one(tmp_path: Path) -> None:
    path = written(tmp_path, ("N", "L"), ("N", "M"))
    named = NumbersInput(name="vibration", tensor="b", shape=(8,))
    assert extents_of(Build(path=path, format=ONNX, inputs=(named,))) == {"b": (None, 8)}
    unknown = NumbersInput(name="vibration", shape=(8,))
    assert extents_of(Build(path=path, format=ONNX, inputs=(unknown,))) == {}
    alone = written(tmp_path / "one", ("N", "L"))
    assert extents_of(Build(path=alone, format=ONNX, inputs=(unknown,))) == {"x": (None, 8)}
    wrong = NumbersInput(name="vibration", tensor="y", shape=(8,))
    assert extents_of(Build(path=alone, format=ONNX, inputs=(wrong,))) == {}


def test_of_other_formats_pictures_with_a_layout(tmp_path: Path) -> None:
    inputs = (NHWC, NumbersInput(name="n", shape=(4,)), ImageInput(name="p", size=(8, 8)))
    assert extents_of(Build(path=tmp_path / "m.tflite", format=TFLITE, inputs=inputs)) == {
        "x": (None, 240, 320, None)
    }


def test_a_file_that_cannot_be_read_is_for_the_runtime_to_refuse(tmp_path: Path) -> None:
    build = Build(path=tmp_path / "m.onnx", format=ONNX, inputs=(PICTURE,))
    assert extents_of(build) == {}
    build.path.write_bytes(b"garbage")
    assert extents_of(build) == {}


def test_a_file_is_read_again_when_it_was_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = written(tmp_path, ("N", "L"))
    assert onnx_file.read(first) is not onnx_file.read(first), (
        "it may be written again within a tick of the clock"
    )
    monkeypatch.setattr(unchanged, "_SETTLED", 0.0)
    assert onnx_file.read(first) is onnx_file.read(first)
    written(tmp_path / "other", ("N", "M")).replace(first)
    (declared,) = onnx_file.read(first).inputs
    assert declared.shape == ("N", "M")
