"""A real plug-in for tests: it reads tiny JSON models, passes the contract suite, and misbehaves when told to.

A model is a JSON file of format `fake`; every key has a default:
`{"scale": 2, "offset": 1, "datatype": "FP32", "shape": [null, 4], "batch": "any", "parallel": 2, "delay": 0.0}`.
Each output `y` is scale·x + offset of the input `x`. What goes wrong is commanded through `control(path)`.
The same text in the format `fake-source` must be compiled first, into `fake-artefact`; `fake` may be.
"""

import errno
import itertools
import json
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from edgex_inference.contracts.accelerator import (
    Accelerator,
    Artefact,
    Batch,
    Format,
    InferenceDevice,
    Level,
    LoadRequest,
    Session,
    Traits,
)
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    EdgexInferenceError,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.tensors import Array, Datatype, Tensors, TensorSpec

FAKE, FAKE_SOURCE, FAKE_ARTEFACT = Format("fake"), Format("fake-source"), Format("fake-artefact")
DEVICES = (InferenceDevice(id="CPU", kind="cpu"), InferenceDevice(id="NPU", kind="npu", vendor="Nobody"))

Command = Literal["ok", "slow", "hang", "stall", "crash", "lose", "fail", "late", "wrong", "ragged", "leak"]
"""What a run does: answers · after `delay` · waits for `release` · waits for close · ends the process · DeviceLost ·
InferenceFailed · DeadlineExceeded · other numbers · one row short · an exception that the port forbids."""


class VendorError(Exception):
    """What a vendor's library would raise; no session may let it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """Options of the fake; `gain` multiplies every answer."""

    gain: float = 1.0
    work_mode: Literal["fast", "exact"] = "exact"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FakeModel:
    """The JSON of a model file; a run with a `poison` fails, one with a `snare` hangs, `script` is for the first.

    Compiling writes a line into the file `diary`, and ends when there is a file `gate`: strings between processes.
    """

    scale: float = 2.0
    offset: float = 1.0
    datatype: Datatype = Datatype.FP32
    shape: tuple[int | None, ...] = (None, 4)
    inputs: tuple[str, ...] = ("x",)
    batch: Literal["none", "fixed", "range", "any"] = "any"
    most: int | None = None
    parallel: int = 2
    affinity: Literal["any", "thread"] = "any"
    delay: float = 0.0
    poison: float | None = None
    snare: float | None = None
    script: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    diary: str = ""
    gate: str = ""


@dataclass(slots=True, eq=False)
class Control:
    """The strings on one model file; `script` is used up run by run, then `always` holds.

    Devices that are `away` lose their sessions and open no other; those that are `mad` answer with other numbers;
    `pace` is how many seconds each run takes longer on a device, `left` how many of 58 nodes sessions on other devices
    leave to the CPU.
    `compiling` is what the next compilations do: `ok`, `hang` until `release`, `broken`, `full` as a disk is, or
    `stale`, whose artefact the runtime refuses.
    """

    script: deque[str] = field(default_factory=deque)
    compiling: deque[str] = field(default_factory=deque)
    compiled: int = 0
    always: str = "ok"
    delay: float = 0.05
    refuse: EdgexInferenceError | None = None
    away: set[str] = field(default_factory=set)
    mad: set[str] = field(default_factory=set)
    pace: dict[str, float] = field(default_factory=dict)
    left: int = 0
    release: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)
    loads: int = 0
    closes: int = 0
    batches: list[int] = field(default_factory=list)

    def next(self) -> str:
        """What the next run does."""
        try:
            return self.script.popleft()
        except IndexError:
            return self.always


_controls: dict[Path, Control] = {}


def control(path: Path) -> Control:
    """The strings on the model in this file, for every session of it in this process."""
    return _controls.setdefault(path.resolve(), Control())


def write_model(path: Path, **keys: object) -> Path:
    """Writes a model file with these keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(keys))
    return path


def load(request: LoadRequest) -> Session:
    """Loads a fake model; raises ModelRejected or AcceleratorUnavailable."""
    if request.device is not None and request.device not in {device.id for device in DEVICES}:
        found = ", ".join(device.id for device in DEVICES)
        raise AcceleratorUnavailable(
            f"fake:{request.device}", f"not on this machine (found {found}); add a fallback"
        )
    if request.format not in PLUGIN.formats:
        raise ModelRejected(request.path, f"fake reads fake, not {request.format}")
    if request.precision not in ("f32", "f16", "native"):
        raise ModelRejected(request.path, f"fake computes in f32 and f16, not in {request.precision}")
    try:
        source, content = request.path, b""
        if request.format == FAKE_ARTEFACT:
            source, content = _unpacked(request)
        model = msgspec.json.decode(content or source.read_bytes(), type=FakeModel)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelRejected(request.path, f"no fake model: {error}") from error
    strings = control(source)
    strings.loads += 1
    if strings.loads == 1:
        strings.script.extend(model.script)
    if strings.refuse is not None:
        raise strings.refuse
    if (request.device or "CPU") in strings.away:
        raise AcceleratorUnavailable(f"fake:{request.device}", "unplugged")
    options = request.options if isinstance(request.options, FakeOptions) else FakeOptions()
    return FakeSession(request, model, strings, options)


def _placement(device: str, left: int) -> Mapping[str, int]:
    if not left or device == "CPU":
        return {device: 1}
    return {device: 58 - left, "CPU": left} if left < 58 else {"CPU": left}


class FakeSession:
    """The session of the fake; keeps every promise of the port unless it is told not to."""

    def __init__(
        self, request: LoadRequest, model: FakeModel, strings: Control, options: FakeOptions
    ) -> None:
        self._model, self._strings, self._gain = model, strings, options.gain
        self._name = request.path.name
        self._device = request.device or "CPU"
        self._thread = threading.get_ident()
        self._closed = threading.Event()
        self._counter = itertools.count()
        names = model.inputs
        outputs = ["y"] if len(names) == 1 else [f"y_{name}" for name in names]
        self.inputs: Sequence[TensorSpec] = tuple(
            TensorSpec(name=name, datatype=model.datatype, shape=model.shape) for name in names
        )
        self.outputs: Sequence[TensorSpec] = tuple(
            TensorSpec(name=name, datatype=model.datatype, shape=model.shape) for name in outputs
        )
        self.parallel = model.parallel
        self.traits = Traits(
            batch=Batch(kind=model.batch, most=model.most),
            affinity=model.affinity,
            precision="f32" if request.precision == "native" else request.precision,
            placement=_placement(self._device, strings.left),
        )
        self.metadata: Mapping[str, str] = dict(model.metadata)

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Answers scale·x + offset, or does what `control` says."""
        if self._closed.is_set():
            raise InferenceFailed(f"model {self._name!r}: the session is closed")
        if self._model.affinity == "thread" and threading.get_ident() != self._thread:
            raise InferenceFailed(f"model {self._name!r}: called from a thread that did not load it")
        self._check(tensors)
        rows = next(iter(tensors.values())).shape[:1]
        self._strings.batches.append(rows[0] if rows else 1)
        command = self._strings.next()
        self._strings.started.set()
        if self._model.delay:
            time.sleep(self._model.delay)
        if self._device in self._strings.pace:
            time.sleep(self._strings.pace[self._device])
        self._obey("hang" if self._holds(tensors, self._model.snare) else command)
        answers = {
            spec.name: self._answer(tensors[given.name])
            for given, spec in zip(self.inputs, self.outputs, strict=True)
        }
        if command == "wrong" or self._device in self._strings.mad:
            answers = {name: -array for name, array in answers.items()}
        if command == "ragged":
            answers = {name: array[:-1] for name, array in answers.items()}
        return answers

    def close(self) -> None:
        """Ends a stalled run; counts once."""
        if not self._closed.is_set():
            self._closed.set()
            self._strings.closes += 1

    def _answer(self, array: Array) -> Array:
        if array.dtype == object:
            return array.copy()
        answer: Array = (array * self._model.scale + self._model.offset) * self._gain
        if self.traits.precision == "f16" and array.dtype.kind == "f":
            answer = answer.astype(np.float16)
        return answer.astype(array.dtype)

    def _obey(self, command: str) -> None:
        if self._device in self._strings.away:
            raise DeviceLost(f"model {self._name!r}: unplugged")
        if command == "slow":
            time.sleep(self._strings.delay)
        elif command == "hang":
            self._strings.release.wait()
        elif command == "stall":
            self._closed.wait()
            raise InferenceFailed(f"model {self._name!r}: the session was closed during the run")
        elif command == "crash":
            os.abort()
        elif command == "leak":
            raise VendorError("error -7 in libnobody.so")
        failure = _FAILURES.get(command)
        if failure is not None:
            raise failure(f"model {self._name!r}: told to {command}")

    def _check(self, tensors: Tensors) -> None:
        wanted = {spec.name for spec in self.inputs}
        if tensors.keys() != wanted:
            raise SignatureMismatch(
                self._name, f"inputs are {', '.join(wanted)}, not {', '.join(map(str, tensors))}"
            )
        most = self._model.most
        for spec in self.inputs:
            array: Any = tensors[spec.name]
            if not isinstance(array, np.ndarray) or array.dtype != spec.datatype.numpy:
                raise SignatureMismatch(self._name, f"{spec.name} is no array of the element type of {spec}")
            too_many = most is not None and spec.shape[:1] == (None,) and len(array) > most
            if not spec.accepts(array.shape) or too_many:
                raise SignatureMismatch(
                    self._name, f"{spec.name} has shape {list(array.shape)}, not that of {spec}"
                )
        if self._holds(tensors, self._model.poison):
            raise InferenceFailed(f"model {self._name!r}: the input holds the poison {self._model.poison:g}")

    @staticmethod
    def _holds(tensors: Tensors, value: float | None) -> bool:
        return value is not None and any(bool(np.any(array == value)) for array in tensors.values())


DRIVER = {"driver": "7"}
"""What an artefact depends on besides its device; tests install another one."""


def identity(request: LoadRequest) -> Mapping[str, str]:
    """What an artefact for this device must have been made with."""
    return {**DRIVER, "chip": request.device or "CPU"}


def compile_(request: LoadRequest) -> Artefact:
    """Compiles a fake model for any device, `FAR` ones included; raises ModelRejected."""
    if request.format not in PLUGIN.compiles:
        raise ModelRejected(request.path, f"fake compiles fake and fake-source, not {request.format}")
    strings = control(request.path)
    strings.compiled += 1
    command = strings.compiling.popleft() if strings.compiling else "ok"
    strings.started.set()
    told = request.progress or (lambda fraction, what: None)
    try:
        model = msgspec.json.decode(request.path.read_bytes(), type=FakeModel)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelRejected(request.path, f"no fake model: {error}") from error
    told(0.25, "counting beans")
    if model.diary:
        with open(model.diary, "a") as diary:
            diary.write(f"{os.getpid()}\n")
    while model.gate and not os.path.exists(model.gate):
        time.sleep(0.01)
    if command == "hang":
        strings.release.wait()
    if command == "broken":
        raise ModelRejected(request.path, "the compiler found no beans")
    told(0.75, "sorting beans")
    assert request.cache is not None
    made = request.cache / f"{request.path.stem}.beans"
    said = {"chip": "none" if command == "stale" else request.device or "CPU", "source": str(request.path)}
    try:
        if command == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        made.write_text(json.dumps({**said, "model": request.path.read_text()}))
    except OSError as error:
        raise ModelRejected(request.path, f"cannot be written: {error.strerror}") from error
    return Artefact(path=made, format=FAKE_ARTEFACT, made_with=identity(request))


def _unpacked(request: LoadRequest) -> tuple[Path, bytes]:
    """The source of an artefact, and its content; raises ModelRejected when it was made for another chip."""
    try:
        said = json.loads(request.path.read_bytes())
        source, chip, content = Path(said["source"]), said["chip"], said["model"].encode()
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelRejected(request.path, f"no fake artefact: {error}") from error
    if chip != (request.device or "CPU"):
        raise ModelRejected(request.path, f"was made for {chip}")
    return source, content


_FAILURES = {"lose": DeviceLost, "fail": InferenceFailed, "late": DeadlineExceeded}


def _devices() -> Sequence[InferenceDevice]:
    return DEVICES


def _version() -> str | None:
    return "1.0"


PLUGIN = Accelerator(
    name="fake",
    formats=frozenset({FAKE, FAKE_ARTEFACT}),
    options=FakeOptions,
    level=Level.PROVEN,
    extra="test",
    devices=_devices,
    load=load,
    version=_version,
    compiles=frozenset({FAKE, FAKE_SOURCE}),
    compile=compile_,
    identity=identity,
)
