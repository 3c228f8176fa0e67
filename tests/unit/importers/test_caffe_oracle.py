"""Caffe nets as ONNX Runtime computes them, against what OpenCV 4's own importer of Caffe answered."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from edgex_inference.importers.caffe import convert
from edgex_inference.testing.caffe_models import ORACLE, REAL, kept, sample

ANSWERS: Mapping[str, Any] = np.load(Path(__file__).parents[2] / "data" / "caffe" / "opencv.npz")
PLAIN = [name for name in ORACLE if not name.startswith("ssd")]


def session(model: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("name", PLAIN)
def test_a_layer_as_opencv_computes_it(name: str, tmp_path: Path) -> None:
    case = ORACLE[name]
    running = session(convert(*case.write(tmp_path)))
    (answer,) = running.run(["out"], {"data": case.input()})
    np.testing.assert_allclose(answer, ANSWERS[name].reshape(answer.shape), rtol=1e-4, atol=1e-5)


def code_of(name: str) -> str:
    return {"ssd centers": "CENTER_SIZE", "ssd corners": "CORNER"}[name]


def suppressed(boxes: Any, scores: Any) -> list[tuple[int, float, Any]]:
    """Caffe's suppression over every class but the background: label, score and box, the best first."""
    found = []
    for label in range(1, scores.shape[1]):
        rows = [row for row in np.argsort(-scores[:, label], kind="stable") if scores[row, label] > 0.3]
        kept_rows: list[int] = []
        for row in rows[:100]:
            if all(overlap(boxes[row], boxes[other]) <= 0.45 for other in kept_rows):
                kept_rows.append(row)
        found += [(label, float(scores[row, label]), boxes[row]) for row in kept_rows]
    return sorted(found, key=lambda one: -one[1])[:50]


def overlap(one: Any, other: Any) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one, other)]
    return shared / (sum(areas) - shared)


@pytest.mark.parametrize("name", [name for name in ORACLE if name.startswith("ssd")])
def test_a_detector_before_suppression(name: str, tmp_path: Path) -> None:
    case = ORACLE[name]
    model = convert(*case.write(tmp_path))
    said = {pair.key: pair.value for pair in model.metadata_props}
    head = json.loads(said["caffe.head"])
    assert (head["offsets"], head["boxes"], head["code"]) == ("loc", "detection_out_boxes", code_of(name))
    assert (said["caffe.nmsIou"], said["caffe.scoreThreshold"], said["batch"]) == ("0.45", "0.3", "any")
    names = ["detection_out_boxes", "detection_out_scores"]
    boxes, scores = session(model).run(names, {"data": np.repeat(case.input(), 2, 0)})
    np.testing.assert_array_equal(boxes[0], boxes[1])
    found = suppressed(boxes[0], scores[0])
    rows = sorted(ANSWERS[name].reshape(-1, 7), key=lambda row: -row[2])
    assert len(found) == len(rows) > 3
    for (label, score, box), row in zip(found, rows, strict=True):
        assert label == row[1]
        np.testing.assert_allclose([score, *box], row[2:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REAL)
def test_a_real_net_as_opencv_computes_it(name: str, testdata: Path) -> None:
    shape, outputs = REAL[name]
    at = testdata / "models" / name
    model = convert(at.with_name(f"{at.name}.prototxt"), at.with_name(f"{at.name}.caffemodel"))
    running = session(model)
    data = np.repeat(sample(shape), 2, 0)
    for output, answer in zip(
        outputs, running.run(list(outputs), {running.get_inputs()[0].name: data}), strict=True
    ):
        wanted = ANSWERS[f"{name}:{output}"]
        for row in answer:
            np.testing.assert_allclose(kept(row[None]).reshape(wanted.shape), wanted, atol=5e-6)


def test_rfb_320_agrees_with_its_onnx_twin(testdata: Path) -> None:
    """Scores as they are; its boxes are offsets, which the twin decodes."""
    folder = testdata / "models" / "face-rfb320"
    model = convert(folder / "RFB-320.prototxt", folder / "RFB-320.caffemodel")
    data = sample((1, 3, 240, 320))
    (scores,) = session(model).run(["scores"], {"input": data})
    (wanted,) = session(onnx.load(folder / "version-RFB-320.onnx")).run(["scores"], {"input": data})
    assert float(np.abs(scores - wanted).max()) < 5e-6
