"""A command that is asked to end leaves nothing half made."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.testing import onnx_models

_PATIENCE = 120.0


def endless(path: Path) -> Path:
    """A loop that goes on for longer than anybody waits, so that the model is still being loaded."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["value", "one"], ["next"]),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, [4]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [4]),
        ],
        [numpy_helper.from_array(np.array(1, np.float32), "one")],
    )
    constants = [
        numpy_helper.from_array(np.array(1 << 62), "turns"),
        numpy_helper.from_array(np.array(True), "always"),
    ]
    loop = helper.make_node("Loop", ["turns", "always", "x"], ["y"], body=body)
    takes = (TensorProto.FLOAT, (4,))
    return onnx_models.save(path, [loop], {"x": takes}, {"y": takes}, constants)


def test_a_model_that_is_being_added_leaves_nothing(tmp_path: Path) -> None:
    store = tmp_path / "models"
    command = [sys.executable, "-m", "edgex_inference", "model", "add", str(endless(tmp_path / "m.onnx"))]
    with subprocess.Popen([*command, "--models", str(store)], stderr=subprocess.DEVNULL) as child:
        until = time.monotonic() + _PATIENCE
        while not list(store.glob("m/.*/m.onnx")) and time.monotonic() < until:
            assert child.poll() is None
            time.sleep(0.05)
        assert list(store.glob("m/.*/m.onnx")), "the model that is being added"
        child.send_signal(signal.SIGTERM)
        assert child.wait(_PATIENCE) == 128 + signal.SIGTERM
    assert not list(store.rglob("*"))
