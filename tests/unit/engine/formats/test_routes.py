"""Which way a kind takes to a format, and what is said where there is none."""

import pytest

from edgex_inference.contracts.accelerator import ONNX, OPENVINO_IR, TFLITE
from edgex_inference.contracts.errors import SetupError
from edgex_inference.engine.formats.kinds import ABOUT, Kind
from edgex_inference.engine.formats.routes import STEPS, TARGETS, route, target_of, why_not
from edgex_inference.engine.formats.toolchains import HERE, SCRIPTS, manifest


def test_the_shortest_way_is_taken() -> None:
    assert [step.script for step in route(Kind.SAVED_MODEL, OPENVINO_IR)] == ["to_openvino.py"]
    assert [step.script for step in route(Kind.KERAS, OPENVINO_IR)] == [
        "tensorflow_to_onnx.py",
        "to_openvino.py",
    ]
    assert [step.toolchain for step in route(Kind.MXNET, OPENVINO_IR)] == ["mxnet", HERE]


def test_every_toolchain_and_script_of_a_step_is_shipped() -> None:
    for step in STEPS:
        for toolchain, script in ((step.toolchain, step.script), (step.oracle, step.oracle_script)):
            assert toolchain in manifest() or toolchain == HERE
            assert not script or (SCRIPTS / script).is_file()


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("target", list(TARGETS.values()))
def test_each_kind_has_a_way_or_a_sentence_with_one_that_works(kind: Kind, target: str) -> None:
    try:
        assert route(kind, target)[-1].target == target  # type: ignore[arg-type]
    except SetupError as error:
        words = str(error).split(": ", 1)
        assert ABOUT[kind].label in words[0]
        assert words[1], f"{kind} to {target} says no way that works"


def test_what_is_there_already_is_added_not_converted() -> None:
    assert "model add" in why_not(Kind.TFLITE, TFLITE)
    assert route(Kind.ONNX, ONNX)[0].script == "to_opset.py"


@pytest.mark.parametrize(("word", "said"), [("tensorrt", "edgex-inference compile"), ("coreml", "say onnx")])
def test_what_nothing_is_converted_to(word: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        target_of(word)
    assert target_of("openvino") == target_of("openvino-ir") == OPENVINO_IR
