"""One model, three runtimes, one answer; and the known answers of real models through OpenVINO."""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.results import Anomaly, Classification, Detections, Result
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.engine.store import Store
from edgex_inference.pipeline.planning import golden
from edgex_inference.postprocess.values import evaluate
from tests import agreement

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "edgex_inference" / "demo" / "models"
CLASSICAL = ROOT / "tests" / "data" / "models"
CARDS: Mapping[str, tuple[str, str]] = {
    "face": (
        "face-rfb320",
        """schema: 1
name: face-rfb320
version: "1"
task: detection
files: [FILES]
inputs:
  image: {tensor: input, kind: image, layout: NCHW, color: rgb, size: [320, 240], fit: stretch, resize: bilinear,
          decode: full, range: [0, 255], mean: [127, 127, 127], std: [128, 128, 128]}
outputs:
  scores: {role: scores, background: 0}
  boxes: {role: boxes, form: corners}
decoder: rfb
priors: {steps: [8, 16, 32, 64], sizes: [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]], variances: [0.1, 0.2]}
labels: [face]
postprocess: {scoreThreshold: 0.7, nmsIou: 0.5}
""",
    ),
    "bottles": (
        "fastestdet",
        """schema: 1
name: fastestdet
version: "1"
task: detection
files: [FILES]
inputs:
  image: {tensor: input.1, kind: image, layout: NCHW, color: bgr, size: [352, 352], fit: stretch, resize: bilinear,
          decode: full, range: [0, 1]}
outputs:
  grid: {tensor: "758", role: grid}
decoder: fastestdet
labels: coco80
postprocess: {scoreThreshold: 0.65, nmsIou: 0.45}
""",
    ),
    "sound": (
        "mlperf-tiny",
        """schema: 1
name: mlperf-tiny
version: "1"
task: anomaly
files: [FILES]
inputs:
  frames: {tensor: input_1, kind: tensor, shape: [640], dtype: float32}
outputs:
  reconstruction: {tensor: Identity, role: reconstruction, dtype: float32}
decoder: reconstruction
score: {metric: mse, direction: higherIsWorse, limit: 30}
""",
    ),
    "people": (
        "mlperf-tiny",
        """schema: 1
name: mlperf-tiny
version: "1"
task: classification
files: [FILES]
inputs:
  picture: {kind: image, color: rgb, layout: NHWC, size: [96, 96], fit: stretch, resize: bilinear, range: [0, 1]}
outputs:
  scores: {role: scores}
labels: [no person, person]
""",
    ),
}
BUILDS = {
    "rfb.onnx": "{path: version-RFB-320.onnx, format: onnx}",
    "rfb.tflite": "{path: version-RFB-320_without_postprocessing.tflite, format: tflite, "
    "inputs: {image: {tensor: input_1, layout: NHWC}}, "
    "outputs: {scores: {tensor: Identity_1}, boxes: {tensor: Identity, role: offsets}}}",
    "fastestdet.onnx": "{path: FastestDet.onnx, format: onnx}",
    "ad01.fp32": "{path: ad01_fp32.tflite, format: tflite}",
    "ad01.int8": "{path: ad01_int8.tflite, format: tflite, "
    "inputs: {frames: {dtype: int8, quantization: {scale: 0.3910152316093445, zero: 89}}}, "
    "outputs: {reconstruction: {dtype: int8, quantization: {scale: 0.36449846625328064, zero: 96}}}}",
    "ad01.int8.bare": "{path: ad01_int8.tflite, format: tflite, inputs: {frames: {dtype: int8}}, "
    "outputs: {reconstruction: {dtype: int8}}}",
    "ad01.int8.wrong": "{path: ad01_int8.tflite, format: tflite, "
    "inputs: {frames: {dtype: int8, quantization: {scale: 0.5, zero: 89}}}, outputs: {reconstruction: {dtype: int8}}}",
    "vww": "{path: vww_96_int8.tflite, format: tflite}",
}


@pytest.fixture(autouse=True)
def _runtimes(needs: Callable[..., None]) -> None:
    needs("onnxruntime", "openvino", "onnx", "ai_edge_litert")


MEASURED = [(name, model) for name in agreement.names() for model in agreement.models(name)]


@pytest.mark.parametrize(
    ("name", "model"), MEASURED, ids=lambda one: one if isinstance(one, str) else f"{one.name} {one.format}"
)
def test_answers_are_as_near_as_the_readme_says(
    name: str, model: agreement.Model, request: pytest.FixtureRequest
) -> None:
    testdata: Path = Path() if model.ours else request.getfixturevalue("testdata")
    stated = agreement.stated(name)
    told = stated.rows[model.name, model.format]
    found = agreement.compared(name, model, testdata)
    assert (told == "cannot read it") == bool(found.refused), found.refused
    assert found.within(stated), f"{found} of {found.largest:.3g}, the README says {told}"


@pytest.mark.parametrize("name", agreement.names())
def test_what_the_readme_says_is_within_what_it_states(name: str) -> None:
    stated = agreement.stated(name)
    assert set(stated.rows) == {(model.name, model.format) for model in agreement.models(name)}, (
        f"EDGEX_INFERENCE_TESTDATA=… python -m tests.agreement {name} writes the table anew"
    )
    for told, largest in stated.figures():
        assert told <= max(0.5, largest) * stated.floats or (
            told == round(told) and 0 <= told <= stated.steps
        ), f"{told} of {largest}"


def test_every_plugin_says_what_was_measured() -> None:
    assert {"litert", "onnxruntime", "openvino"} <= set(agreement.names())
    for folder in (ROOT / "accelerators").iterdir():
        if (folder / "README.md").is_file():
            assert "## Measured differences" in (folder / "README.md").read_text(), folder.name


@pytest.mark.parametrize("file", ["mobilenet_v1_0.25_128_quant", "split_concat"])
def test_files_for_the_edge_tpu_have_the_ports_of_their_twins(testdata: Path, file: str) -> None:
    """No chip was at hand to run them; the twin on the CPU takes and gives the same tensors."""
    from ai_edge_litert.interpreter import Interpreter

    ports = []
    for suffix in ("", "_edgetpu"):
        native = Interpreter(model_path=str(testdata / "models" / "coral" / f"{file}{suffix}.tflite"))
        every = (native.get_input_details(), native.get_output_details())
        ports.append(
            [
                [(one["name"], *one["shape"], one["dtype"], one["quantization"]) for one in side]
                for side in every
            ]
        )
    assert ports[0] == ports[1]
    assert ports[0][0]


@pytest.mark.parametrize("accelerator", ["onnxruntime", "openvino", "reference"])
@pytest.mark.parametrize("name", ["part-detect", "spindle-ae"])
async def test_golden_samples_hold_everywhere(accelerator: str, name: str) -> None:
    catalog, fleet = Catalog(), Fleet()
    card = Store([DEMO]).find(name)
    choice = AcceleratorChoice(name=accelerator)
    (candidate,) = catalog.candidates(choice, [build.format for build in card.builds])
    lane, build = await fleet.acquire(candidate, choice, card)
    await golden.check(lane, card, build, max_pixels=10_000_000)
    await fleet.close()


async def results(
    testdata: Path, folder: Path, kind: str, builds: list[str], accelerator: str, *files: Path
) -> list[Result]:
    """What a real model says of these files, by its card, through the engine."""
    name, card = CARDS[kind]
    target = folder / name / "1"
    shutil.copytree(testdata / "models" / name, target, dirs_exist_ok=True)
    (target / "model.yaml").write_text(card.replace("FILES", ", ".join(BUILDS[build] for build in builds)))
    catalog, fleet = Catalog(), Fleet()
    read = Store([folder]).find(name)
    choice = AcceleratorChoice(name=accelerator)
    candidate = catalog.candidates(choice, [build.format for build in read.builds])[0]
    lane, build = await fleet.acquire(candidate, choice, read)
    try:
        return [await golden.answer(lane, read, build, file, max_pixels=64_000_000) for file in files]
    finally:
        await fleet.close()


@pytest.mark.parametrize(
    ("accelerator", "builds"),
    [
        ("openvino", ["rfb.onnx"]),
        ("openvino", ["rfb.tflite"]),
        ("openvino", ["rfb.tflite", "rfb.onnx"]),
        ("onnxruntime", ["rfb.tflite", "rfb.onnx"]),
        ("reference", ["rfb.tflite", "rfb.onnx"]),
        ("litert", ["rfb.tflite"]),
        ("litert", ["rfb.onnx", "rfb.tflite"]),
        ("auto", ["rfb.tflite"]),
    ],
)
async def test_28_faces(testdata: Path, tmp_path: Path, accelerator: str, builds: list[str]) -> None:
    picture = testdata / "images" / "faces.jpg"
    (found,) = await results(testdata, tmp_path, "face", builds, accelerator, picture)
    assert isinstance(found, Detections)
    assert evaluate(found, "count.face") == 28
    assert found.scores.min() == pytest.approx(0.7122, abs=2e-4)


@pytest.mark.parametrize("accelerator", ["openvino", "onnxruntime", "reference"])
async def test_three_bottles_on_every_runtime(testdata: Path, tmp_path: Path, accelerator: str) -> None:
    clip = cv2.VideoCapture(str(testdata / "clips" / "bottle-detection.mp4"))
    for _ in range(61):
        read, frame = clip.read()
        assert read
    clip.release()
    picture = tmp_path / "frame.png"
    cv2.imwrite(str(picture), frame)
    (found,) = await results(testdata, tmp_path, "bottles", ["fastestdet.onnx"], accelerator, picture)
    assert isinstance(found, Detections)
    assert [found.labels[kind] for kind in found.classes] == ["bottle"] * 3
    assert found.scores.tolist() == pytest.approx([0.816, 0.800, 0.682], abs=1e-3)


@pytest.mark.parametrize(
    ("accelerator", "build", "normal", "noise"),
    [
        ("openvino", "ad01.fp32", 9.71, 430.6),
        ("openvino", "ad01.int8", 10.27, 435.5),
        ("litert", "ad01.fp32", 9.71, 430.6),
        ("litert", "ad01.int8", 10.27, 435.5),
        ("litert", "ad01.int8.bare", 10.27, 435.5),
    ],
)
async def test_the_machine_sound_is_normal_and_noise_is_not(
    testdata: Path, tmp_path: Path, accelerator: str, build: str, normal: float, noise: float
) -> None:
    sound = np.fromfile(testdata / "models" / "mlperf-tiny" / "normal_id_01.bin", np.float32).reshape(-1, 640)
    uniform = np.random.default_rng(0).uniform(sound.min(), sound.max(), sound.shape)
    means = []
    for kind, windows in (("normal", sound), ("noise", uniform)):
        files = [tmp_path / f"{kind}{index}.json" for index in range(len(windows))]
        for file, window in zip(files, windows, strict=True):
            file.write_text(f'{{"frames": {window.tolist()}}}')
        found = await results(testdata, tmp_path, "sound", [build], accelerator, *files)
        scores = [evaluate(one, "score") for one in found if isinstance(one, Anomaly)]
        assert len(scores) == len(windows) == 40
        means.append(float(np.mean(np.array(scores, dtype=float))))
    print(accelerator, build, means)
    assert means[0] == pytest.approx(normal, rel=0.03)
    assert means[1] == pytest.approx(noise, rel=0.03)


async def test_a_card_that_contradicts_the_file_is_refused(testdata: Path, tmp_path: Path) -> None:
    said = "inputs.frames.quantization: the card says scale 0.5 and zero 89, the file says scale 0.391015 and zero 89"
    with pytest.raises(ModelRejected, match=said):
        await results(testdata, tmp_path, "sound", ["ad01.int8.wrong"], "litert")


async def test_people_are_told_from_cats(testdata: Path, tmp_path: Path) -> None:
    pictures = [testdata / "images" / f"{name}.bmp" for name in ("squat", "cat")]
    found = await results(testdata, tmp_path, "people", ["vww"], "litert", *pictures)
    assert all(isinstance(one, Classification) for one in found)
    assert [evaluate(one, "label") for one in found] == ["person", "no person"]
    assert [evaluate(one, "score") for one in found] == pytest.approx([0.965, 0.957], abs=0.02)


async def test_four_bindings_of_one_model_at_once(testdata: Path, tmp_path: Path) -> None:
    picture = testdata / "images" / "faces.jpg"
    found = await asyncio.gather(
        *(results(testdata, tmp_path / str(n), "face", ["rfb.onnx"], "openvino", picture) for n in range(4))
    )
    assert [evaluate(one[0], "count") for one in found] == [28] * 4
