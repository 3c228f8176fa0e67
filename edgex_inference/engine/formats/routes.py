"""From a kind of file to a format: which steps, each in which toolchain, or why not and what would work."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.config.places import listed
from edgex_inference.contracts.accelerator import ONNX, OPENVINO_IR, TFLITE, Format
from edgex_inference.contracts.errors import SetupError
from edgex_inference.engine.formats.kinds import ABOUT, Kind
from edgex_inference.engine.formats.toolchains import HERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One conversion by one script, which also asks the source's own framework where its toolchain has it.

    Where another toolchain has that, `oracle` names it, and `oracle_script` asks.
    """

    sources: frozenset[Kind]
    target: Format
    toolchain: str
    script: str
    oracle: str = ""
    oracle_script: str = ""


_TENSORFLOW = frozenset({Kind.SAVED_MODEL, Kind.FROZEN})
_KERAS = frozenset({Kind.KERAS, Kind.KERAS_H5})


def _step(sources: Iterable[Kind], target: Format, toolchain: str, script: str, oracle: str = "") -> Step:
    """A step; `oracle` is `toolchain/script`."""
    asking, _, asked = oracle.partition("/")
    return Step(
        sources=frozenset(sources),
        target=target,
        toolchain=toolchain,
        script=script,
        oracle=asking,
        oracle_script=asked,
    )


STEPS: tuple[Step, ...] = (
    _step({Kind.PICKLE, Kind.XGBOOST, Kind.LIGHTGBM}, ONNX, "sklearn", "from_sklearn.py"),
    _step(_TENSORFLOW | _KERAS, ONNX, "tensorflow", "tensorflow_to_onnx.py"),
    _step(_TENSORFLOW | _KERAS, TFLITE, "tensorflow", "tensorflow_to_tflite.py"),
    _step({Kind.TFLITE}, ONNX, "tensorflow", "tflite_to_onnx.py"),
    _step({Kind.TORCH_EXPORT, Kind.TORCHSCRIPT, Kind.TORCH_FACTORY}, ONNX, "torch", "torch_to_onnx.py"),
    _step({Kind.PADDLE, Kind.PADDLE_PIR}, ONNX, "paddle", "paddle_to_onnx.py"),
    _step({Kind.MXNET}, ONNX, "mxnet", "mxnet_to_onnx.py"),
    _step({Kind.CAFFE}, ONNX, HERE, "import_caffe.py", "opencv/ask_opencv.py"),
    _step({Kind.KALDI}, ONNX, HERE, "import_kaldi.py", "kaldi/ask_kaldi.py"),
    _step(_TENSORFLOW, OPENVINO_IR, HERE, "to_openvino.py", "tensorflow/ask_tensorflow.py"),
    _step({Kind.PADDLE}, OPENVINO_IR, HERE, "to_openvino.py", "paddle/ask_paddle.py"),
    _step({Kind.ONNX, Kind.TFLITE}, OPENVINO_IR, HERE, "to_openvino.py"),
    _step({Kind.ONNX}, ONNX, HERE, "to_opset.py"),
    _step({Kind.ONNX}, TFLITE, "onnx2tf", "onnx_to_tflite.py"),
)
"""Preferred ones first."""

TARGETS: Mapping[str, Format] = {"onnx": ONNX, "tflite": TFLITE, "openvino": OPENVINO_IR}
"""What `--to` takes."""

_COMPILED = ("tensorrt", "edgetpu", "tvm", "migraphx", "neuron", "vitisai")


def target_of(word: str) -> Format:
    """The format that `--to` names; raises SetupError with what it takes."""
    if word in _COMPILED:
        raise SetupError(
            f"--to {word}: that is compiled for a device: `edgex-inference compile MODEL --for {word}`"
        )
    found = TARGETS.get(word) or next((one for one in TARGETS.values() if one == word), None)
    if found is None:
        raise SetupError(f"--to {word}: no format that anything is converted to; say {listed(TARGETS)}")
    return found


_KIND_OF: Mapping[Format, Kind] = {ONNX: Kind.ONNX, TFLITE: Kind.TFLITE, OPENVINO_IR: Kind.OPENVINO_IR}
_MOST = 3


def route(kind: Kind, target: Format, steps: Sequence[Step] = STEPS) -> Sequence[Step]:
    """The shortest way, of equal ones that which is preferred; raises SetupError with the nearest one that works."""
    left: deque[tuple[Kind, tuple[Step, ...]]] = deque([(kind, ())])
    seen = {kind}
    while left:
        at, taken = left.popleft()
        for step in steps if len(taken) < _MOST else ():
            if at not in step.sources:
                continue
            if step.target == target:
                return (*taken, step)
            then = _KIND_OF[step.target]
            if then not in seen:
                seen.add(then)
                left.append((then, (*taken, step)))
    raise SetupError(why_not(kind, target, steps))


def why_not(kind: Kind, target: Format, steps: Sequence[Step] = STEPS) -> str:
    """Why there is no way, and the nearest one that works."""
    about = ABOUT[kind]
    if about.format == target:
        return f"is {about.label} already: `edgex-inference model add FILE` takes it as it is"
    others = [
        word for word, format_ in TARGETS.items() if format_ != target and _reaches(kind, format_, steps)
    ]
    nearest = about.nearest or (f"convert it to {listed(others)}" if others else "")
    return f"is {about.label}, which cannot be converted to {target}{f': {nearest}' if nearest else ''}"


def _reaches(kind: Kind, target: Format, steps: Sequence[Step]) -> bool:
    return any(
        kind in step.sources and (step.target == target or _reaches(_KIND_OF[step.target], target, steps))
        for step in steps
        if kind is not _KIND_OF[step.target]
    )
