"""The service as a process on a real broker, with models on Qualcomm's NPU simulator: there, or told why not."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.testing.onnx_models import save

QNN = pytest.importorskip(
    "onnxruntime_qnn", reason='onnxruntime-qnn is not installed: pip install "edgex-inference[test-qnn]"'
)
BLOCK = (
    "{{model: {{name: {model}}}, accelerator: {on}, fallback: {fallback}, "
    "outputs: {{{name}: {{value: value}}, On: {{value: accelerator}}}}}}"
)

PATIENCE = 120.0
"""Seconds: the provider is looked for in a child process, and the simulator compiles on a busy machine."""


@pytest.fixture
def simulator() -> dict[str, str]:
    """The environment in which a service finds the provider where this process found it."""
    return {"PYTHONPATH": str(Path(QNN.__file__).parents[1])}


def split(path: Path) -> Path:
    """y = 2x + 1 for whole numbers, by way of int16, which the chip lacks."""
    constants = [
        numpy_helper.from_array(np.array([number], np.float32), name)
        for name, number in (("two", 2), ("one", 1))
    ]
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["double"]),
        helper.make_node("Cast", ["double"], ["short"], to=TensorProto.INT16),
        helper.make_node("Cast", ["short"], ["long"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["long", "one"], ["y"]),
    ]
    return save(path, nodes, {"x": (1, ("N", 1))}, {"y": (1, ("N", 1))}, constants)


@pytest.mark.timeout(400)
def test_events_are_answered_on_the_npu_or_nowhere_unseen(
    world: Any,
    process: ModuleType,
    mosquitto: Callable[..., Any],
    affine: Callable[..., None],
    bind: Callable[..., None],
    simulator: dict[str, str],
    tmp_path: Path,
) -> None:
    affine(world, "whole")
    world.model("split", [split(tmp_path / "split.onnx")], "task: regression\nfiles: [{path: split.onnx}]")
    both = '["onnxruntime:QNN", "onnxruntime:CPU"]'
    bind(
        {
            "Wear": BLOCK.format(model="whole", on=both, fallback="never", name="Wear"),
            "Strict": BLOCK.format(model="split", on=both, fallback="never", name="Strict"),
            "Told": BLOCK.format(model="split", on=both, fallback="warn", name="Told"),
        }
    )
    broker = mosquitto()
    world.configure(broker.port)
    service = world.start(env=simulator)
    service.until(lambda: service.binding("Told")["status"] == "running", "Told runs", PATIENCE)
    service.until(lambda: service.binding("Strict")["status"] == "inactive", "Strict is refused", PATIENCE)
    service.until(lambda: service.binding("Wear")["status"] == "running", "Wear runs", PATIENCE)
    client = world.client(broker.port)
    for number in range(5):
        for name in ("Wear", "Strict", "Told"):
            client.send_event("pump-1", process.reading(f"{name}In", f"{number}e+00"), source=f"{name}In")
    answers = [one.values for one in client.wait_results(10, PATIENCE)]
    assert [float(one["Wear"]) for one in answers if "Wear" in one] == [1, 3, 5, 7, 9]
    assert [float(one["Told"]) for one in answers if "Told" in one] == [1, 3, 5, 7, 9]
    assert {one["On"] for one in answers if "Wear" in one} == {"onnxruntime:QNN"}
    assert {one["On"] for one in answers if "Told" in one} == {"onnxruntime:CPU"}
    assert not any("Strict" in one for one in answers)
    refusal = "onnxruntime:QNN cannot run the whole graph"
    assert refusal in service.binding("Strict")["reason"]
    assert any(refusal in one for one in service.binding("Told")["passedOver"])
    assert service.binding("Wear")["passedOver"] == []
    assert service.stop() == 0
