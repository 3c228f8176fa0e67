"""Kaldi's statistics over windows (synthetic), against numpy that follows Kaldi's rules frame by frame."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx.reference
import onnxruntime
import pytest

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.importers.kaldi import convert
from edgex_inference.testing.kaldi_components import random
from edgex_inference.testing.kaldi_models import KaldiNet
from edgex_inference.testing.kaldi_statistics import COLUMNS, STATISTICS, Statistics


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", STATISTICS)
def test_a_window_as_kaldi_pools_it(name: str, every: int, tmp_path: Path) -> None:
    """Text and binary, held and cut, utterances of several lengths, two at once; of all frames or of each third."""
    said = STATISTICS[name]
    for binary, edges in ((True, "held"), (False, "cut")):
        file = said.net().write(tmp_path / "final.raw", binary=binary)
        model = convert(file, edges=edges, every=every)  # type: ignore[arg-type]
        metadata = {pair.key: pair.value for pair in model.metadata_props}
        assert (int(metadata["context.left"]), int(metadata["context.right"])) == said.context
        assert (metadata["pooled"], metadata["edges"], metadata["every"]) == ("false", edges, str(every))
        for frames in (4, 8, 31):  # deviations of a single frame are nothing but rounding
            before = said.context[0] if edges == "cut" else 0
            data = random(2, frames + (sum(said.context) if edges == "cut" else 0), COLUMNS, seed=frames)
            for found in _answers(model, data):
                asked = range(0, frames, every)
                assert found.shape == (2, len(asked), 3)
                for utterance, answer in zip(data, found, strict=True):
                    value = said.answer(_held(utterance, before), asked[-1])
                    np.testing.assert_allclose(answer, [value(t) for t in asked], rtol=1e-4, atol=1e-5)


def _held(utterance: Any, before: int) -> Any:
    return lambda t: utterance[min(max(t + before, 0), len(utterance) - 1)]


def _answers(model: Any, data: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    exact = onnx.reference.ReferenceEvaluator(model)
    return [session.run(["output"], {"input": data})[0], exact.run(["output"], {"input": data})[0]]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (Statistics(each=2, over=9, left=9, right=9, period=9), "each 2th of 9 frames"),
        (Statistics(left=9, right=8, period=9), "9 frames before and 8 behind, which are no multiples of 9"),
        (Statistics(), "0 frames before and 0 behind"),
        (
            Statistics(over=9, left=3, right=3, period=3),
            "gathers over 9 frames, and what reads it does not pool each",
        ),
        (Statistics(left=3, right=3, logs=-1), "-1 columns of the number of frames"),
    ],
)
def test_statistics_that_kaldi_has_not(said: Statistics, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match=wanted):
        convert(said.net().write(tmp_path / "final.raw", binary=True))


def _reading(folder: Path, pooled: str, sides: str = "Offset(a, -2), Offset(a, 2)") -> Path:
    """Statistics in periods of 9 frames, read in another way."""
    net = STATISTICS["statistics in periods"].net()
    last = f"component-node name=o component=last input=Append({sides}, {pooled})"
    lines = [last if "name=o " in one else one for one in net.lines]
    return KaldiNet("nnet3", net.parts, lines).write(folder / "final.raw", binary=True)


def test_statistics_are_read_where_they_are(tmp_path: Path) -> None:
    """Some frames later than what is rounded is still a frame that there is."""
    assert convert(_reading(tmp_path, "Offset(Round(p, 9), 1)")).graph.output[0].name == "output"
    for pooled in ("p", "Round(p, 3)", "Round(Offset(p, 4), 9)"):
        with pytest.raises(
            ModelRejected, match=r"'pool' .* has each 9th frame only, and is read without Round"
        ):
            convert(_reading(tmp_path, pooled))


def test_statistics_of_what_needs_more_than_the_network(tmp_path: Path) -> None:
    with pytest.raises(
        ModelRejected, match="reads 'e' for statistics, which needs more context than the whole"
    ):
        convert(_reading(tmp_path, "Round(p, 9)", "input, input"))
