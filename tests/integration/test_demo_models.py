"""The committed demo models on seeds that training never saw; exported graphs against what was trained."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

import edgex_inference.demo.world.conveyor as world
from edgex_inference.demo.world.conveyor import Conveyor
from edgex_inference.demo.world.spindle import BURSTS_PER_SECOND, RATE, SAMPLES, Burst, Spindle

STORE = Path(world.__file__).parent.parent / "models"
PARTS, SPINDLE = STORE / "part-detect" / "2026.11", STORE / "spindle-ae" / "2026.11"
RAISE_AFTER = 2
SEEDS = range(77_000, 77_012)

Found = list[tuple[str, float, tuple[float, ...]]]  # label, score, box


@cache
def card(folder: Path) -> dict[str, Any]:
    """The card as plain data."""
    loaded: dict[str, Any] = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
    return loaded


def session(folder: Path) -> onnxruntime.InferenceSession:
    """The committed graph on two threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(
        str(folder / card(folder)["files"][0]["path"]), options, providers=["CPUExecutionProvider"]
    )


def image_tensor(jpeg: bytes) -> NDArray[np.float32]:
    """A JPEG as the card prepares it; the picture has the size of the input."""
    image = card(PARTS)["inputs"]["image"]
    pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), dtype=np.float32) / 255
    prepared = (pixels - np.array(image["mean"])) / np.array(image["std"])
    tensor: NDArray[np.float32] = prepared.transpose(2, 0, 1)[None].astype(np.float32)
    return tensor


def decoded(heatmap: NDArray[Any], extent: NDArray[Any], shift: NDArray[Any]) -> Found:
    """Centers as the card describes them; no suppression of overlapping boxes."""
    settings = card(PARTS)
    stride, limit = settings["outputs"]["heatmap"]["stride"], settings["postprocess"]["scoreThreshold"]
    found: Found = []
    for label, row, column in np.argwhere(heatmap >= limit):
        around = heatmap[label, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        score = float(heatmap[label, row, column])
        if score < around.max():
            continue
        x = (column + shift[0, row, column]) * stride / world.WIDTH
        y = (row + shift[1, row, column]) * stride / world.HEIGHT
        w, h = extent[:, row, column] / 2
        box = tuple(float(min(max(edge, 0), 1)) for edge in (x - w, y - h, x + w, y + h))
        found.append((settings["labels"][label], score, box))
    return sorted(found, key=lambda one: -one[1])


def detect(model: onnxruntime.InferenceSession, jpeg: bytes) -> Found:
    """The parts that the model finds on a JPEG, best first."""
    heatmap, extent, shift = model.run(["heatmap", "extent", "shift"], {"image": image_tensor(jpeg)})
    return decoded(heatmap[0], extent[0], shift[0])


def scores(
    model: onnxruntime.InferenceSession, accel: NDArray[Any], temperature: NDArray[Any]
) -> NDArray[Any]:
    """One mean squared error for each burst."""
    inputs = {"accel": accel.astype(np.float32), "temperature": temperature.astype(np.float32)}
    reconstruction, target = model.run(["reconstruction", "target"], inputs)
    errors: NDArray[Any] = ((reconstruction - target) ** 2).mean(1)
    return errors


def alarms(model: onnxruntime.InferenceSession, bursts: list[Burst]) -> Iterator[Burst]:
    """The bursts with which `raiseAfter` results in a row are over the card's limit."""
    limit = card(SPINDLE)["score"]["limit"]
    accel = np.stack([burst.acceleration for burst in bursts])
    over = scores(model, accel, np.array([[burst.temperature] for burst in bursts])) >= limit
    for index in range(RAISE_AFTER - 1, len(bursts)):
        if over[index - RAISE_AFTER + 1 : index + 1].all():
            yield bursts[index]


def test_part_counts_are_right_on_unseen_conveyors() -> None:
    """The promise is 95 % of the pictures, every label's count right."""
    model = session(PARTS)
    right = []
    for seed in SEEDS:
        conveyor = Conveyor(seed)
        for frame in (conveyor.frame(index) for index in range(0, 100, 4)):
            found = Counter(label for label, _, _ in detect(model, frame.jpeg()))
            right.append(found == Counter(part.label for part in frame.truth))
    assert len(right) == 300
    assert np.mean(right) >= 0.95


def test_found_boxes_lie_on_the_true_ones() -> None:
    model = session(PARTS)
    distances = []
    for frame in (Conveyor(SEEDS[0]).frame(index) for index in range(0, 60, 6)):
        for label, _, box in detect(model, frame.jpeg()):
            same = [part.box for part in frame.truth if part.label == label]
            distances.append(min((np.abs(np.subtract(box, true)).max() for true in same), default=1.0))
    assert len(distances) > 30
    assert np.median(distances) < 0.01
    assert np.mean(np.array(distances) < 0.03) > 0.95


def test_no_false_alarm_in_healthy_minutes() -> None:
    model = session(SPINDLE)
    for seed in range(77_000, 77_020):
        spindle = Spindle(seed, fault_at=None)
        bursts = [spindle.burst(index) for index in range(60 * BURSTS_PER_SECOND)]
        assert next(alarms(model, bursts), None) is None, f"false alarm with seed {seed}"


@pytest.mark.parametrize("fault_at", [10.0, 23.1])
def test_the_fault_is_found_in_time(fault_at: float) -> None:
    model = session(SPINDLE)
    for seed in range(78_000, 78_020):
        spindle = Spindle(seed, fault_at)
        bursts = [spindle.burst(index) for index in range(int((fault_at + 4) * BURSTS_PER_SECOND))]
        raised = next(alarms(model, bursts), None)
        assert raised is not None, f"fault missed with seed {seed}"
        delay = raised.seconds + SAMPLES / RATE - fault_at
        assert 0 < delay < 1.5, f"seed {seed}: {delay:.2f} s"


@pytest.mark.parametrize("folder", [PARTS, SPINDLE], ids=lambda folder: folder.parent.name)
def test_cards_name_their_folder_and_file(folder: Path) -> None:
    said = card(folder)
    content = (folder / said["files"][0]["path"]).read_bytes()
    assert (said["name"], said["version"]) == (folder.parent.name, folder.name)
    assert said["files"][0]["sha256"] == sha256(content).hexdigest()
    assert len(content) < 500_000
    model = session(folder)
    assert {tensor.name for tensor in model.get_inputs()} == set(said["inputs"])
    assert {tensor.name for tensor in model.get_outputs()} == set(said["outputs"])
    assert {tensor.shape[0] for tensor in [*model.get_inputs(), *model.get_outputs()]} == {"batch"}
    assert len(said["golden"]) >= 2


def test_golden_pictures_give_what_their_card_expects() -> None:
    model = session(PARTS)
    for golden in card(PARTS)["golden"]:
        expect = json.loads((PARTS / golden["expect"]).read_text())
        items = expect["detections"]["items"]
        found = detect(model, (PARTS / golden["input"]).read_bytes())
        assert expect["count"] == len(found) == len(items)
        assert {name: expect[f"count.{name}"] for name, _, _ in found} == Counter(
            name for name, _, _ in found
        )
        for item in items:
            near = [one for one in found if np.abs(np.subtract(one[2], item["box"])).max() < 0.01]
            assert [name for name, _, _ in near] == [item["label"]]
            assert near[0][1] == pytest.approx(item["score"], abs=0.02)


def test_golden_bursts_give_what_their_card_expects() -> None:
    model, said = session(SPINDLE), card(SPINDLE)
    verdicts = []
    for golden in said["golden"]:
        given = json.loads((SPINDLE / golden["input"]).read_text())
        score = scores(model, np.array([given["accel"]]), np.array([given["temperature"]]))[0]
        expect = json.loads((SPINDLE / golden["expect"]).read_text())
        assert score == pytest.approx(expect["score"], abs=golden["tolerance"]["score"])
        verdicts.append(bool(score >= said["score"]["limit"]))
    assert verdicts == [False, True]


def test_batches_give_the_answers_of_single_samples() -> None:
    parts, spindle = session(PARTS), session(SPINDLE)
    images = np.concatenate([image_tensor(Conveyor(1).frame(index).jpeg()) for index in range(3)])
    bursts = [Spindle(1).burst(index) for index in range(3)]
    accel = np.stack([burst.acceleration for burst in bursts])
    temperature = np.array([[burst.temperature] for burst in bursts], dtype=np.float32)
    for model, inputs in (
        (parts, {"image": images}),
        (spindle, {"accel": accel, "temperature": temperature}),
    ):
        together = model.run(None, inputs)
        for row in range(3):
            alone = model.run(None, {name: values[row : row + 1] for name, values in inputs.items()})
            for whole, single in zip(together, alone, strict=True):
                assert whole[row] == pytest.approx(single[0], abs=1e-4)


def test_the_exported_part_graph_equals_the_trained_function() -> None:
    jax = pytest.importorskip(
        "jax", reason="the extra 'training' is not installed: pip install jax optax onnx"
    )
    from edgex_inference.demo.training import part_network

    weights = part_network.initial(jax.random.key(3))
    image = np.random.default_rng(3).normal(0, 1, (2, 3, 240, 320)).astype(np.float32)
    model = onnxruntime.InferenceSession(part_network.export(weights).SerializeToString())
    for ours, graph in zip(
        part_network.answers(weights, image), model.run(None, {"image": image}), strict=True
    ):
        assert np.asarray(ours) == pytest.approx(graph, abs=2e-5)


def test_folding_the_normalization_changes_no_answer() -> None:
    jax = pytest.importorskip(
        "jax", reason="the extra 'training' is not installed: pip install jax optax onnx"
    )
    from edgex_inference.demo.training import part_network

    weights = part_network.initial(jax.random.key(5))
    pictures = np.random.default_rng(5).normal(0, 1, (2, 240, 320, 3)).astype(np.float32)
    heads, moments = part_network.normalized_forward(weights, pictures)
    plain = part_network.forward(part_network.folded(weights, moments), pictures)
    assert set(plain) == set(heads)
    for name, values in plain.items():
        assert np.asarray(values) == pytest.approx(np.asarray(heads[name]), abs=1e-3)


def test_the_exported_spindle_graph_equals_the_trained_function() -> None:
    jax = pytest.importorskip(
        "jax", reason="the extra 'training' is not installed: pip install jax optax onnx"
    )
    from edgex_inference.demo.training import spindle_network

    rng = np.random.default_rng(4)
    features = rng.normal(0, 2, (20, spindle_network.FEATURES)).astype(np.float32)
    weights = spindle_network.initial(jax.random.key(4), features)
    inputs = {
        "accel": rng.normal(0, 1, (3, 3, 512)).astype(np.float32),
        "temperature": rng.normal(40, 5, (3, 1)).astype(np.float32),
    }
    model = onnxruntime.InferenceSession(spindle_network.export(weights).SerializeToString())
    for ours, graph in zip(spindle_network.answers(weights, **inputs), model.run(None, inputs), strict=True):
        assert np.asarray(ours) == pytest.approx(graph, rel=1e-4, abs=1e-3)
