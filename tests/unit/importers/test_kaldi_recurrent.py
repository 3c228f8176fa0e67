"""Networks that remember (synthetic), against numpy that follows Kaldi's rules: node by node, frame by frame."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx.reference
import onnxruntime
import pytest

from edgex_inference.importers.kaldi import convert
from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart
from edgex_inference.testing.kaldi_networks import (
    CELLS,
    NETWORKS,
    Spec,
    components,
    counting,
    random,
    sigmoid,
    written,
)


def evaluated(specs: Sequence[Spec], data: Any, context: tuple[int, int]) -> Callable[[str, int], Any]:
    """A node's frame, None where it needs one that is not there; the ends of the data are held over the context."""
    nodes = {one.name: one for one in specs}

    @functools.cache
    def value(name: str, t: int) -> Any:
        if name == "input":
            there = -context[0] <= t < len(data) + context[1]
            return data[min(max(t, 0), len(data) - 1)].astype(np.float64) if there else None
        parts = []
        for one in nodes[name].reads:
            found = value(one.name, t + one.offset)
            if found is None and not one.maybe:
                return None
            parts.append(np.zeros(one.maybe) if found is None else found)
        return nodes[name].compute(np.concatenate(parts) if parts else None)

    return value


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_as_kaldi_computes_it(name: str, tmp_path: Path) -> None:
    """Text and binary, held and cut, utterances of several lengths, two at once."""
    specs, context = NETWORKS[name]
    for binary, edges in ((True, "held"), (False, "held"), (True, "cut")):
        model = convert(written(specs).write(tmp_path / "final.raw", binary=binary), edges=edges)  # type: ignore[arg-type]
        said = {pair.key: pair.value for pair in model.metadata_props}
        assert (int(said["context.left"]), int(said["context.right"]), said["recurrent"]) == (
            *context,
            "true",
        )
        for frames in (1, 7, 12):
            data = random(2, frames + (sum(context) if edges == "cut" else 0), 5, seed=9) * 2
            for found in answers(model, {"input": data}):
                assert found.shape[:2] == (2, frames)
                for utterance, answer in zip(data, found, strict=True):
                    value = evaluated(specs, utterance, context if edges == "held" else (0, 0))
                    first = context[0] if edges == "cut" else 0
                    wanted = np.stack([value("out", first + t) for t in range(frames)])
                    np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)


def test_frames_are_read_by_their_number(tmp_path: Path) -> None:
    """Round and Switch count from the first frame of the output; IfDefined gives zeros."""
    net = counting()
    said = dict(net.parts[0].items)
    model = convert(net.write(tmp_path / "final.raw", binary=False))
    for frames in (1, 4, 13):
        data = random(2, frames, 5, seed=1)
        held = [np.concatenate((one[:1].repeat(99, 0), one, one[-1:].repeat(99, 0)), 0) for one in data]
        for found in answers(model, {"input": data}):
            for x, answer in zip(held, found, strict=True):

                def a(t: int, x: Any = x) -> Any:
                    fed = np.concatenate((x[99 + t - 1], x[99 + t // 3 * 3]))
                    return said["LinearParams"] @ fed + said["BiasParams"]

                def counted(t: int, a: Callable[[int], Any] = a) -> Any:
                    turns, later = (a(t), a(t + 1)), (a(t + 2), a(t + 1), a(t + 2))
                    parts = [turns[t % 2], a(t // 4 * 4 - 2), a((t + 1) // 2 * 2), a(t // 5 * 5)]
                    return np.concatenate((*parts, later[(t + 2) % 3]))

                wanted = np.stack([counted(t) for t in range(frames)])
                np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)


def test_components_side_by_side(tmp_path: Path) -> None:
    """What toolchain `kaldi` is asked for is what is tested one by one."""
    model = convert(components().write(tmp_path / "final.raw", binary=True))
    assert {pair.key: pair.value for pair in model.metadata_props}["recurrent"] == "false"
    assert answers(model, {"input": random(1, 4, 6)})[0].shape[:2] == (1, 4)


def answers(model: Any, feeds: Mapping[str, Any]) -> Sequence[Any]:
    """ONNX Runtime's, and those of ONNX's own evaluator."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    exact = onnx.reference.ReferenceEvaluator(model)
    return [session.run(["output"], dict(feeds))[0], exact.run(["output"], dict(feeds))[0]]


@dataclass(frozen=True)
class Projected:
    """nnet1's weights of one direction."""

    inputs: Any
    past: Any
    bias: Any
    peepholes: Any
    projection: Any

    def items(self) -> Sequence[tuple[str, Any]]:
        arrays = (self.inputs, self.past, self.bias, *self.peepholes, self.projection)
        return [("", one) for one in arrays]

    def run(self, frames: Sequence[Any], clip: float) -> Sequence[Any]:
        state, answer, found = np.zeros(CELLS), np.zeros(2), []
        for x in frames:
            new, into, forget, out = (self.inputs @ x + self.past @ answer + self.bias).reshape(4, CELLS)
            into, forget = (
                sigmoid(into + self.peepholes[0] * state),
                sigmoid(forget + self.peepholes[1] * state),
            )
            state = np.clip(np.tanh(new) * into + state * forget, -clip, clip)
            answer = self.projection @ (np.tanh(state) * sigmoid(out + self.peepholes[2] * state))
            found.append(answer)
        return found


def projected(seed: int) -> Projected:
    return Projected(random(4 * CELLS, 10, seed=seed), random(4 * CELLS, 2, seed=seed), random(4 * CELLS, seed=seed),
                     random(3, CELLS, seed=seed), random(2, CELLS, seed=seed))  # fmt: skip


@pytest.mark.parametrize("kind", ["LstmProjected", "LstmProjectedStreams", "BlstmProjected", "BlstmProjectedStreams",
                                  "RecurrentComponent"])  # fmt: skip
def test_nnet1_remembers_from_the_first_frame(kind: str, tmp_path: Path) -> None:
    """Between two Splices; the clip of the state is narrow enough to be met."""
    fore, back, both = projected(1), projected(2), kind.startswith("Blstm")
    clip, wide, plain = 0.3, 4 if both else 2, (random(2, 10), random(2, 2), random(2))
    items: list[tuple[str, Any]] = [
        ("CellDim", CELLS),
        ("LearnRateCoef", 1.0),
        ("BiasLearnRateCoef", 1.0),
        ("CellClip", clip),
        ("DiffClip", 1.0),
        ("CellDiffClip", 0.0),
        ("GradClip", 5.0),
    ]
    items += [*fore.items(), *(back.items() if both else [])]
    if kind == "RecurrentComponent":
        items = [("GradClip", 5.0), ("DiffClip", 1.0), ("LearnRateCoef", 1.0), *(("", one) for one in plain)]
    parts = [
        KaldiPart("Splice", (("", [-1, 1]),)),
        KaldiPart(kind, items),
        KaldiPart("Splice", (("", [-2, 0]),)),
    ]
    net = KaldiNet("nnet1", parts, dims={0: (10, 5), 1: (wide, 10), 2: (2 * wide, wide)})

    def between(frames: Sequence[Any]) -> Sequence[Any]:
        if kind == "RecurrentComponent":
            found, answer = [], np.zeros(2)
            for x in frames:
                answer = np.tanh(plain[0] @ x + plain[1] @ answer + plain[2])
                found.append(answer)
            return found
        ahead = fore.run(frames, clip)
        behind = back.run(frames[::-1], clip)[::-1] if both else [np.zeros(0)] * len(frames)
        return [np.concatenate(pair) for pair in zip(ahead, behind, strict=True)]

    data = 3 * random(2, 9, 5, seed=4)
    for binary in (True, False):
        file = net.write(tmp_path / "final.nnet", binary=binary)
        for found in answers(convert(file), {"input": data}):
            for utterance, answer in zip(data.astype(np.float64), found, strict=True):
                x = [np.concatenate((utterance[max(t - 1, 0)], utterance[min(t + 1, 8)])) for t in range(9)]
                y = between(x)
                wanted = np.stack([np.concatenate((y[max(t - 2, 0)], y[t])) for t in range(9)])
                np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)
        for found in answers(convert(file, edges="cut"), {"input": data}):
            x = [np.concatenate((data[0, t - 1], data[0, t + 1])) for t in range(1, 8)]
            y = between(x)
            wanted = np.stack([np.concatenate((y[t - 2], y[t])) for t in range(2, 7)])
            np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-5)
