"""ONNX Runtime on real networks, and on real files of others that are called ONNX."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from accelerators.onnxruntime import PLUGIN
from edgex_inference.contracts.accelerator import ONNX, LoadRequest, Session
from edgex_inference.contracts.errors import ModelRejected


def opened(path: Path) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(LoadRequest(path=path, format=ONNX))


@pytest.mark.parametrize(
    ("file", "name", "shape", "outputs"),
    [
        (
            "face-rfb320/version-RFB-320.onnx",
            "input",
            (1, 3, 240, 320),
            {"scores": (1, 4420, 2), "boxes": (1, 4420, 4)},
        ),
        ("fastestdet/FastestDet.onnx", "input.1", (1, 3, 352, 352), {"758": (1, 85, 22, 22)}),
    ],
)
def test_real_networks(
    testdata: Path, capfd: pytest.CaptureFixture[str], file: str, name: str, shape: tuple[int, ...],
    outputs: Mapping[str, tuple[int, ...]],
) -> None:  # fmt: skip
    loaded = opened(testdata / "models" / file)
    answer = loaded.infer({name: np.zeros(shape, np.float32)})
    assert {key: array.shape for key, array in answer.items()} == outputs
    assert loaded.traits.placement["CPU"] > 100
    assert capfd.readouterr() == ("", ""), "the runtime's hundreds of warnings are nobody's business"


@pytest.mark.parametrize("file", ["coral/split_concat.tflite", "vitis/tf2.xmodel", "mlperf-tiny/ad01.h5"])
def test_foreign_files_called_onnx_are_rejected(testdata: Path, tmp_path: Path, file: str) -> None:
    path = tmp_path / "model.onnx"
    shutil.copyfile(testdata / "models" / file, path)
    with pytest.raises(ModelRejected):
        opened(path)
