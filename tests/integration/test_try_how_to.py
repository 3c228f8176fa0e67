"""The commands of docs/how-to/try-a-profile.md, run one after the other as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgex_inference.testing import onnx_models

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "try-a-profile.md"
PICTURES = ROOT / "edgex_inference/demo/models/part-detect/2026.11/golden"


def gauges(path: Path) -> None:
    """The model that the page speaks of: a picture in, three scores out."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["picture"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores"]),
    ]
    picture = (TensorProto.FLOAT, ("N", 3, 24, 32))
    weights = numpy_helper.from_array(np.eye(3, dtype=np.float32), "w")
    onnx_models.save(path, nodes, {"picture": picture}, {"scores": (TensorProto.FLOAT, ("N", 3))}, [weights])


def test_the_page_can_be_followed(tmp_path: Path) -> None:
    commands = re.findall(r"^\$ (.*)$", PAGE.read_text(), re.MULTILINE)
    assert len(commands) == 8
    gauges(tmp_path / "gauges.onnx")
    (tmp_path / "profiles").mkdir()
    shutil.copytree(PICTURES, tmp_path / "pictures")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = ""
    for command in commands:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env={**os.environ, "PATH": path},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said += done.stdout
    assert "still to say: labels" in said
    assert "unproven" in said
    assert '"resourceName":"Label"' in said
    assert sorted(one.name for one in (tmp_path / "annotated").iterdir()) == [
        "conveyor-1.Gauges.jpg",
        "conveyor-2.Gauges.jpg",
    ]
