"""From a kind of file to a format: which steps, each in which toolchain, or why not and what would work."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.config.places import listed
from edgex_inference.contracts.accelerator import ONNX, OPENVINO_IR, TFLITE, Format
from edgex_inference.contracts.errors import SetupError
from edgex_inference.engine.formats.kinds import ABOUT, Kind
from edgex_inference.engine.formats.toolchains import HERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One conversion by one script, which also asks the source's own framework.

    Where `oracle` names another toolchain, that one's `oracle_script` asks; where `answers` is False too, an
    accelerator of this machine that reads the source must.
    """

    sources: frozenset[Kind]
    target: Format
    toolchain: str
    script: str
    answers: bool = True
    oracle: str = ""
    oracle_script: str = ""


STEPS: tuple[Step, ...] = (
    Step(
        sources=frozenset({Kind.PICKLE, Kind.XGBOOST, Kind.LIGHTGBM}),
        target=ONNX,
        toolchain="sklearn",
        script="from_sklearn.py",
    ),
    Step(
        sources=frozenset({Kind.ONNX, Kind.TFLITE, Kind.SAVED_MODEL, Kind.FROZEN, Kind.PADDLE}),
        target=OPENVINO_IR,
        toolchain=HERE,
        script="to_openvino.py",
        answers=False,
    ),
    Step(sources=frozenset({Kind.ONNX}), target=ONNX, toolchain=HERE, script="to_opset.py", answers=False),
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
        return f"is {about.label} already: `edgex-inference model add` takes it as it is"
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
