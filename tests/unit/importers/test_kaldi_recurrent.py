"""Networks that remember (synthetic), against numpy that follows Kaldi's rules: node by node, frame by frame."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx.reference
import onnxruntime
import pytest

from edgex_inference.importers.kaldi import convert
from edgex_inference.testing.kaldi_networks import (
    NETWORKS,
    components,
    counting,
    evaluated,
    random,
    written,
)
from edgex_inference.testing.kaldi_older import BACK, CLIP, FORE, PLAIN, REMEMBERING, remembering


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


@pytest.mark.parametrize("kind", REMEMBERING)
def test_nnet1_remembers_from_the_first_frame(kind: str, tmp_path: Path) -> None:
    """Between two Splices; the clip of the state is narrow enough to be met."""
    net = remembering(kind)

    def between(frames: Sequence[Any]) -> Sequence[Any]:
        if kind == "RecurrentComponent":
            found, answer = [], np.zeros(2)
            for x in frames:
                answer = np.tanh(PLAIN[0] @ x + PLAIN[1] @ answer + PLAIN[2])
                found.append(answer)
            return found
        ahead = FORE.run(frames, CLIP)
        behind = BACK.run(frames[::-1], CLIP)[::-1] if "Blstm" in kind else [np.zeros(0)] * len(frames)
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
