"""TensorRT-RTX makes real engines here, without any GPU: real models, real refusals, for GPUs of other machines."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelerators.tensorrt import PLUGIN, described
from accelerators.tensorrt.engine import plan
from accelerators.tensorrt.library import RTX
from edgex_inference.cli.main import COMMANDS
from edgex_inference.contracts.accelerator import ONNX, Artefact, LoadRequest
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.engine.options import decode
from edgex_inference.engine.probe import look
from edgex_inference.testing.onnx_models import save, write_affine

pytestmark = pytest.mark.usefixtures("_rtx")


@pytest.fixture
def _rtx(wheel: Callable[[str], ModuleType]) -> None:
    wheel("tensorrt_rtx_bindings")


def compiled(path: Path, folder: Path, device: str = "SM86", **keys: Any) -> Artefact:
    options = decode(PLUGIN, keys.pop("options", {}))
    assert PLUGIN.compile is not None
    request = LoadRequest(path=path, format=ONNX, device=device, cache=folder, options=options, **keys)
    return PLUGIN.compile(request)


def checked(artefact: Artefact, least: int) -> None:
    """The file is an engine of this release, and says so."""
    content = artefact.path.read_bytes()
    assert len(content) > least
    assert plan(artefact.path, content, RTX).version == artefact.made_with["TensorRT-RTX"] == RTX.version
    assert artefact.format == "tensorrt-rtx-engine"


@pytest.mark.parametrize(
    ("device", "compute"), [("SM75", "7.5"), ("SM86", "8.6"), ("SM89", "8.9"), ("SM120", "12.0")]
)
def test_a_dynamic_model_for_gpus_elsewhere(tmp_path: Path, device: str, compute: str) -> None:
    artefact = compiled(write_affine(tmp_path / "affine.onnx"), tmp_path / "out", device)
    checked(artefact, 50_000)
    assert artefact.made_with["compute capability"] == compute
    known = described.read(artefact.path)
    assert known is not None
    assert (known.precision, known.made_with) == ("f32", artefact.made_with)


def test_open_extents_with_a_profile(tmp_path: Path) -> None:
    spec = (TensorProto.FLOAT, ("N", 3, "H", "W"))
    path = save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": spec}, {"y": spec})
    with pytest.raises(ModelRejected, match=r"leaves more open than its first axis \[-1, 3, -1, -1\]"):
        compiled(path, tmp_path / "out")
    shapes = [[1, 3, 32, 32], [1, 3, 320, 320], [4, 3, 640, 640]]
    checked(compiled(path, tmp_path / "out", options={"profiles": {"x": shapes}}), 50_000)
    checked(compiled(path, tmp_path / "fixed", shapes={"x": (None, None, 320, 320)}), 50_000)


@pytest.mark.parametrize("file", ["fastestdet/FastestDet.onnx", "face-rfb320/version-RFB-320.onnx"])
def test_real_detectors(testdata: Path, tmp_path: Path, file: str) -> None:
    shares: list[float] = []
    told: list[str] = []

    def progress(share: float | None, what: str) -> None:
        shares.append(share or 0.0)
        told.append(what)

    artefact = compiled(testdata / "models" / file, tmp_path / "out", progress=progress)
    checked(artefact, 1_000_000)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert "timing tactics" in told


def test_an_unknown_operator_is_named_with_its_node(tmp_path: Path) -> None:
    spec = (TensorProto.FLOAT, (1, 4))
    nodes = [
        helper.make_node("Relu", ["x"], ["z"]),
        helper.make_node("Nonsense", ["z"], ["y"], name="odd", domain="com.acme"),
    ]
    path = save(tmp_path / "foreign.onnx", nodes, {"x": spec}, {"y": spec})
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    onnx.save(model, path)
    with pytest.raises(ModelRejected) as caught:
        compiled(path, tmp_path / "out")
    assert caught.value.reason == (
        "the node odd (Nonsense): TensorRT has no such operator, and no plug-in of that name is loaded"
    )


@pytest.mark.parametrize("content", [b"garbage" * 9, b"", b"\x08\x09"])
def test_files_that_are_no_models(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelRejected) as caught:
        compiled(path, tmp_path / "out")
    assert caught.value.reason
    assert "\n" not in caught.value.reason
    assert "ModelImporter" not in caught.value.reason


class _Samples:
    """Calibration for ONNX Runtime's quantizer."""

    def __init__(self) -> None:
        self._left: Iterator[int] = iter(range(4))

    def get_next(self) -> dict[str, Any] | None:
        seed = next(self._left, None)
        if seed is None:
            return None
        return {"x": np.random.default_rng(seed).normal(size=(1, 3, 8, 8)).astype(np.float32)}


def convolution(folder: Path, **how: Any) -> Path:
    """A convolution with bias, quantized by ONNX Runtime."""
    quantization = pytest.importorskip("onnxruntime.quantization", reason="onnxruntime is not installed")
    dice = np.random.default_rng(0)
    weights = {"w": (4, 3, 3, 3), "b": (4,)}
    constants = [
        numpy_helper.from_array(dice.normal(size=shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv")]
    spec = {"x": (TensorProto.FLOAT, (1, 3, 8, 8))}, {"y": (TensorProto.FLOAT, (1, 4, 6, 6))}
    plain = save(folder / "conv.onnx", nodes, *spec, constants)
    quantization.quantize_static(plain, folder / "q.onnx", _Samples(), **how)
    return folder / "q.onnx"


def test_default_quantization_is_refused_with_the_cure_and_the_cure_works(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected) as caught:
        compiled(convolution(tmp_path), tmp_path / "out")
    reason = caught.value.reason
    assert reason.startswith(
        "the node b_DequantizeLinear (DequantizeLinear): b_DequantizeLinear: input has type Int32"
    )
    assert "QuantType.QInt8, ActivationSymmetric and WeightSymmetric true, QuantizeBias false" in reason
    from onnxruntime.quantization import QuantType

    as_said = {
        "activation_type": QuantType.QInt8,
        "weight_type": QuantType.QInt8,
        "extra_options": {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    }
    artefact = compiled(convolution(tmp_path, **as_said), tmp_path / "out", precision="int8")
    known = described.read(artefact.path)
    assert known is not None
    assert known.precision == "int8"


def test_precision_is_the_files(tmp_path: Path) -> None:
    exact = write_affine(tmp_path / "exact.onnx")
    half = write_affine(tmp_path / "half.onnx", element=TensorProto.FLOAT16)
    with pytest.raises(ModelRejected, match="computes in what the file says, f32, not in f16"):
        compiled(exact, tmp_path / "out", precision="f16")
    found = {
        name: described.read(compiled(path, tmp_path / name, precision=asked).path)
        for name, path, asked in (("f16", half, "f16"), ("f32", exact, "f32"), ("tf32", exact, "native"))
    }
    assert {name: known.precision for name, known in found.items() if known is not None} == {
        "f16": "f16",
        "f32": "f32",
        "tf32": "tf32",
    }


def test_without_a_gpu_only_for_others(tmp_path: Path) -> None:
    path = write_affine(tmp_path / "affine.onnx")
    if look(PLUGIN).devices:
        pytest.skip("there is a GPU here: what happens without one is not to be seen")
    with pytest.raises(AcceleratorUnavailable, match=r"the NVIDIA driver (is missing|finds no GPU)"):
        PLUGIN.devices()
    with pytest.raises(AcceleratorUnavailable, match="tensorrt:GPU"):
        compiled(path, tmp_path / "out", "GPU")
    artefact = compiled(path, tmp_path / "out")
    assert PLUGIN.load is not None
    with pytest.raises(AcceleratorUnavailable, match="tensorrt:GPU"):
        PLUGIN.load(LoadRequest(path=artefact.path, format=artefact.format))
    request = LoadRequest(path=artefact.path, format=artefact.format, device="SM86")
    with pytest.raises(AcceleratorUnavailable, match="is what models are compiled for on other machines"):
        PLUGIN.load(request)
    artefact.path.write_bytes(b"ftrt" + artefact.path.read_bytes()[4:])
    with pytest.raises(ModelRejected, match="is an engine of TensorRT: say format tensorrt-engine"):
        PLUGIN.load(replace(request, device=None))


def test_a_gpu_that_this_release_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(AcceleratorUnavailable, match=r"SM10': this TensorRT-RTX compiles for SM"):
        compiled(write_affine(tmp_path / "affine.onnx"), tmp_path / "out", "SM10")


def test_the_command_compiles_for_gpus_elsewhere(tmp_path: Path) -> None:
    if "compile" not in COMMANDS:
        pytest.skip("there is no command compile yet")
    folder = tmp_path / "models" / "affine" / "1"
    write_affine(folder / "model.onnx")
    (folder / "model.yaml").write_text(
        'schema: 1\nname: affine\nversion: "1"\ntask: raw\nfiles: [{path: model.onnx, format: onnx}]\n'
        "inputs: {x: {kind: vector}}\noutputs: {y: {}}\n"
    )
    words = ("compile", "affine", "--models", tmp_path / "models", "--into", tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "-m", "edgex_inference", *words, "--for", "tensorrt:SM86,tensorrt:SM89"],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    engines = list((tmp_path / "out").rglob("*.engine"))
    known = [described.read(one) for one in engines]
    assert sorted(one.made_with["compute capability"] for one in known if one is not None) == ["8.6", "8.9"]
