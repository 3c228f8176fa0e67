"""Accelerators with one broken promise each, and suites over plug-ins that keep theirs."""

import inspect
import json
import mmap
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME
from edgex_inference.contracts.accelerator import ONNX, Artefact, Batch, Format, LoadRequest, Session
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Array, Tensors
from edgex_inference.testing import onnx_models
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.fake_accelerator import (
    FAKE,
    PLUGIN,
    FakeSession,
    VendorError,
    load,
    write_model,
)
from edgex_inference.testing.kinds import Capability, Kind

SOURCE = Format("fake-source-text")


class Broken(FakeSession):
    """The fake's session with one broken promise; made from a good one."""

    def __init__(self, good: Session) -> None:
        self.good = good
        self.inputs, self.outputs, self.parallel = good.inputs, good.outputs, good.parallel
        self.traits, self.metadata = good.traits, good.metadata

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return self.good.infer(tensors, timeout=timeout)

    def close(self) -> None:
        self.good.close()


def saying(**said: object) -> type[Broken]:
    """Sessions that claim to have other traits than they have."""

    class Says(Broken):
        def __init__(self, good: Session) -> None:
            super().__init__(good)
            self.traits = replace(good.traits, **said)  # type: ignore[arg-type]

    return Says


RunsOnTheCpu, RunsNowhere = saying(placement={"CPU": 1}), saying(placement={"Somewhere": 1})
SaysNative, SaysF32, ClaimsNoBatch = (
    saying(precision="native"),
    saying(precision="f32"),
    saying(batch=Batch()),
)


class ReusedBuffer(Broken):
    buffer: Array | None = None

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answer = self.good.infer(tensors)["y"]
        if self.buffer is None or self.buffer.shape != answer.shape:
            self.buffer = answer
        self.buffer[:] = answer
        return {"y": self.buffer}


class SharesInput(Broken):
    """Gives a view into the caller's buffer where it can."""

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        array = tensors["x"]
        self.good.infer(tensors)
        if array.flags.writeable:
            array *= 2
            array += 1
            return {"y": array}
        return self.good.infer(tensors)


class SwappedAnswers(Broken):
    """Two callers at once get each other's answer."""

    def __init__(self, good: Session) -> None:
        super().__init__(good)
        self.lock, self.last = threading.Lock(), None

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answer = self.good.infer(tensors)
        if threading.active_count() <= 2:
            return answer
        with self.lock:
            before, self.last = self.last, answer  # type: ignore[assignment]
        return before or answer


class LeaksVendorError(Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        if not isinstance(tensors.get("x"), np.ndarray):
            raise VendorError("error -7")
        return self.good.infer(tensors)


class Doubles(Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return {name: array.astype(np.float64) for name, array in self.good.infer(tensors).items()}


class TakesAnyType(Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return self.good.infer({name: np.asarray(array, np.float32) for name, array in tensors.items()})


class RunsAfterClose(Broken):
    def close(self) -> None:
        pass


class SecondCloseFails(Broken):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise VendorError("double free")
        self.closed = True
        self.good.close()


class HidesNan(Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return {name: np.nan_to_num(array) for name, array in self.good.infer(tensors).items()}


class Truncates(Broken):
    """Computes integers in 32 bits."""

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answer = self.good.infer(tensors)
        if tensors["x"].dtype != np.int64:
            return answer
        return {name: array.astype(np.int32).astype(np.int64) for name, array in answer.items()}


class RemembersLength(Broken):
    """Cuts every answer to the rows of the first batch, as a buffer of one shape does."""

    rows: int | None = None

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answer = self.good.infer(tensors)
        self.rows = self.rows or len(tensors["x"])
        return {name: array[: self.rows] for name, array in answer.items()}


class Rounds(Broken):
    """Says f32 and computes in less."""

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answers = self.good.infer(tensors)
        return {
            name: array.astype(np.float16).astype(np.float32) if array.dtype == np.float32 else array
            for name, array in answers.items()
        }


class Widens(Broken):
    """Gives every answer in float32."""

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return {name: array.astype(np.float32) for name, array in self.good.infer(tensors).items()}


class WritesBytes(Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        texts = [str(text.encode()) for text in self.good.infer(tensors)["y"]]
        return {"y": np.array(texts, dtype=object)}


class RemembersWidth(Broken):
    width: int | None = None

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answer = self.good.infer(tensors)["y"]
        self.width = self.width or answer.shape[-1]
        return {"y": answer[..., : self.width]}


class OffByFourSteps(Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return {name: array + np.float32(4 / 32) for name, array in self.good.infer(tensors).items()}


class GivesWholeNumbersOnly(Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answers = self.good.infer(tensors)
        return {name: array.astype(np.int64) for name, array in answers.items()}


KEPT: list[mmap.mmap] = []
"""Pages of their own: what numpy keeps may come out of memory that an earlier test has freed."""


class Grows(Broken):
    def __init__(self, good: Session) -> None:
        super().__init__(good)
        KEPT.append(mmap.mmap(-1, 2 << 20))
        KEPT[-1].write(b"x" * (2 << 20))


def rejects_nothing(request: LoadRequest) -> Session:
    try:
        return load(request)
    except Exception:  # noqa: BLE001 - the fault is to take anything
        write_model(request.path.with_suffix(".other"), shape=[1, 4], batch="none")
        return load(replace(request, path=request.path.with_suffix(".other"), device=None, format=FAKE))


def remembers_by_path(request: LoadRequest) -> Session:
    """A cache that asks for the path only."""
    if request.cache is None:
        return load(request)
    kept = Path(f"{request.cache}.{request.path.name}")
    if not kept.exists():
        kept.write_bytes(request.path.read_bytes())
    return load(replace(request, path=kept))


def in_any_precision(request: LoadRequest) -> Session:
    """Takes every precision and computes in f32, as it says."""
    return load(replace(request, precision="f32"))


def without_shapes(request: LoadRequest) -> Session:
    assert ONNXRUNTIME.load is not None
    return ONNXRUNTIME.load(replace(request, shapes={}))


def says_nothing(request: LoadRequest) -> Session:
    raise ModelRejected(request.path, "cannot be loaded")


def _compile(request: LoadRequest) -> Artefact:
    """What is compiled is the text itself, in upper case."""
    if request.format != SOURCE:
        raise ModelRejected(request.path, f"compiles {SOURCE}, not {request.format}")
    text = _read(request)
    assert request.cache is not None
    made = request.cache / f"{request.path.stem}.compiled"
    if request.progress is not None:
        request.progress(0.5, "shouting")
    made.write_text(text)
    return Artefact(path=made, format=FAKE, made_with=_identity(request))


def _read(request: LoadRequest) -> str:
    try:
        text = request.path.read_text()
        json.loads(text)
    except ValueError as error:
        raise ModelRejected(request.path, "no fake model") from error
    return text


def _identity(request: LoadRequest) -> Mapping[str, str]:
    return {"chip": request.device or "CPU"}


COMPILES = replace(
    PLUGIN,
    formats=frozenset({FAKE}),
    compiles=frozenset({SOURCE}),
    compile=_compile,
    identity=_identity,
)


def leans_on_its_source(request: LoadRequest) -> Artefact:
    made = _compile(request)
    made.path.unlink()
    made.path.symlink_to(request.path)
    return made


def one_place_for_all(request: LoadRequest) -> Artefact:
    assert request.cache is not None
    made, place = _compile(request), request.cache.parents[1] / "the.compiled"
    place.write_text(made.path.read_text())
    return replace(made, path=place)


def counts(request: LoadRequest) -> Artefact:
    return replace(_compile(request), made_with={"number": str(time.monotonic_ns())})


def compiles_anything(request: LoadRequest) -> Artefact:
    return _compile(replace(request, format=SOURCE))


def goes_back(request: LoadRequest) -> Artefact:
    made = _compile(request)
    if request.progress is not None:
        request.progress(0.25, "shouting again")
    return made


def loads_halves(request: LoadRequest) -> Session:
    try:
        return load(request)
    except ModelRejected:
        write_model(request.path, shape=[1, 4], batch="none")
        return load(request)


class Suite(AcceleratorContract):
    plugin = PLUGIN
    module = "edgex_inference.testing.fake_accelerator"
    format = FAKE
    capabilities = frozenset(
        {Capability.BATCHES, Capability.FIXED_BATCHES, Capability.INTEGERS, Capability.REPLACED}
        | {Capability.OPEN_EXTENTS, Capability.HALVES, Capability.SHORTS, Capability.TEXTS}
    )

    def model(self, kind: Kind, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        keys: dict[Kind, dict[str, object]] = {
            Kind.ANY: {"shape": [None, 4]},
            Kind.INTEGERS: {"shape": [None, 2], "datatype": "INT64"},
            Kind.OTHER: {"shape": [1, 4], "batch": "none", "scale": 3, "offset": -1},
            Kind.FIXED: {"shape": [3, 4], "batch": "fixed", "most": 3},
            Kind.SLOW: {"shape": [1, 4], "batch": "none", "delay": 0.02},
            Kind.OPEN: {"shape": [None, None]},
            Kind.TEXTS: {"shape": [None], "datatype": "BYTES"},
            **{
                kind: {"shape": [1, 4], "batch": "none", "datatype": datatype}
                for kind, datatype in ((Kind.HALVES, "FP16"), (Kind.SHORTS, "INT16"), (Kind.WORDS, "UINT16"))
            },
        }
        if kind is Kind.BROKEN:
            (folder / "broken.fake").write_text("{")
            return folder / "broken.fake"
        name = (Kind.ONE if kind is Kind.OTHER else kind).name
        return write_model(folder / f"{name}.fake", **keys.get(kind, {"shape": [1, 4], "batch": "none"}))


class Compiling(Suite):
    plugin = COMPILES
    format = SOURCE


class Real(AcceleratorContract):
    plugin = ONNXRUNTIME
    module, vendor = "accelerators.onnxruntime", "onnxruntime"
    format = ONNX
    device = "CPU"

    def model(self, kind: Kind, folder: Path) -> Path:
        return onnx_models.write(kind, folder)


def notices(suite: AcceleratorContract, name: str, folder: Path) -> bool:
    """Whether this test of the suite fails."""
    test: Callable[..., None] = getattr(suite, name)
    available: dict[str, tuple[object, ...]] = {
        "rows": (1, 7),
        "wrong": ("float64", "integer"),
        "cache": ("kept",),
        "kind": (Kind.HALVES, Kind.WORDS),
        "precision": ("native", "f16", "int8"),
        "record_property": (lambda name, value: None,),
        "tmp_path": (folder,),
    }
    wanted = inspect.signature(test).parameters
    varied = next((key for key in wanted if len(available[key]) > 1), "tmp_path")
    for value in available[varied]:
        arguments = {key: available[key][0] for key in wanted} | ({varied: value} if varied in wanted else {})
        try:
            test(**arguments)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure counts
            return True
    return False


def breaks(suite: AcceleratorContract, broken: type[Broken]) -> None:
    opens = suite.plugin.load
    assert opens is not None
    plugin = replace(suite.plugin, load=lambda given: broken(opens(given)))
    suite.__class__ = type("Broken", (type(suite),), {"plugin": plugin})
