"""Model cards: every key, every mistake at its place, all at once."""

from pathlib import Path

import pytest

from edgex_inference.config.problems import Document
from edgex_inference.contracts.errors import ProfileError
from edgex_inference.contracts.models import (
    ImageInput,
    ModelCard,
    NumbersInput,
    Postprocess,
    Quantization,
    Score,
    Task,
)
from edgex_inference.contracts.tensors import Datatype
from edgex_inference.engine.cards.card import check_card, read_card

PARTS = """\
schema: 1
name: part-detect
version: "2026.11"
ready: true
task: detection
license: Apache-2.0
description: Finds parts.
files:
  - {path: part.onnx, format: onnx}
  - path: part_int8.tflite
    format: tflite-edgetpu
    inputs: {image: {layout: NHWC, dtype: uint8, quantization: {scale: 0.0078, zero: 128}}}
    outputs: {heatmap: {tensor: "Identity:0"}}
    decoder: rfb
inputs:
  image: {layout: NCHW, color: bgr, size: [320, 240], fit: letterbox, range: [0, 255], mean: [1, 2, 3], std: 0.5}
outputs:
  heatmap: {role: centers, stride: 8}
  extent: {role: sizes, dtype: float32}
decoder: centernet
labels: [bolt, no, "yes"]
postprocess: {scoreThreshold: 0.4, nmsIou: 0.5, classes: [bolt], minArea: 0.01, top: 3}
priors: {steps: [8, 16], sizes: [[10, [16, 9]], [32.5]], variances: [0.1, 0.2], clip: false}
golden:
  - {input: golden/a.jpg, expect: golden/a.json, tolerance: {score: 0.02}}
parity: {source: "trained here", difference: 1.2e-7}
precision: native
"""

SENSOR = """\
schema: 1
name: sensor
version: "1"
task: anomaly
files: [{path: ae.onnx}]
inputs:
  frames: {kind: tensor, shape: [3, 512], names: [X, Y, Z], dtype: float32}
  temperature: {normalize: {mean: 20, std: 5}}
score: {metric: mae, direction: lowerIsWorse, limit: 30}
"""


def folder(root: Path, name: str, version: str, *files: str) -> Path:
    made = root / name / version
    for file in files:
        (made / file).parent.mkdir(parents=True, exist_ok=True)
        (made / file).write_bytes(b"x")
    return made


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    files = ("part.onnx", "part_int8.tflite", "golden/a.jpg", "golden/a.json")
    return folder(tmp_path, "part-detect", "2026.11", *files)


def card_of(where: Path, text: str) -> ModelCard:
    (where / "model.yaml").write_text(text)
    return read_card(where / "model.yaml")


def mistakes(where: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ProfileError) as caught:
        card_of(where, text)
    return [(problem.line, problem.path, problem.message) for problem in caught.value.problems]


def test_every_key_arrives(parts: Path) -> None:
    card = card_of(parts, PARTS)
    assert (card.name, card.version, card.task, card.ready) == (
        "part-detect",
        "2026.11",
        Task.DETECTION,
        True,
    )
    assert card.labels == ("bolt", "no", "yes")
    assert card.precision == "native"
    assert card.priors is not None
    assert card.priors.sizes == ((10, (16, 9)), (32.5,))
    assert card.priors.clip is False
    assert card.postprocess.top == 3
    assert card.golden[0].expect == parts / "golden/a.json"
    assert card.golden[0].tolerance == {"score": 0.02}
    image = card.builds[0].inputs[0]
    assert isinstance(image, ImageInput)
    assert (image.size, image.color, image.mean, image.std) == ((320, 240), "bgr", (1, 2, 3), (0.5,))
    assert card.builds[0].outputs[0].parameters == {"stride": 8}


def test_suppression_and_heads_arrive(parts: Path) -> None:
    text = PARTS.replace("top: 3", "softNms: 0.5, classAgnostic: true, multiLabel: false")
    text = text.replace(
        "{role: sizes, ", "{form: corners, order: yx, coordinates: pixels, activation: none, "
    )
    card = card_of(parts, text)
    said = Postprocess(score_threshold=0.4, nms_iou=0.5, classes=("bolt",), min_area=0.01, soft_nms=0.5,
                       class_agnostic=True, multi_label=False)  # fmt: skip
    assert card.postprocess == said
    parameters = {"form": "corners", "order": "yx", "coordinates": "pixels", "activation": "none"}
    assert card.builds[0].outputs[1].parameters == parameters


def test_a_file_overrides_key_by_key(parts: Path) -> None:
    first, second = card_of(parts, PARTS).builds
    image = second.inputs[0]
    assert isinstance(image, ImageInput)
    assert (image.layout, image.dtype, image.quantization) == (
        "NHWC",
        Datatype.UINT8,
        Quantization(scale=0.0078, zero=128),
    )
    assert (image.fit, image.size) == ("letterbox", (320, 240)), "what the file does not say is the card's"
    assert (first.decoder, second.decoder) == ("centernet", "rfb")
    assert [output.tensor for output in second.outputs] == ["Identity:0", None]
    assert second.outputs[0].role == "centers"


def test_defaults_are_few_and_guessable(tmp_path: Path) -> None:
    card = card_of(folder(tmp_path, "sensor", "1", "ae.onnx"), SENSOR)
    assert card.builds[0].format == "onnx"
    frames, temperature = card.builds[0].inputs
    assert isinstance(frames, NumbersInput)
    assert (frames.shape, frames.names) == ((3, 512), ("X", "Y", "Z"))
    assert isinstance(temperature, NumbersInput)
    assert temperature.kind == "vector"
    assert temperature.normalize is not None
    assert temperature.normalize.mean == (20,)
    assert card.score == Score(metric="mae", direction="lowerIsWorse", limit=30)


def test_labels_may_be_a_set_or_a_file(parts: Path) -> None:
    assert card_of(parts, PARTS.replace('[bolt, no, "yes"]', "coco80")).labels == "coco80"


@pytest.mark.parametrize(
    ("wrong", "line", "path", "message"),
    [
        (("schema: 1", "schema: 2"), 1, "schema", "reads schema 1"),
        (("name: part-detect", "name: parts"), 2, "name", "folder is called 'part-detect'"),
        (('version: "2026.11"', "version: 2026.11"), 3, "version", 'write "2026.11" in quotes'),
        (("task: detection", "task: detecton"), 5, "task", "did you mean detection?"),
        (("ready: true", "ready: yes"), 4, "ready", "must be true or false"),
        (("format: onnx}", "format: onnx, sha: 1}"), 9, "files[0].sha", "unknown key 'sha'"),
        (("path: part.onnx", "path: prt.onnx"), 9, "files[0].path", "did you mean part.onnx?"),
        (("path: part.onnx", "path: ../../../etc/passwd"), 9, "files[0].path", "inside the model's folder"),
        (("path: part.onnx", "path: /etc/passwd"), 9, "files[0].path", "inside the model's folder"),
        (("format: onnx}", "format: onnx, sha256: beef}"), 9, "files[0].sha256", "64 hexadecimal digits"),
        (("dtype: uint8", "dtype: byte"), 12, "files[1].inputs.image.dtype", "is not bool"),
        (("scale: 0.0078", "scale: 0"), 12, "files[1].inputs.image.quantization.scale", "greater than 0"),
        (("color: bgr", "colour: bgr"), 16, "inputs.image.colour", "did you mean color?"),
        (("size: [320, 240]", "size: [320]"), 16, "inputs.image.size", "must have 2 elements"),
        (("mean: [1, 2, 3]", "mean: [1, 2]"), 16, "inputs.image.mean", "1 or 3 numbers"),
        (("std: 0.5", "std: [1, 0, 1]"), 16, "inputs.image.std", "must not be 0"),
        (("stride: 8", "stride: eight"), 18, "outputs.heatmap.stride", "must be a number"),
        (("role: sizes,", "rol: sizes,"), 19, "outputs.extent.rol", "did you mean role?"),
        (("scoreThreshold: 0.4", "scoreThreshold: 40"), 22, "postprocess.scoreThreshold", "in 0..1"),
        (
            ("priors:", "score: {limit: 1}\npriors:"),
            23,
            "score",
            "does nothing for task detection: remove it",
        ),
        (("[[10, [16, 9]], [32.5]]", "[[10, 16]]"), 23, "priors.sizes", "each of the 2 steps"),
        (("golden/a.json", "golden/b.json"), 25, "golden[0].expect", "did you mean a.json?"),
        (("parity:", "parrity:"), 26, "parrity", "did you mean parity?"),
    ],
)
def test_a_mistake_is_told_at_its_place(
    parts: Path, wrong: tuple[str, str], line: int, path: str, message: str
) -> None:
    assert wrong[0] in PARTS
    ((found, at, said),) = mistakes(parts, PARTS.replace(*wrong, 1))
    assert (found, at) == (line, path)
    assert message in said


def test_settings_of_another_task_are_refused(tmp_path: Path) -> None:
    made = folder(tmp_path, "sensor", "1", "ae.onnx")
    text = SENSOR.replace("metric: mae", "metric: rmse") + "postprocess: {top: 3, nmsIou: 5}\n"
    said = [(path, message) for _, path, message in mistakes(made, text)]
    assert [path for path, _ in said] == ["score.metric", "postprocess.top", "postprocess.nmsIou"]
    assert said[0][1].endswith("(did you mean mse?)")
    assert said[1][1] == "does nothing for task anomaly: remove it"
    assert said[2][1] == "5 is not in 0..1"


def test_a_label_that_stands_twice_is_a_warning(parts: Path) -> None:
    (parts / "model.yaml").write_text(PARTS.replace('[bolt, no, "yes"]', "[bolt, n/a, n/a, bolt]"))
    card, problems = check_card(Document.read(parts / "model.yaml"), parts)
    assert card is not None
    ((path, severity, message),) = [(one.path, one.severity, one.message) for one in problems]
    assert (path, severity) == ("labels[3]", "warning")
    assert message.startswith("'bolt' stands twice")


def test_all_mistakes_at_once_and_each_once(parts: Path) -> None:
    text = (
        PARTS.replace("color: bgr", "colour: bgr")
        .replace("task: detection", "task: dance")
        .replace("top: 3", "top: 0")
    )
    assert [line for line, _, _ in mistakes(parts, text)] == [5, 16, 22]


def test_missing_keys_are_all_named(parts: Path) -> None:
    assert {path for _, path, _ in mistakes(parts, "schema: 1\n")} == {"name", "version", "task", "files"}


@pytest.mark.parametrize("text", ["", "[1, 2]", "just text", "a: [", "\x00"])
def test_what_is_no_card(parts: Path, text: str) -> None:
    assert mistakes(parts, text)


def test_a_link_out_of_the_folder_is_refused(parts: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.onnx"
    secret.write_bytes(b"x")
    (parts / "part.onnx").unlink()
    (parts / "part.onnx").symlink_to(secret)
    ((line, path, message),) = mistakes(parts, PARTS)
    assert (line, path) == (9, "files[0].path")
    assert "outside the model's folder" in message


def test_an_unknown_format_may_belong_to_a_third_party(parts: Path) -> None:
    assert card_of(parts, PARTS.replace("format: onnx}", "format: acme}")).builds[0].format == "acme"


def test_a_model_on_another_machine_has_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    head = 'schema: 1\nname: m\nversion: "1"\ntask: raw\n'
    (folder / "model.yaml").write_text(head + "files: [{format: remote, outputs: {y: {tensor: z}}}]\n")
    (build,) = read_card(folder / "model.yaml").builds
    assert (build.format, build.path, build.outputs[0].tensor) == ("remote", folder, "z")
    (folder / "model.yaml").write_text(head + "files: [{format: remote, path: a.onnx}, {format: onnx}]\n")
    with pytest.raises(ProfileError) as caught:
        read_card(folder / "model.yaml")
    said = [(one.path, one.message) for one in caught.value.problems]
    assert said == [
        ("files[0].path", "does nothing for the format remote, which has no file: remove it"),
        ("files[1].path", "is missing"),
    ]
