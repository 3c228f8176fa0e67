"""Files of a loaded model are overwritten and cut short in place: the session answers as before, and nothing dies.

A runtime that maps weights would answer from what somebody writes there, and a file that gets shorter ends the process.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.tensors import Array
from edgex_inference.engine.cards.card import read_card
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.engine.lane import Lane
from edgex_inference.testing import onnx_models, tflite_models
from edgex_inference.testing.tflite_models import Node, Tensor

ROWS, WIDTH = 256, 256
CASES = [
    ("onnxruntime", "external"), ("onnxruntime", "inline"), ("openvino", "external"), ("openvino", "inline"),
    ("openvino", "ir"), ("reference", "external"), ("litert", "tflite"),
]  # fmt: skip


def table(folder: Path, form: str) -> list[Path]:
    """A graph that looks rows up in a table, which no runtime repacks; all its files."""
    numbers = np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)
    if form == "tflite":
        x, y = Tensor(name="x", shape=(None,), dtype=np.int64), Tensor(name="y", shape=(None, WIDTH))
        look_up = Node(kind="GATHER", inputs=["table", "x"], outputs=["y"])
        return [tflite_models.save(folder / "table.tflite", [look_up], [x, y], {"table": numbers})]
    graph = onnx_models.save(
        folder / "table.onnx",
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        {"x": (TensorProto.INT64, ("N",))},
        {"y": (TensorProto.FLOAT, ("N", WIDTH))},
        [numpy_helper.from_array(numbers, "table")],
        external=form != "inline",
    )
    if form != "ir":
        return sorted(folder.iterdir())
    ov.save_model(ov.Core().read_model(graph), folder / "graph.xml", compress_to_fp16=False)
    return [folder / "graph.xml", folder / "graph.bin"]


@asynccontextmanager
async def opened(accelerator: str, folder: Path, file: str, form: str) -> AsyncIterator[Lane]:
    """The model as the service loads it."""
    kind = {"ir": "openvino-ir", "tflite": "tflite"}.get(form, "onnx")
    (folder / "model.yaml").write_text(
        f'schema: 1\nname: {folder.parent.name}\nversion: "{folder.name}"\ntask: raw\n'
        f"files: [{{path: {file}, format: {kind}}}]\ninputs: {{x: {{kind: vector}}}}\noutputs: {{y: {{}}}}\n"
    )
    fleet, choice = Fleet(), AcceleratorChoice(name=accelerator)
    card = read_card(folder / "model.yaml")
    (candidate,) = Catalog().candidates(choice, [build.format for build in card.builds])
    lane, _ = await fleet.acquire(candidate, choice, card)
    try:
        yield lane
    finally:
        await fleet.close()


def mapped() -> str:
    """What this process has mapped."""
    return Path("/proc/self/maps").read_text()


async def answer(lane: Lane) -> Array:
    return (await lane.infer({"x": np.array([3, ROWS - 1])}))["y"]


@pytest.mark.parametrize(("accelerator", "form"), CASES)
async def test_a_loaded_model_does_not_look_at_its_files_again(
    accelerator: str, form: str, tmp_path: Path
) -> None:
    folder = tmp_path / "table" / "1"
    folder.mkdir(parents=True)
    files = table(folder, form)
    async with opened(accelerator, folder, files[-1 if form == "inline" else 0].name, form) as lane:
        before = await answer(lane)
        assert before[:, 0].tolist() == [3 * WIDTH, (ROWS - 1) * WIDTH]
        assert str(folder) not in mapped(), "mapped files end the process when they get shorter"
        for file in files:
            with file.open("r+b") as there:  # as `cp` does: the same file, other bytes
                there.write(os.urandom(file.stat().st_size))
        assert np.array_equal(await answer(lane), before)
        for file in files:
            os.truncate(file, 10)
        assert np.array_equal(await answer(lane), before)
