"""What Ultralytics' exporters leave in a file says how it is read where the card is silent."""

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from edgex_inference.contracts.accelerator import Format, LoadRequest
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import Build, ImageInput, ModelCard, Task
from edgex_inference.engine.cards.complete import complete
from edgex_inference.engine.catalog import Catalog
from edgex_inference.testing import onnx_models

NAMES = {"names": "{0: 'cat', 1: 'dog'}", "stride": "32"}
OPEN = ("N", 3, "H", "W")


def completed(
    tmp_path: Path,
    output: tuple[int, ...],
    metadata: dict[str, str],
    *,
    task: Task = Task.DETECTION,
    picture: tuple[int | str, ...] = (1, 3, 32, 64),
    decoder: str | None = None,
) -> Build:
    """The build of a model with a picture and one constant output."""
    numbers = helper.make_tensor("c", TensorProto.FLOAT, output, [0.0] * _size(output))
    nodes = [
        helper.make_node("Constant", [], ["output0"], value=numbers),
        helper.make_node("Abs", ["images"], ["p"]),
    ]
    path = onnx_models.save(
        tmp_path / "m.onnx", nodes, {"images": (TensorProto.FLOAT, picture)},
        {"output0": (TensorProto.FLOAT, output), "p": (TensorProto.FLOAT, picture)}, metadata=metadata,
    )  # fmt: skip
    build = Build(path=path, format=Format("onnx"), decoder=decoder)
    load = Catalog().get("onnxruntime").load
    assert load is not None
    session = load(LoadRequest(path=path, format=build.format))
    try:
        card = ModelCard(name="m", version="1", task=task, folder=tmp_path, builds=(build,))
        return complete(card, build, session)
    finally:
        session.close()


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


@pytest.mark.parametrize(
    ("output", "more", "decoder"),
    [
        ((1, 6, 84), {"task": "detect"}, "yolov8"),
        ((1, 30, 6), {"task": "detect"}, "yolov10"),
        ((1, 252, 7), {}, "yolov5"),
        ((1, 9, 84), {"task": "detect"}, None),
        ((1, 6, 84), {"task": "pose"}, None),
        ((1, 6, 84), {}, None),
    ],
)
def test_the_decoder_of_a_detector(
    tmp_path: Path, output: tuple[int, ...], more: dict[str, str], decoder: str | None
) -> None:
    build = completed(tmp_path, output, NAMES | more)
    assert build.decoder == decoder
    assert build.labels == ("cat", "dog")
    assert completed(tmp_path, output, NAMES | more, decoder="ssd").decoder == "ssd", "the card goes first"


def test_a_classifier_s_answers_are_probabilities(tmp_path: Path) -> None:
    build = completed(tmp_path, (1, 2), NAMES | {"task": "classify"}, task=Task.CLASSIFICATION)
    assert build.decoder == "softmax"


def test_card_and_file_must_mean_the_same_task(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="the card says classification, the file says detect"):
        completed(tmp_path, (1, 6, 84), NAMES | {"task": "detect"}, task=Task.CLASSIFICATION)
    assert completed(tmp_path, (1, 6, 84), NAMES | {"task": "detect"}, task=Task.RAW).decoder is None


def test_other_exporters_names_say_nothing_about_the_decoder(tmp_path: Path) -> None:
    assert completed(tmp_path, (1, 6, 84), {"names": NAMES["names"], "task": "detect"}).decoder is None


def test_an_open_size_is_what_the_exporter_meant(tmp_path: Path) -> None:
    (image,) = completed(tmp_path, (1, 6, 84), NAMES | {"imgsz": "[32, 64]"}, picture=OPEN).inputs
    assert isinstance(image, ImageInput)
    assert image.size == (64, 32)


@pytest.mark.parametrize("text", ["", "[0, 64]", "[1, 2, 3]", "['a', 'b']", "640"])
def test_a_size_that_is_none_is_still_missing(tmp_path: Path, text: str) -> None:
    (image,) = completed(tmp_path, (1, 6, 84), NAMES | {"imgsz": text}, picture=OPEN).inputs
    assert isinstance(image, ImageInput)
    assert image.size is None
