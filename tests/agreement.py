"""How far the answers of each accelerator are from those of the slow and plain evaluators, on real models.

`python -m tests.agreement litert openvino` writes the tables into their READMEs, between the marks
`<!-- measured: floats 2e-5, steps 20 -->` and `<!-- end -->`: how far a float may be off, as a part of the largest
number of its output (of 0.5 where that is smaller), and how many steps a whole number. With the marks a plug-in joins.
"""

import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np

from edgex_inference.contracts.accelerator import ONNX, TFLITE, Accelerator, Format, LoadRequest, Session
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.probing import sample
from edgex_inference.contracts.tensors import Array, Tensors
from edgex_inference.engine.options import decode

ROOT = Path(__file__).parents[1]
SEEDS = 3
_MARK = re.compile(r"<!-- measured: floats (\S+), steps (\d+) -->\n(.*?)<!-- end -->", re.DOTALL)
_ROW = re.compile(r"\| (.+?) \| (\S+) \| (.+?) \| (.+?) \|")

ORACLES: Mapping[Format, tuple[str, Mapping[str, object]]] = {
    ONNX: ("reference", {}),
    TFLITE: ("litert", {"kernels": "reference", "interpreters": 1}),
}
"""Who is believed for a format: the onnx package's evaluator, TensorFlow Lite's plain kernels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model of the comparison; `path` is relative to the folder of test data, or to this project for our own."""

    name: str
    path: str
    format: Format
    ours: bool = False


MODELS = (
    Model(name="RFB-320", path="face-rfb320/version-RFB-320.onnx", format=ONNX),
    Model(name="FastestDet", path="fastestdet/FastestDet.onnx", format=ONNX),
    Model(name="part-detect", path="edgex_inference/demo/models/part-detect", format=ONNX, ours=True),
    Model(name="spindle-ae", path="edgex_inference/demo/models/spindle-ae", format=ONNX, ours=True),
    Model(name="auto-encoder", path="tests/data/models/auto-encoder.onnx", format=ONNX, ours=True),
    Model(name="isolation forest", path="tests/data/models/isolation-forest.onnx", format=ONNX, ours=True),
    Model(name="RFB-320", path="face-rfb320/version-RFB-320_without_postprocessing.tflite", format=TFLITE),
    Model(name="MLPerf Tiny auto-encoder", path="mlperf-tiny/ad01_fp32.tflite", format=TFLITE),
    Model(name="MLPerf Tiny auto-encoder, int8", path="mlperf-tiny/ad01_int8.tflite", format=TFLITE),
    Model(name="MLPerf Tiny wake words, int8", path="mlperf-tiny/vww_96_int8.tflite", format=TFLITE),
    Model(
        name="MobileNet V1 0.25 128, uint8", path="coral/mobilenet_v1_0.25_128_quant.tflite", format=TFLITE
    ),
    Model(name="split and concatenate, uint8", path="coral/split_concat.tflite", format=TFLITE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a README says: the tolerances, and its rows by model and format."""

    floats: float
    steps: int
    rows: Mapping[tuple[str, str], str]
    largest: Mapping[tuple[str, str], str]

    def figures(self) -> Sequence[tuple[float, float]]:
        """Each difference, and the largest number that it is one of."""
        return [
            (float(told.removesuffix(" steps")), float(self.largest[key]))
            for key, told in self.rows.items()
            if self.largest[key] != "-"
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The largest difference over all outputs and inputs; `share` of the largest number, for floats."""

    largest: float = 0.0
    absolute: float = 0.0
    share: float = 0.0
    steps: int = 0
    refused: str = ""

    def within(self, stated: Stated) -> bool:
        return self.share <= stated.floats and self.steps <= stated.steps

    def __str__(self) -> str:
        if self.refused:
            return "cannot read it"
        return f"{self.absolute:.1e}" if self.share else f"{self.steps} steps" if self.steps else "0"


def names() -> Sequence[str]:
    """Our plug-ins that are installed and have the marks in their README."""
    claims = sorted(entry_points(group="edgex_inference.accelerators"), key=lambda one: one.name)
    ours = [one.name for one in claims if one.value.startswith("accelerators.")]
    return [name for name in ours if _MARK.search(readme(name).read_text())]


def readme(name: str) -> Path:
    return ROOT / "accelerators" / name / "README.md"


def stated(name: str) -> Stated:
    """What the README of a plug-in says."""
    found = _MARK.search(readme(name).read_text())
    assert found is not None, f"{name}: no marks"
    rows = [row for row in _ROW.finditer(found[3]) if row[2] != "Format"]
    return Stated(
        floats=float(found[1]),
        steps=int(found[2]),
        rows={(row[1], row[2]): row[4] for row in rows},
        largest={(row[1], row[2]): row[3] for row in rows},
    )


def models(name: str) -> Sequence[Model]:
    """The models of the formats that a plug-in reads; a judge of other settings than its usual ones is compared too."""
    plugin = plugin_of(name)
    reads = plugin.formats | plugin.compiles
    return [one for one in MODELS if one.format in reads and ORACLES[one.format] != (name, {})]


def plugin_of(name: str) -> Accelerator:
    plugin: Accelerator = import_module(f"accelerators.{name}").PLUGIN
    return plugin


def file_of(model: Model, testdata: Path) -> Path:
    path = ROOT / model.path if model.ours else testdata / "models" / model.path
    return next(path.rglob("*.onnx")) if path.is_dir() else path


def compared(
    name: str, model: Model, testdata: Path, *, seeds: int = 1, device: str | None = None
) -> Difference:
    """How far a plug-in is from the judge on a few random inputs."""
    path = file_of(model, testdata)
    judge, options = ORACLES[model.format]
    exact = _opened(plugin_of(judge), path, model.format, options)
    try:
        session = _opened(plugin_of(name), path, model.format, {}, device)
    except ModelRejected as error:
        return Difference(refused=error.reason)
    found = Difference()
    for seed in range(seeds):
        given = sample(exact.inputs, np.random.default_rng(seed))
        found = _worse(found, session.infer(given), exact.infer(given))
    session.close()
    exact.close()
    return found


def _opened(
    plugin: Accelerator,
    path: Path,
    format_: Format,
    options: Mapping[str, object],
    device: str | None = None,
) -> Session:
    assert plugin.load is not None
    request = LoadRequest(path=path, format=format_, device=device, options=decode(plugin, options))
    if format_ in plugin.formats:
        return plugin.load(request)
    assert plugin.compile is not None
    with tempfile.TemporaryDirectory() as folder:
        made = plugin.compile(replace(request, cache=Path(folder)))
        beside = tuple(one.name for one in made.beside)
        return plugin.load(replace(request, path=made.path, format=made.format, beside=beside))


def _worse(found: Difference, answers: Tensors, exact: Tensors) -> Difference:
    assert answers.keys() == exact.keys()
    for name, wanted in exact.items():
        assert (answers[name].dtype, answers[name].shape) == (wanted.dtype, wanted.shape), name
        found = _of(found, answers[name], wanted)
    return found


def _of(found: Difference, answer: Array, wanted: Array) -> Difference:
    if wanted.dtype == object:
        assert list(answer) == list(wanted)
        return found
    largest = float(np.abs(wanted.astype(np.float64)).max())
    off = float(np.abs(answer.astype(np.float64) - wanted).max())
    found = replace(found, largest=max(found.largest, largest))
    if wanted.dtype.kind != "f":
        return replace(found, steps=max(found.steps, int(off)))
    share = off / max(0.5, largest)
    return replace(found, absolute=max(found.absolute, off), share=max(found.share, share))


def table(name: str, testdata: Path) -> str:
    """The rows for a README."""
    lines = ["| Model | Format | Largest number | Difference |", "|---|---|---|---|"]
    lines += [row(model, compared(name, model, testdata, seeds=SEEDS)) for model in models(name)]
    return "\n".join(lines) + "\n"


def row(model: Model, found: Difference) -> str:
    """A line of the table."""
    largest = "-" if found.refused else f"{found.largest:.3g}"
    return f"| {model.name} | {model.format} | {largest} | {found} |"


def main(wanted: Sequence[str], testdata: Path) -> None:
    """Writes the tables."""
    for name in wanted or names():
        text = readme(name).read_text()
        found = _MARK.search(text)
        assert found is not None, f"{name}: no marks"
        readme(name).write_text(text[: found.start(3)] + table(name, testdata) + text[found.end(3) :])


if __name__ == "__main__":
    main(sys.argv[1:], Path(os.environ["EDGEX_INFERENCE_TESTDATA"]))
