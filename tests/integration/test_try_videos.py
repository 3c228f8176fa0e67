"""`try` on videos: with a reader library, without one, and a known answer."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.cli.main import main
from edgex_inference.cli.trying import video

ROOT = Path(__file__).parents[2]
CAMERA = ROOT / "profiles" / "conveyor-camera.yaml"
PICTURES = ROOT / "edgex_inference/demo/models/part-detect/2026.11/golden"
CARD = """\
schema: 1
name: fastestdet
version: "1"
task: detection
files: [{path: FastestDet.onnx}]
inputs:
  image: {tensor: input.1, kind: image, color: bgr, decode: full, range: [0, 1], mean: 0, std: 1}
outputs: {grid: {tensor: "758", role: grid}}
decoder: fastestdet
labels: coco80
postprocess: {scoreThreshold: 0.65, nmsIou: 0.45}
"""
PROFILE = """\
name: line
deviceResources:
  - name: Frame
    properties:
      valueType: Binary
      mediaType: image/jpeg
      optional: {inference: {Bottles: {model: {name: fastestdet}, outputs: {D: {value: detections}}}}}
"""


def clip(path: Path, frames: int) -> Path:
    """A video of the demo's picture."""
    import cv2

    picture = cv2.imread(str(PICTURES / "conveyor-1.jpg"))
    height, width, _ = picture.shape
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (width, height))
    assert writer.isOpened()
    for _ in range(frames):
        writer.write(np.ascontiguousarray(picture))
    writer.release()
    return path


def test_every_other_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clip(tmp_path / "belt.avi", 5)
    out = tmp_path / "out"
    arguments = [str(CAMERA), "PartInspection", str(path), "--every", "2", "--save", str(out), "--json"]
    assert main(["try", *arguments]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["input"] for one in found] == [f"{path}#0", f"{path}#2", f"{path}#4"]
    assert found[1]["event"]["origin"] - found[0]["event"]["origin"] == pytest.approx(2e8, rel=0.01)
    counts = {one["value"] for one in found[0]["event"]["readings"] if one["resourceName"] == "PartCount"}
    assert counts != {"0"}
    assert sorted(one.name for one in out.iterdir())[0] == "belt-0.PartInspection.jpg"


def test_without_a_reader_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        video.importlib.util,
        "find_spec",
        lambda name, package=None: None if name in ("av", "cv2") else find(name, package),
    )
    assert main(["try", str(CAMERA), "PartInspection", str(tmp_path / "a.mp4")]) == 2
    assert "a.mp4: videos need a reader library: pip install av" in capsys.readouterr().err


def test_what_is_no_video(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video" * 100)
    assert main(["try", str(CAMERA), "PartInspection", str(tmp_path / "a.mp4")]) == 2
    assert "a.mp4: cannot be read as a video" in capfd.readouterr().err
    assert main(["try", str(CAMERA), "PartInspection", str(tmp_path / "b.mp4")]) == 2
    assert "b.mp4: no such file" in capfd.readouterr().err


def test_the_bottles_of_frame_60(testdata: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "models" / "fastestdet" / "1"
    folder.mkdir(parents=True)
    (folder / "FastestDet.onnx").write_bytes((testdata / "models/fastestdet/FastestDet.onnx").read_bytes())
    (folder / "model.yaml").write_text(CARD)
    (tmp_path / "p.yaml").write_text(PROFILE)
    clip_path = testdata / "clips" / "bottle-detection.mp4"
    arguments = ["--models", str(tmp_path / "models"), "--every", "60", "--limit", "2", "--json"]
    assert main(["try", str(tmp_path / "p.yaml"), "Bottles", str(clip_path), *arguments]) == 0
    _, answer = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    items = answer["event"]["readings"][0]["objectValue"]["items"]
    assert [one["label"] for one in items] == ["bottle"] * 3
    assert [one["score"] for one in items] == pytest.approx([0.816, 0.800, 0.682], abs=0.005)
