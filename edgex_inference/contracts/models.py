"""Model cards as typed values: what the tensors of a model mean.

Fields that are None are those a card may leave to the file; `engine` completes them from the loaded session.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from edgex_inference.contracts.accelerator import Format
from edgex_inference.contracts.tensors import Datatype, Quantization


class Task(StrEnum):
    """What a model's numbers mean."""

    CLASSIFICATION = "classification"
    DETECTION = "detection"
    SEGMENTATION = "segmentation"
    POSE = "pose"
    OCR = "ocr"
    ANOMALY = "anomaly"
    REGRESSION = "regression"
    EMBEDDING = "embedding"
    AUDIO = "audio"
    RAW = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalize:
    """x → (x - mean) / std, element by element or broadcast over the last axis."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """A picture input; pixel p becomes (p/255·(hi-lo)+lo - mean)/std, channels in the order of `color`."""

    name: str
    tensor: str | None = None
    layout: Literal["NCHW", "NHWC"] | None = None
    color: Literal["rgb", "bgr", "gray"] = "rgb"
    size: tuple[int, int] | None = None
    """width, height"""
    fit: Literal["stretch", "letterbox", "crop"] = "stretch"
    resize: Literal["bilinear", "area", "nearest", "bicubic"] = "bilinear"
    decode: Literal["reduced", "full"] = "reduced"
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    dtype: Datatype | None = None
    quantization: Quantization | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersInput:
    """A vector, tensor or window of numbers.

    `names` are the readings that feed it, in order: n scalars make [n], n arrays of length L make [n, L].
    `shape` is without the batch axis. `nan`: whether a NaN among them is dropped, or a value that is missing.
    """

    name: str
    kind: Literal["vector", "tensor", "window"] = "vector"
    tensor: str | None = None
    names: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    normalize: Normalize | None = None
    dtype: Datatype | None = None
    quantization: Quantization | None = None
    nan: Literal["refuse", "allow"] = "refuse"


InputCard = ImageInput | NumbersInput


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputCard:
    """What one output tensor is to the decoder; `parameters` are the role's own (stride, form, background …)."""

    name: str
    tensor: str | None = None
    role: str = ""
    dtype: Datatype | None = None
    quantization: Quantization | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """Anchor boxes of a single-shot detector; sizes in pixels of the input, one tuple for each step.

    A size is one number for a square, or width and height.
    """

    steps: tuple[int, ...]
    sizes: tuple[tuple[float | tuple[float, float], ...], ...]
    variances: tuple[float, float] = (0.1, 0.2)
    clip: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How an anomaly score is made: published raw, negated for lowerIsWorse, so that higher is worse."""

    metric: Literal["mse", "mae", "max"] = "mse"
    direction: Literal["higherIsWorse", "lowerIsWorse"] = "higherIsWorse"
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Postprocess:
    """Settings of the step from tensors to results; None is: not said here."""

    score_threshold: float | None = None
    nms_iou: float | None = None
    classes: tuple[str, ...] | None = None
    min_area: float | None = None
    top: int | None = None
    soft_nms: float | None = None
    class_agnostic: bool | None = None
    multi_label: bool | None = None


NOBODY = "n/a"
"""A label that keeps the place of a class without a name."""

SETTINGS = (
    "scoreThreshold",
    "nmsIou",
    "classes",
    "minArea",
    "top",
    "softNms",
    "classAgnostic",
    "multiLabel",
)
"""The keys of `postprocess`, in the order of Postprocess."""

_ELSEWHERE = {
    Task.CLASSIFICATION: frozenset(("top",)),
    Task.SEGMENTATION: frozenset(("scoreThreshold", "classes")),
}


def serves(setting: str, task: Task) -> bool:
    """Whether a key of `postprocess`, as written, does anything for this task."""
    return task is Task.DETECTION or setting in _ELSEWHERE.get(task, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A sample with a known answer, run at every load; `expect` maps output values to what they must be."""

    input: Path
    expect: Path
    tolerance: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One file of a model with the meaning of its tensors; several builds hold the same network.

    `labels` are names that the file itself carries, for cards that say none.
    """

    path: Path
    format: Format
    sha256: str | None = None
    inputs: tuple[InputCard, ...] = ()
    outputs: tuple[OutputCard, ...] = ()
    decoder: str | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything `model.yaml` says; `folder` is where it lies, `builds` in the card's order."""

    name: str
    version: str
    task: Task
    folder: Path
    builds: tuple[Build, ...]
    ready: bool = True
    license: str = ""
    description: str = ""
    labels: tuple[str, ...] | str | None = None
    """the names themselves, or a built-in set, or a file in `folder`"""
    precision: str | None = None
    postprocess: Postprocess = Postprocess()
    score: Score | None = None
    priors: Priors | None = None
    golden: tuple[Golden, ...] = ()
