"""Cards that cannot be used are refused with the key and the fix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import (
    Build,
    ImageInput,
    ModelCard,
    NumbersInput,
    OutputCard,
    Postprocess,
    Priors,
    Task,
)
from edgex_inference.contracts.results import Detections, Sample
from edgex_inference.contracts.tensors import Datatype, TensorSpec
from edgex_inference.postprocess import table

IMAGE = ImageInput(name="image", size=(64, 48))
SCORES = OutputCard(name="scores", role="scores", parameters={"background": 0})
UNSAID = Postprocess()
BOXES = OutputCard(name="boxes")
OFFSETS = OutputCard(name="boxes", role="offsets")
PRIORS = Priors(steps=(16,), sizes=((8,),))  # 4 x 3 cells


def fp32(**shapes: tuple[int | None, ...]) -> list[TensorSpec]:
    return [TensorSpec(name=name, datatype=Datatype.FP32, shape=shape) for name, shape in shapes.items()]


RFB = fp32(scores=(1, 12, 3), boxes=(1, 12, 4))
CENTERS = fp32(heat=(None, 3, 6, 8), size=(None, 2, 6, 8), shift=(None, 2, 6, 8))
HEADS = (
    OutputCard(name="heat", role="centers", parameters={"stride": 8}),
    OutputCard(name="size", role="sizes"),
    OutputCard(name="shift", role="offsets"),
)


def make(specs: Sequence[TensorSpec], settings: Postprocess = UNSAID, **said: Any) -> table.Interpreter:
    build = Build(
        path=Path("m.onnx"),
        format=ONNX,
        inputs=said.pop("inputs", (IMAGE,)),
        outputs=said.pop("outputs", ()),
        decoder=said.pop("decoder", None),
    )
    labels = said.pop("override", None)
    card = ModelCard(
        name="parts",
        version="1",
        task=said.pop("task", Task.DETECTION),
        folder=Path("."),
        builds=(build,),
        **said,
    )
    return table.build(card, build, specs, settings=settings, labels=labels)


@pytest.mark.parametrize(
    ("specs", "said", "text"),
    [
        (RFB, {}, "decoder: is missing: task detection needs centernet, fastestdet, rfb, ssd, .* or detr"),
        (RFB, {"decoder": "fastestdett"}, "'fastestdett' is not one of .*did you mean fastestdet"),
        (RFB, {"decoder": "yolov11"}, r"'yolov11' is not one of .*did you mean yolov8\?"),
        (RFB, {"decoder": "yolov8", "labels": ("a",)}, "which of scores and boxes has the numbers.*role: rows"),
        (fp32(o=(1, 84, 8400)), {"decoder": "yolov8", "labels": ("a",)}, "1 labels, but the model has 80 classes"),
        (fp32(o=(1, 25200, 5)), {"decoder": "yolov5"}, "outputs.o: o FP32.* has no 5 . classes in a row"),
        (fp32(a=(1, 10), b=(1, 10, 4), c=(1, 10)), {"decoder": "builtin-nms"}, "which of a, b and c .*role: boxes"),
        (fp32(grid=(1, 3, 9, 9, 7)), {"decoder": "yolov5", "inputs": ()}, "inputs: grids need"),
        (
            fp32(rows=(1, 9, 6)),
            {"decoder": "yolov10", "outputs": (OutputCard(name="rows", parameters={"coordinates": "pixel"}),)},
            r"outputs.rows.coordinates: 'pixel' is not pixels or shares \(did you mean pixels\?\)",
        ),
        (RFB, {"decoder": "logits"}, "logits belongs to task classification, but the card says task detection"),
        (RFB, {"task": Task.REGRESSION, "decoder": "plain"}, "'plain' is not needed for task regression: remove"),
        (RFB, {"task": Task.OCR}, "task: ocr is not yet supported"),
        (fp32(a=(1, 12, 4), b=(1, 12, 4)), {"decoder": "rfb"}, "none has role scores; the model's outputs are a and b"),
        (
            RFB,
            {"decoder": "rfb", "outputs": (SCORES, OutputCard(name="box", role="boxes", tensor="boxs"))},
            r"outputs.box.tensor: the file has no output 'boxs' \(did you mean boxes\?\); it has 'scores' and 'boxes'",
        ),
        (RFB, {"decoder": "rfb", "outputs": (OutputCard(name="scores", role="score"),)}, "'score' is not scores, box"),
        (
            RFB,
            {"decoder": "rfb", "outputs": (SCORES, OutputCard(name="boxes", role="scores"))},
            "outputs.boxes: scores has role scores too",
        ),
        (
            RFB,
            {"decoder": "rfb", "outputs": (SCORES, OutputCard(name="boxes", parameters={"form": "center"}))},
            r"outputs.boxes.form: 'center' is not corners, centers or offsets \(did you mean centers\?\)",
        ),
        (RFB, {"decoder": "rfb", "outputs": (SCORES, OFFSETS)}, "priors: is missing"),
        (RFB, {"decoder": "rfb", "outputs": (SCORES, OFFSETS), "priors": PRIORS, "inputs": ()}, "inputs: priors need"),
        (
            fp32(scores=(1, 13, 3), boxes=(1, 13, 4)),
            {"decoder": "rfb", "outputs": (SCORES, OFFSETS), "priors": PRIORS},
            "priors: they make 12 boxes, but boxes has 13",
        ),
        (
            RFB,
            {"decoder": "rfb", "outputs": (SCORES, OutputCard(name="boxes")), "labels": ("a",)},
            "labels: 1 labels, but the model has 2 classes",
        ),
        (
            RFB,
            {"decoder": "rfb", "outputs": (OutputCard(name="scores", parameters={"background": 3}), BOXES)},
            "outputs.scores.background: the model has no class 3",
        ),
        (
            RFB,
            {"decoder": "rfb", "outputs": (OutputCard(name="scores", parameters={"background": "0"}), BOXES)},
            "outputs.scores.background: '0' is not a whole number",
        ),
        (
            fp32(boxes=(1, 896, 16), scores=(1, 896, 1)),
            {"decoder": "ssd"},
            r"outputs.boxes: boxes.*896, 16.* has no 4 numbers in a row",
        ),
        (fp32(boxes=(1, 100, 5), scores=(1, 100, 3)), {"decoder": "detr"}, "has no 4 numbers in a row"),
        (fp32(rows=(1, 300, 38)), {"decoder": "yolov10"}, "outputs.rows: rows.* has no 6 or 7 numbers in a row"),
        (fp32(detections=(1, 1, 200, 6)), {"decoder": "builtin-nms"}, "has no 7 numbers in a row"),
        (CENTERS, {"decoder": "centernet", "outputs": HEADS[:2]}, "none has role offsets"),
        (CENTERS, {"decoder": "centernet", "outputs": HEADS, "labels": ("a",)}, "1 labels, but the model has 3"),
        (
            CENTERS,
            {"decoder": "centernet", "outputs": HEADS, "inputs": (ImageInput(name="image", size=(320, 240)),)},
            "outputs.heat.stride: the grid is 8 cells wide, but input and stride make 40",
        ),
        (fp32(grid=(1, 5, 22, 22)), {"decoder": "fastestdet"}, "no grid of FastestDet"),
        (fp32(grid=(1, 85, 22, 22)), {"decoder": "fastestdet", "labels": ("a", "b")}, "2 labels.* 80 classes"),
        (fp32(y=(None, 3)), {"task": Task.CLASSIFICATION, "labels": ("a", "b")}, "2 labels.* 3 classes"),
        (fp32(a=(1, 3), b=(1, 3)), {"task": Task.CLASSIFICATION}, "which of a and b .*role: scores"),
        (
            fp32(y=(None, 3)),
            {"task": Task.ANOMALY, "decoder": "reconstruction", "inputs": (IMAGE, NumbersInput(name="t"))},
            "outputs.y: which input is it compared with",
        ),
        (fp32(y=(1, 3)), {"task": Task.CLASSIFICATION, "postprocess": Postprocess(nms_iou=0.5)}, "nmsIou: does"),
    ],
)  # fmt: skip
def test_refused(specs: list[TensorSpec], said: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelRejected, match=text) as caught:
        make(specs, **said)
    assert str(caught.value).startswith("model 'parts': ")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            Postprocess(classes=("bott",)),
            r"postprocess.classes: 'bott' is no label \(did you mean bottle\?\)",
        ),
        (Postprocess(score_threshold=1.5), "postprocess.scoreThreshold: 1.5 is not in 0..1"),
        (Postprocess(nms_iou=-1), "postprocess.nmsIou: -1 is not in 0..1"),
        (Postprocess(top=0), "postprocess.top: 0 is not at least 1"),
        (Postprocess(soft_nms=0), "postprocess.softNms: 0 is not above 0"),
    ],
)
def test_refused_settings(settings: Postprocess, text: str) -> None:
    with pytest.raises(ModelRejected, match=text):
        make(fp32(grid=(1, 85, 22, 22)), settings, decoder="fastestdet", override="coco80")


def one_box(interpret: table.Interpreter) -> Detections:
    scores = np.zeros((1, 12, 3), np.float32)
    scores[0, 0] = 0.1, 0.3, 0.6
    boxes = np.tile(np.array([0.0, 0.0, 0.5, 0.5], np.float32), (1, 12, 1))
    result = interpret({"scores": scores, "boxes": boxes}, Sample(tensors={}))
    assert isinstance(result, Detections)
    return result


RFB_SAID: dict[str, Any] = {
    "decoder": "rfb",
    "outputs": (SCORES, OutputCard(name="boxes")),
    "labels": ("a", "b"),
}


def test_the_binding_goes_before_the_card_and_the_card_before_defaults() -> None:
    assert one_box(make(RFB, **RFB_SAID)).scores.tolist() == pytest.approx([0.6])
    said = RFB_SAID | {"postprocess": Postprocess(score_threshold=0.2)}
    assert one_box(make(RFB, **said)).scores.tolist() == pytest.approx([0.6, 0.3])
    assert one_box(make(RFB, Postprocess(score_threshold=0.7), **said)).scores.size == 0
    assert one_box(make(RFB, override=("c", "d"), **RFB_SAID)).labels == ("c", "d")


def test_the_binding_s_nms_iou_goes_before_the_card_s_soft_one() -> None:
    twins = {
        "scores": np.array([[[0.0, 0.9, 0], [0, 0.8, 0]]], np.float32),
        "boxes": np.array([[[0, 0, 0.5, 0.5], [0, 0, 0.4, 0.5]]], np.float32),
    }
    said = RFB_SAID | {"postprocess": Postprocess(soft_nms=9.0)}
    specs = fp32(scores=(1, 2, 3), boxes=(1, 2, 4))
    for settings, left in ((UNSAID, 2), (Postprocess(nms_iou=0.5), 1), (Postprocess(soft_nms=0.1), 1)):
        found = make(specs, settings, **said)(twins, Sample(tensors={}))
        assert isinstance(found, Detections)
        assert len(found.scores) == left


def test_a_setting_of_zero_is_said() -> None:
    found = one_box(make(RFB, Postprocess(score_threshold=0.0, nms_iou=0.0), **RFB_SAID))
    assert found.scores.tolist() == pytest.approx([0.6, 0.3]), "12 equal boxes of two classes"


def test_classes_without_labels_have_numbers() -> None:
    assert one_box(make(RFB, **(RFB_SAID | {"labels": None}))).labels == ("0", "1")
