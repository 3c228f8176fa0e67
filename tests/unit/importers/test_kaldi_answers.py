"""Networks of nnet1 and nnet2 as Kaldi's own programs answered them (tests/kaldi_oracle.py)."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgex_inference.importers.kaldi import convert
from edgex_inference.importers.kaldi.components.table import GENERATIONS
from edgex_inference.testing.kaldi_models import KaldiNet
from edgex_inference.testing.kaldi_older import LENGTHS, OLDER, utterance

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    with np.load(Path(__file__).parents[2] / "data" / "kaldi" / "answers.npz") as found:
        return dict(found)


@pytest.mark.parametrize("name", OLDER)
def test_it_answers_as_kaldi_did(name: str, kept: dict[str, Any], tmp_path: Path) -> None:
    """Text and binary, over utterances of several lengths."""
    for binary in (True, False):
        model = convert(OLDER[name][0].write(tmp_path / "net", binary=binary))
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        runs = [session.run(["output"], {"input": utterance(name, frames)[None]})[0][0] for frames in LENGTHS]
        np.testing.assert_allclose(np.concatenate(runs), kept[name], rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("generation", ["nnet1", "nnet2"])
def test_kaldi_was_asked_for_every_component(generation: str, kept: dict[str, Any]) -> None:
    parts = [part for net, _ in OLDER.values() if net.generation == generation for part in net.parts]
    within = [
        one for part in parts for _, net in part.items if isinstance(net, KaldiNet) for one in net.parts
    ]
    assert {part.kind for part in (*parts, *within)} == set(GENERATIONS[generation])
    assert set(OLDER) == set(kept) - {"kaldi"}
