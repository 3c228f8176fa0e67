"""Segmentation, embeddings and files that say their own decoder, through the whole service or `validate`."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgex_inference.cli.main import main
from edgex_inference.contracts.events import ValueType
from edgex_inference.testing import onnx_models

PICTURE = {"inputs": {"x": {"kind": "image", "layout": "NCHW", "color": "rgb"}}}
COLORS = ["red", "green", "blue"]


async def test_shares_of_a_picture(stage: Any, make: Any) -> None:
    """The fake's planes are the picture's colors."""
    half = Image.new("RGB", (4, 4), (255, 0, 0))
    half.paste((0, 0, 255), (0, 0, 4, 1))
    picture = io.BytesIO()
    half.save(picture, "PNG")
    block = {
        "model": {"name": "double", "task": "segmentation"},
        "decide": {"value": "share.red", "raise": 0.7},
        "outputs": {
            "Red": {"value": "share.red"},
            "Green": {"value": "share.green"},
            "Area": {"value": "area"},
            "Is": {"value": "state"},
        },
    }
    stage.profile("cam", Frame=("Binary", {"Twice": block}))
    stage.model(shape=[None, 3, 4, 4], card={**PICTURE, "task": "segmentation", "labels": COLORS})
    async with stage.running():
        await stage.send(
            make.event("c", make.reading("Frame", picture.getvalue(), ValueType.BINARY), profile="cam")
        )
        (result,) = await stage.have(1)
    assert result.values == {"Red": "7.5e-01", "Green": "0e+00", "Area": "1e+00", "Is": "true"}


async def test_an_embedding(stage: Any, make: Any) -> None:
    block = {"model": {"name": "double", "task": "embedding"}, "outputs": {"V": {"value": "vector"}}}
    stage.profile("pump", X=("Float32Array", {"Twice": block}))
    stage.model(shape=[None, 2], offset=0, card={"task": "embedding", "decoder": "l2"})
    async with stage.running():
        await stage.send(make.event("p", make.reading("X", "[3, 4]", ValueType.FLOAT32_ARRAY)))
        (result,) = await stage.have(1)
    assert json.loads(result.values["V"]) == pytest.approx([0.6, 0.8])


async def test_a_share_of_no_label_keeps_the_binding_inactive(stage: Any) -> None:
    block = {"model": {"name": "double"}, "outputs": {"R": {"value": "share.rad"}}}
    stage.profile("cam", Frame=("Binary", {"Twice": block}))
    stage.model(shape=[None, 3, 4, 4], card={**PICTURE, "task": "segmentation", "labels": COLORS})
    async with stage.running() as service:
        (run,) = service.router.runs
        assert "'rad' is not one of the labels (did you mean red?)" in run.reason


def detector(folder: Path, output: tuple[int, ...], **metadata: str) -> None:
    """A model store with one detector as Ultralytics exports it, and a profile beside it; the card has no decoder."""
    store = folder / "models" / "parts" / "1"
    store.mkdir(parents=True)
    rows = numpy_helper.from_array(np.zeros(output, np.float32), "rows")
    nodes = [
        helper.make_node("ReduceMin", ["images"], ["least"], keepdims=0),
        helper.make_node("Add", ["least", "rows"], ["output0"]),
    ]
    onnx_models.save(
        store / "m.onnx", nodes, {"images": (TensorProto.FLOAT, (1, 3, 32, 64))},
        {"output0": (TensorProto.FLOAT, output)}, [rows],
        metadata={"names": "{0: 'bolt', 1: 'nut'}", "stride": "32", **metadata},
    )  # fmt: skip
    card = {"schema": 1, "name": "parts", "version": "1", "task": "detection", "files": [{"path": "m.onnx"}]}
    (store / "model.yaml").write_text(yaml.safe_dump(card))
    block = {"model": {"name": "parts"}, "outputs": {"Nuts": {"value": "count.nut"}}}
    resource = {
        "name": "Frame",
        "properties": {"valueType": "Binary", "optional": {"inference": {"P": block}}},
    }
    (folder / "cam.yaml").write_text(yaml.safe_dump({"name": "cam", "deviceResources": [resource]}))


@pytest.mark.parametrize(
    ("output", "metadata", "said"),
    [
        ((1, 6, 42), {"task": "detect"}, ""),
        ((1, 300, 6), {"task": "detect"}, ""),
        ((1, 126, 7), {}, ""),
        ((1, 9, 42), {"task": "detect"}, "decoder: is missing: task detection needs"),
        ((1, 6, 42), {"task": "classify"}, "task: the card says detection, the file says classify"),
    ],
)
def test_validate_takes_the_decoder_from_the_file(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    output: tuple[int, ...],
    metadata: dict[str, str],
    said: str,
) -> None:
    detector(tmp_path, output, **metadata)
    code = main(["validate", "--models", str(tmp_path / "models"), str(tmp_path / "cam.yaml")])
    told = capsys.readouterr().out
    assert (code, said in told) == (int(bool(said)), True), told
