"""Known answers of real models: the runtime's tensors through the decoders, pictures prepared as the cards say."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import simplejpeg

from accelerators.onnxruntime import PLUGIN
from edgex_inference.contracts.accelerator import ONNX, LoadRequest, Session
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
from edgex_inference.contracts.results import Anomaly, Classification, Detections, Geometry, Result, Sample
from edgex_inference.postprocess import table
from edgex_inference.postprocess.values import evaluate

CLASSICAL = Path(__file__).parents[1] / "data" / "models"
ANSWERS: dict[str, Any] = json.loads((CLASSICAL / "sklearn.json").read_text())
FACES = Priors(steps=(8, 16, 32, 64), sizes=((10, 16, 24), (32, 48), (64, 96), (128, 192, 256)))
RAW_OFFSETS = "460"  # the tensor inside the graph from which it makes corners


@contextmanager
def loaded(path: Path) -> Iterator[Session]:
    assert PLUGIN.load is not None
    session = PLUGIN.load(LoadRequest(path=path, format=ONNX))
    try:
        yield session
    finally:
        session.close()


def interpreter(session: Session, task: Task, **said: Any) -> table.Interpreter:
    """`inputs`, `outputs` and `decoder` are the build's, the rest the card's."""
    parts = {key: said.pop(key) for key in ("inputs", "outputs", "decoder") if key in said}
    build = Build(path=Path("m.onnx"), format=ONNX, **parts)
    card = ModelCard(name="m", version="1", task=task, folder=CLASSICAL, builds=(build,), **said)
    return table.build(card, build, session.outputs, settings=Postprocess(), labels=said.get("labels"))


@pytest.fixture(scope="module")
def faces(testdata: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, Sample]:
    """The face model with its raw offsets as one more output, the prepared picture, and its sample."""
    graph = onnx.load(testdata / "models" / "face-rfb320" / "version-RFB-320.onnx")
    graph.graph.output.append(
        onnx.helper.make_tensor_value_info(RAW_OFFSETS, onnx.TensorProto.FLOAT, [1, 4420, 4])
    )
    path = tmp_path_factory.mktemp("faces") / "faces.onnx"
    path.write_bytes(graph.SerializeToString())
    picture = simplejpeg.decode_jpeg((testdata / "images" / "faces.jpg").read_bytes(), colorspace="RGB")
    small = cv2.resize(picture, (320, 240), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    height, width = picture.shape[:2]
    return path, ((small - 127) / 128).transpose(2, 0, 1)[None], Sample(
        tensors={}, geometry=Geometry(width=width, height=height)
    )  # fmt: skip


def face_finder(session: Session, boxes: OutputCard) -> table.Interpreter:
    return interpreter(
        session,
        Task.DETECTION,
        decoder="rfb",
        inputs=(ImageInput(name="image", tensor="input", size=(320, 240)),),
        outputs=(OutputCard(name="scores", role="scores", parameters={"background": 0}), boxes),
        priors=FACES,
        labels=("face",),
        postprocess=Postprocess(score_threshold=0.7, nms_iou=0.5),
    )


def test_28_faces_from_corners_and_from_offsets(faces: tuple[Path, np.ndarray, Sample]) -> None:
    path, picture, sample = faces
    with loaded(path) as session:
        tensors = session.infer({"input": np.ascontiguousarray(picture)})
        by_corners = face_finder(session, OutputCard(name="boxes", role="boxes"))(tensors, sample)
        by_offsets = face_finder(session, OutputCard(name="boxes", role="offsets", tensor=RAW_OFFSETS))(
            tensors, sample
        )
    assert isinstance(by_corners, Detections)
    assert isinstance(by_offsets, Detections)
    assert evaluate(by_corners, "count") == evaluate(by_corners, "count.face") == 28
    assert by_corners.scores[-1] == pytest.approx(0.7122, abs=1e-4)
    assert np.array_equal(by_corners.scores, by_offsets.scores)
    assert by_offsets.boxes == pytest.approx(by_corners.boxes, abs=1e-5)


def test_three_bottles(testdata: Path) -> None:
    clip = cv2.VideoCapture(str(testdata / "clips" / "bottle-detection.mp4"))
    for _ in range(61):
        found, frame = clip.read()
        assert found
    clip.release()
    small = cv2.resize(frame, (352, 352), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
    sample = Sample(tensors={}, geometry=Geometry(width=frame.shape[1], height=frame.shape[0]))
    with loaded(testdata / "models" / "fastestdet" / "FastestDet.onnx") as session:
        interpret = interpreter(
            session,
            Task.DETECTION,
            decoder="fastestdet",
            inputs=(ImageInput(name="image", tensor="input.1", size=(352, 352)),),
            outputs=(OutputCard(name="grid", tensor="758", role="grid"),),
            labels="coco80",
            postprocess=Postprocess(score_threshold=0.59, nms_iou=0.45),
        )
        result = interpret(
            session.infer({"input.1": np.ascontiguousarray(small.transpose(2, 0, 1)[None])}), sample
        )
    assert isinstance(result, Detections)
    assert [result.labels[kind] for kind in result.classes] == ["bottle", "bottle", "bottle", "person"]
    assert result.scores.tolist() == pytest.approx([0.816, 0.800, 0.682, 0.599], abs=1e-3)


def answers(name: str, result_of: Callable[[Session], table.Interpreter]) -> list[Result]:
    """What a scikit-learn model says of each probe, row by row."""
    with loaded(CLASSICAL / f"{name}.onnx") as session:
        interpret = result_of(session)
        rows = np.array(ANSWERS["rows"], dtype=np.float32)
        return [
            interpret(session.infer({"X": row}), Sample(tensors={"X": row}))
            for row in (rows[index : index + 1] for index in range(len(rows)))
        ]


def test_isolation_forest_is_worse_when_its_decision_is_negative() -> None:
    results = answers("isolation-forest", lambda s: interpreter(s, Task.ANOMALY, decoder="isolation-forest"))
    assert [evaluate(result, "score") for result in results] == pytest.approx(
        [-decision for decision in ANSWERS["decision"]], abs=1e-5
    )
    assert [evaluate(result, "score") > 0 for result in results] == [False, False, True]  # type: ignore[operator]


@pytest.mark.parametrize("labels", [None, ("stall", "run", "idle")])
def test_maps_of_texts(labels: tuple[str, ...] | None) -> None:
    results = answers("states-by-text", lambda s: interpreter(s, Task.CLASSIFICATION, labels=labels))
    for result, expected in zip(results, ANSWERS["probabilities"], strict=True):
        assert isinstance(result, Classification)
        assert result.labels == (labels or tuple(ANSWERS["classes"]))
        have = dict(zip(result.labels, result.scores.tolist(), strict=True))
        assert have == pytest.approx(dict(zip(ANSWERS["classes"], expected, strict=True)), abs=1e-6)


def test_maps_of_numbers() -> None:
    results = answers("states-by-number", lambda s: interpreter(s, Task.CLASSIFICATION))
    for result, expected in zip(results, ANSWERS["numbered"], strict=True):
        assert isinstance(result, Classification)
        assert result.labels == ("5", "6", "7")
        assert result.scores.tolist() == pytest.approx(expected, abs=1e-6)


def test_an_auto_encoder_that_declares_one_column_and_answers_otherwise() -> None:
    card = NumbersInput(name="axes", tensor="X", names=("x", "y", "z"))
    results = answers(
        "auto-encoder", lambda s: interpreter(s, Task.ANOMALY, decoder="reconstruction", inputs=(card,))
    )
    assert [evaluate(result, "score") for result in results] == pytest.approx(ANSWERS["errors"], rel=1e-4)
    assert all(isinstance(result, Anomaly) and result.channels == ("x", "y", "z") for result in results)
