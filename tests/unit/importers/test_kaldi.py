"""Kaldi networks, written as Kaldi writes them (synthetic), against a frame-by-frame evaluation in plain numpy."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgex_inference.importers.kaldi import convert
from edgex_inference.importers.kaldi.components.table import GENERATIONS
from edgex_inference.testing.kaldi_components import (
    NATURAL,
    NNET3,
    PAIRS,
    SIDES,
    V,
    attended,
    attention,
    constants,
    heights,
    random,
    surrounded,
    with_ivector,
    x_vector,
)
from edgex_inference.testing.kaldi_models import KaldiNet, KaldiPart
from edgex_inference.testing.kaldi_older import (
    APPENDED,
    INTERLACED,
    NNET1,
    NNET2,
    SPLICED,
    alone,
    appended,
    beside,
    beside_answer,
    constant,
    interlaced,
    largest,
    spliced,
)

Frame = Callable[[int], Any]
"""The value of a node at a frame."""


def run(model: Any, feeds: Mapping[str, Any]) -> Any:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["output"], dict(feeds))[0]


def held(frames: Any) -> Frame:
    """The first and the last frame for what is before and behind."""
    return lambda t: frames[min(max(t, 0), len(frames) - 1)]


def compared(
    net: KaldiNet, path: Path, node: Callable[[Frame], Frame], dim: int, tolerance: float = 1e-5
) -> None:
    """Text and binary, held and cut, two utterances at once."""
    data = random(2, 9, dim, seed=3)
    for binary in (True, False):
        file = net.write(path, binary=binary)
        found = run(convert(file), {"input": data})
        assert found.shape[:2] == (2, 9)
        for utterance, answer in zip(data, found, strict=True):
            wanted = np.stack([node(held(utterance))(t) for t in range(9)])
            np.testing.assert_allclose(answer, wanted, rtol=tolerance, atol=tolerance)
        cut = convert(file, edges="cut")
        said = {pair.key: pair.value for pair in cut.metadata_props}
        left, right = int(said["context.left"]), int(said["context.right"])
        window = run(cut, {"input": data[:, : left + 1 + right]})
        assert window.shape[1] == 1
        np.testing.assert_allclose(window[0, 0], node(held(data[0]))(left), rtol=tolerance, atol=tolerance)


def per_frame(compute: Callable[[Any], Any]) -> Callable[[Frame], Frame]:
    return lambda x: lambda t: compute(x(t).astype(np.float64))


@pytest.mark.parametrize(("kind", "items", "wanted"), NNET3, ids=[one[0] for one in NNET3])
def test_a_component_of_nnet3(kind: str, items: Any, wanted: Any, tmp_path: Path) -> None:
    lines = ["input-node name=input dim=6", "component-node name=a component=part input=input",
             "output-node name=output input=a objective=linear"]  # fmt: skip
    net = KaldiNet("nnet3", [KaldiPart(kind, items, "part")], lines)
    compared(net, tmp_path / "final.raw", per_frame(wanted), 6)


@pytest.mark.parametrize(("kind", "items", "wanted"), NNET2, ids=[one[0] for one in NNET2])
def test_a_component_of_nnet2(kind: str, items: Any, wanted: Any, tmp_path: Path) -> None:
    net = replace(alone("nnet2", (kind, items, wanted)), within_model=True)
    compared(net, tmp_path / "final.mdl", per_frame(lambda x: wanted(V * x)), 6)


def test_columns_of_several_frames_side_by_side(tmp_path: Path) -> None:
    compared(KaldiNet("nnet2", [APPENDED]), tmp_path / "n", per_frame(appended), 6)
    compared(KaldiNet("nnet2", [INTERLACED]), tmp_path / "n", per_frame(interlaced), 6)


@pytest.mark.parametrize(
    ("kind", "least"), [("SoftmaxComponent", 1e-20), ("LogSoftmaxComponent", np.log(1e-20))]
)
def test_the_softmax_of_nnet2_ends_at_its_floor(kind: str, least: float, tmp_path: Path) -> None:
    file = alone("nnet2", next(one for one in NNET2 if one[0] == kind)).write(tmp_path / "n", binary=True)
    found = run(convert(file), {"input": np.float32(99) * random(1, 4, 6)})
    np.testing.assert_allclose(found.min(), least, rtol=1e-6)


def test_nnet2_splices_once_what_holds_for_all(tmp_path: Path) -> None:
    """Two layers of frames, the second with its list of frames; the last two columns stand once."""
    weights, bias = SPLICED
    same = random(2)

    def node(x: Frame) -> Frame:
        def spliced(t: int) -> Any:
            return weights @ np.concatenate([*(x(t + one)[:4] for one in (-2, 0, 1)), x(t)[4:]]) + bias

        def last(t: int) -> Any:
            both = np.concatenate((spliced(t - 1), spliced(t)))
            return both / np.sqrt(np.mean(both**2))

        return last

    file = constant().write(tmp_path / "final.nnet", binary=True)
    data = random(1, 9, 6, seed=3)
    data[:, :, 4:] = same  # Kaldi promises one value for the whole utterance
    wanted = np.stack([node(held(data[0]))(t) for t in range(9)])
    np.testing.assert_allclose(run(convert(file), {"input": data})[0], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "items", "wanted"), NNET1, ids=[one[0] for one in NNET1])
def test_a_component_of_nnet1(kind: str, items: Any, wanted: Any, tmp_path: Path) -> None:
    compared(alone("nnet1", (kind, items, wanted)), tmp_path / "final.nnet", per_frame(wanted), 6)


def test_nnet1_holds_the_ends_at_every_splice(tmp_path: Path) -> None:
    """Its second Splice repeats what the first layer gave at the ends, not the features."""
    file = spliced().write(tmp_path / "n", binary=False)
    data = random(1, 7, 6)
    x = held(data[0])
    first = [np.tanh(np.concatenate([x(t + one) for one in (-1, 0, 2)])) for t in range(7)]
    again = held(first)
    wanted = np.stack([np.concatenate((again(t - 2), again(t))) for t in range(7)])
    np.testing.assert_allclose(run(convert(file), {"input": data})[0], wanted, rtol=1e-6)
    assert run(convert(file, edges="cut"), {"input": data}).shape == (1, 7 - 5, 36)


def test_networks_of_nnet1_side_by_side(tmp_path: Path) -> None:
    """Of what is within, every Splice holds its own ends; the mean is that of the run."""
    data = random(2, 7, 6)
    for binary in (True, False):
        file = beside().write(tmp_path / "n", binary=binary)
        found = run(convert(file), {"input": data})
        np.testing.assert_allclose(found, [beside_answer(one) for one in data], rtol=1e-5, atol=1e-6)
    assert run(convert(file, edges="cut"), {"input": data}).shape == (2, 7 - 4, 14)


def test_the_small_letters_that_nnet1_once_wrote(tmp_path: Path) -> None:
    wanted = convert(spliced().write(tmp_path / "n", binary=True)).graph
    data = spliced().encoded(binary=True)
    (tmp_path / "n").write_bytes(data.replace(b"<Splice>", b"<splice>").replace(b"<Tanh>", b"<tanh>"))
    assert convert(tmp_path / "n").graph == wanted


def test_descriptors_of_nnet3(tmp_path: Path) -> None:
    """Append, Offset, Sum, Scale, Const, Failover, dim-range-node, and a TDNN; nothing of it in the file's order."""
    tdnn, bias = random(4, 3 * 8), random(4)
    parts = [
        KaldiPart("RectifiedLinearComponent", (("Dim", 4),), "relu"),
        KaldiPart("TdnnComponent", (*NATURAL, ("TimeOffsets", [-3, 0, 1]), ("LinearParams", tdnn), ("BiasParams", bias),
                  ("OrthonormalConstraint", 0.0), ("UseNaturalGradient", True), ("NumSamplesHistory", 2000.0),
                  ("AlphaInOut", 4.0), ("", 4.0), ("RankInOut", 20), ("", 80)), "tdnn"),
    ]  # fmt: skip
    lines = [
        "output-node name=output input=Append(Scale(-0.5, relu1), Offset(Sum(relu1, Const(2.0, 4)), -1), half)",
        "component-node name=relu1 component=relu input=Failover(tdnn1, half)",
        "component-node name=tdnn1 component=tdnn "
        "input=Append(Offset(input, -1), Offset(Append(half, Scale(2.0, half)), 2), half)",
        "dim-range-node name=half input-node=input dim-offset=1 dim=1",
        "input-node name=input dim=5",
    ]  # fmt: skip

    def node(x: Frame) -> Frame:
        def appended(t: int) -> Any:
            half = x(t + 2)[1:2]
            return np.concatenate((x(t - 1), half, 2 * half, x(t)[1:2]))

        def relu(t: int) -> Any:
            return np.maximum(tdnn @ np.concatenate([appended(t + one) for one in (-3, 0, 1)]) + bias, 0)

        return lambda t: np.concatenate((-0.5 * relu(t), relu(t - 1) + 2, x(t)[1:2]))

    compared(KaldiNet("nnet3", parts, lines), tmp_path / "final.raw", node, 5)


def test_an_ivector_is_an_input_of_its_own(tmp_path: Path) -> None:
    weights, bias = random(4, 13), random(4)
    file = with_ivector(weights, bias).write(tmp_path / "final.mdl", binary=True)
    data, ivector = random(2, 6, 5), random(2, 3)
    found = run(convert(file), {"input": data, "ivector": ivector})
    for utterance in range(2):
        x = held(data[utterance])
        wanted = [weights @ np.concatenate((x(t - 1), x(t), ivector[utterance])) + bias for t in range(6)]
        np.testing.assert_allclose(found[utterance], np.stack(wanted), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_over_time_and_height(stride: int, tmp_path: Path) -> None:
    """Heights beyond the picture are zeros; so are frames that are not required, at the ends."""
    made = 4 // stride
    weights, bias = random(3, 2 * len(PAIRS)), random(3)
    data = random(1, 7, 8)

    def wanted(t: int) -> Any:
        rows = []
        for height in range(made):
            patch = []
            for time, up in PAIRS:
                there = 0 <= t + time < 7 and 0 <= height * stride + up < 4
                at = (height * stride + up) * 2
                patch.append(data[0, t + time, at : at + 2] if there else np.zeros(2))
            rows.append(weights @ np.concatenate(patch) + bias)
        return np.concatenate(rows)

    for binary in (True, False):
        file = heights(stride, weights, bias).write(tmp_path / "final.raw", binary=binary)
        found = run(convert(file), {"input": data})[0]
        np.testing.assert_allclose(found, np.stack([wanted(t) for t in range(7)]), rtol=1e-4, atol=1e-5)


def sided(data: Any, own: Frame) -> Any:
    """A node's frames beside those around it, as `surrounded` has them."""
    rows = [np.concatenate((own(t), held(data)(t - SIDES), held(data)(t + SIDES))) for t in range(len(data))]
    return np.stack(rows)


def padded(data: Any) -> Frame:
    """Frames as far as a network with that context has them, and zeros."""
    there = range(-SIDES, len(data) + SIDES)
    return lambda t: held(data)(t).astype(np.float64) if t in there else np.zeros(data.shape[1])


def test_frames_that_are_not_required_are_seen_where_they_are(tmp_path: Path) -> None:
    """The rest of the network asks for more frames than the convolution must have."""
    weights, bias = random(3, 2 * len(PAIRS)), random(3)
    file, data = surrounded(heights(1, weights, bias)).write(tmp_path / "n", binary=True), random(5, 8)
    x = padded(data)

    def one(t: int, height: int) -> Any:
        patch = [
            x(t + time)[2 * (height + up) :][:2] if 0 <= height + up < 4 else np.zeros(2)
            for time, up in PAIRS
        ]
        return weights @ np.concatenate(patch) + bias

    wanted = sided(data, lambda t: np.concatenate([one(t, height) for height in range(4)]))
    np.testing.assert_allclose(run(convert(file), {"input": data[None]})[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("required", "context"), [(1, True), (0, False)])
def test_attention_to_frames_around(required: int, context: bool, tmp_path: Path) -> None:
    for binary in (True, False):
        net = attention(required, context=context)
        file, data = net.write(tmp_path / "n", binary=binary), random(5, 24)
        wanted = sided(data, functools.partial(attended, padded(data), context=context))
        np.testing.assert_allclose(run(convert(file), {"input": data[None]})[0], wanted, rtol=1e-4, atol=1e-5)


def test_a_constant_reads_nothing(tmp_path: Path) -> None:
    file, data = constants().write(tmp_path / "n", binary=False), random(1, 4, 6)
    wanted = np.concatenate((np.tile(V, (4, 1)), data[0]), 1)
    np.testing.assert_array_equal(run(convert(file), {"input": data})[0], wanted)


def test_an_x_vector_is_one_frame_for_the_utterance(tmp_path: Path) -> None:
    weights, bias = random(4, 12), random(4)
    model = convert(x_vector(weights, bias).write(tmp_path / "final.raw", binary=True))
    assert {pair.key: pair.value for pair in model.metadata_props}["edges"] == "cut"
    data = random(2, 11, 6)
    found = run(model, {"input": data})
    assert found.shape == (2, 1, 4)
    seen = data[:, 2:].astype(np.float64)
    pooled = np.concatenate((seen.mean(1), seen.std(1)), 1)
    np.testing.assert_allclose(found[:, 0], pooled @ weights.T + bias, rtol=1e-4, atol=1e-5)


def test_the_largest_of_some_frames(tmp_path: Path) -> None:
    compared(largest(), tmp_path / "n", lambda x: lambda t: np.max([x(t - 1), x(t), x(t + 2)], 0), 6)


REMEMBERING = (
    "LstmNonlinearityComponent", "GruNonlinearityComponent", "OutputGruNonlinearityComponent", "DropoutMaskComponent",
    "BackpropTruncationComponent", "LstmProjected", "BlstmProjected", "RecurrentComponent",
)  # fmt: skip
"""Tested in test_kaldi_recurrent.py."""


def test_every_component_has_a_test() -> None:
    """But those that share another one's function, or that do nothing outside of training."""
    tested = {one[0] for one in (*NNET1, *NNET2, *NNET3)} | {
        "Splice", "SpliceComponent", "SpliceMaxComponent", "TdnnComponent", "TimeHeightConvolutionComponent",
        "StatisticsExtractionComponent", "StatisticsPoolingComponent", "SimpleSentenceAveragingComponent",
        "ParallelComponent", "RestrictedAttentionComponent", "ConstantComponent", *REMEMBERING,
    }  # fmt: skip
    known = {kind: one for table in GENERATIONS.values() for kind, one in table.items()}
    functions = {known[kind].make for kind in tested}
    rest = {kind for kind, one in known.items() if kind not in tested and one.make not in functions}
    # Made by the same function of a token as PerElementScaleComponent.
    assert rest == {"NaturalGradientPerElementScaleComponent"}
