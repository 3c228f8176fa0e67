"""What the TensorRT plug-in reads without TensorRT: its words, headers of engines, descriptions, options, devices."""

import json
from pathlib import Path

import pytest

from accelerators.tensorrt import PLUGIN, described
from accelerators.tensorrt.described import Described
from accelerators.tensorrt.engine import differs, plan
from accelerators.tensorrt.library import RTX, TENSORRT
from accelerators.tensorrt.places import place
from accelerators.tensorrt.words import sentence
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.engine.options import decode

_FAR = "In checkType at /_src/optimizer/common/nodeBase.cpp:456"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            ['creator && "Plugin not found, are the plugin name, version, and namespace correct?"'],
            "Plugin not found, are the plugin name, version, and namespace correct?",
        ),
        (
            [
                "Invalid Node - b\nITensor::getDimensions: Error Code 4: API Usage Error "
                f"(b: input has type Int32 but must have type FP8 or Int8. {_FAR})"
            ],
            "b: input has type Int32 but must have type FP8 or Int8",
        ),
        (
            [
                'ModelImporter.cpp:140: While parsing node number 1 [Nonsense -> "y"]:',
                "Assertion failed: model->ParseFromCodedStream(&codedInput): Failed to parse the ONNX model.",
            ],
            "Failed to parse the ONNX model.",
        ),
        (
            [
                "IRuntime::deserializeCudaEngine: Error Code 1: Cuda Runtime (In ScopedCudaStream at "
                "/_src/common/cudaResources.cpp:25 (cudaError 35: CUDA driver version is insufficient))"
            ],
            "cudaError 35: CUDA driver version is insufficient",
        ),
        (
            ["6: The engine plan file is not compatible, expecting library version 8.0.0 got 8.0.1."],
            "The engine plan file is not compatible, expecting library version 8.0.0 got 8.0.1.",
        ),
        ([], "nothing was said"),
    ],
)
def test_what_tensorrt_says_in_one_line(said: list[str], told: str) -> None:
    """The texts are those of TensorRT-RTX 1.7.1, and of reports from users of TensorRT 8."""
    assert sentence(said, "nothing was said") == told


def header(magic: bytes, *version: int) -> bytes:
    return magic + bytes(20) + bytes(version) + bytes(100)


def test_the_header_of_an_engine_names_its_version(tmp_path: Path) -> None:
    path = tmp_path / "m.engine"
    assert plan(path, header(b"ftrt", 10, 3, 0, 26), TENSORRT).version == "10.3.0.26"
    assert plan(path, header(b"vtrt", 1, 7, 1, 116), RTX).version == "1.7.1.116"
    with pytest.raises(ModelRejected, match="is an engine of TensorRT-RTX: say format tensorrt-rtx-engine"):
        plan(path, header(b"vtrt", 1, 7, 1, 116), TENSORRT)
    for content in (b"garbage" * 100, b"ftrt", b"\xff" * 3, b""):
        with pytest.raises(ModelRejected, match="is no TensorRT engine, or only a part of one"):
            plan(path, content, TENSORRT)


def test_engines_that_ultralytics_exported_tell_their_classes(tmp_path: Path) -> None:
    words = json.dumps({"stride": 32, "task": "detect", "names": {"0": "cat", "1": "dog"}}).encode()
    engine = header(b"ftrt", 10, 3, 0, 26)
    found = plan(tmp_path / "m.engine", len(words).to_bytes(4, "little") + words + engine, TENSORRT)
    assert found.content == engine
    assert found.metadata == {"stride": "32", "task": "detect", "names": '{"0": "cat", "1": "dog"}'}


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        ({}, ""),
        ({"compute capability": "8.9"}, "compute capability 8.6, this one has 8.9: compile the model again"),
        ({"TensorRT": "11.4.0.106"}, "was made with TensorRT 10.3.0.26, here is 11.4.0.106: compile"),
        ({"machine": "aarch64"}, "was made on x86_64, this is aarch64"),
    ],
)
def test_why_an_engine_cannot_run_here(here: dict[str, str], reason: str) -> None:
    known = {"TensorRT": "10.3.0.26", "compute capability": "8.6", "machine": "x86_64"}
    found = differs(known, {**known, **here})
    assert found == reason if not reason else reason in found


@pytest.mark.parametrize(("compute", "fits"), [("8.0", True), ("8.9", True), ("12.0", True), ("7.5", False)])
def test_an_engine_for_ampere_and_later(compute: str, fits: bool) -> None:
    known = {"compute capability": "8.0 and later"}
    assert bool(differs(known, {"compute capability": compute})) is not fits


def test_a_description_is_read_as_written(tmp_path: Path) -> None:
    engine = tmp_path / "m.engine"
    assert described.read(engine) is None
    known = Described(made_with={"TensorRT": "11.4"}, precision="f16", layers=7, metadata={"names": "a,b"})
    assert described.write(engine, known).parent == tmp_path
    assert described.read(engine) == known
    assert [one.name for one in tmp_path.iterdir()] == ["m.engine.json"], "no draft is left behind"
    for damage in ("{", "[]", '{"made_with": 3}', "\xff"):
        described.beside(engine).write_text(damage)
        with pytest.raises(ModelRejected, match=r"m\.engine\.json beside it is damaged: compile"):
            described.read(engine)


@pytest.mark.parametrize(
    ("device", "number", "compute"),
    [
        (None, 0, ""),
        ("gpu", 0, ""),
        ("GPU.0", 0, ""),
        ("GPU.3", 3, ""),
        ("sm86", None, "8.6"),
        ("SM120", None, "12.0"),
    ],
)
def test_places(device: str | None, number: int | None, compute: str) -> None:
    found = place(device)
    assert (found.number, found.compute) == (number, compute)
    assert found.id == {0: "GPU", 3: "GPU.3", None: str(device).upper()}[number]


def test_a_place_that_is_none() -> None:
    with pytest.raises(AcceleratorUnavailable, match="'tensorrt:DLA': no such device; write GPU"):
        place("DLA")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"contexts": 0}, "contexts: must be 1 or more, not 0"),
        ({"optimizationLevel": 9}, "must be 0 to 5, not 9"),
        ({"profiles": {"x": [[1, 4], [2, 4], [1, 4]]}}, "x needs three shapes of one length"),
        ({"profiles": {"x": [[1], [2, 4], [3, 4]]}}, "x needs three shapes of one length"),
        ({"library": "lean"}, "'lean' is not auto, tensorrt or rtx"),
        ({"fp16": True}, "unknown option 'fp16'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], reason: str) -> None:
    with pytest.raises(AcceleratorUnavailable) as caught:
        decode(PLUGIN, options)
    assert reason in str(caught.value)


def test_profiles_are_shapes() -> None:
    found = decode(PLUGIN, {"profiles": {"x": [[1, 4], [2, 4], [8, 4]]}})
    assert found == PLUGIN.options(profiles={"x": ((1, 4), (2, 4), (8, 4))})
