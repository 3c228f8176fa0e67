"""The service's side of a session in a worker process: a Session like any other, whose close ends the worker."""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgex_inference.contracts.accelerator import LoadRequest, Session, Traits
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    EdgexInferenceError,
    InferenceFailed,
    SignatureMismatch,
    WorkerDied,
)
from edgex_inference.contracts.tensors import Tensors, TensorSpec, misfit
from edgex_inference.engine.isolated.frames import (
    Answer,
    Fault,
    Frame,
    Gone,
    Hire,
    Line,
    Load,
    Progress,
    Ready,
    Run,
    pair,
)
from edgex_inference.engine.isolated.lifeline import Lifeline
from edgex_inference.engine.isolated.memory import Glass, Memory

_CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from edgex_inference.engine.isolated.worker import main
main(int(sys.argv[2]), int(sys.argv[3]))
"""
_GRACE = 3.0
"""Seconds that a worker which was told to end may take; then it is killed."""


def load(plugin: str, name: str, request: LoadRequest, *, deadline: float = 120.0) -> Session:
    """Loads a model in a worker process with the plug-in `module:attribute`; `name` is what messages call it.

    Raises ModelRejected or AcceleratorUnavailable, the latter also when loading ends the worker or takes longer than
    `deadline` (seconds).
    """
    (ours, theirs), life = pair(), Lifeline()
    with theirs, life.theirs:
        ends = (theirs.fileno(), life.theirs.fileno())
        command = [sys.executable, "-P", "-c", _CHILD, json.dumps(sys.path), *map(str, ends)]
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=ends)
        except OSError as error:
            ours.close()
            life.close()
            raise AcceleratorUnavailable(name, f"no process could be started: {error.strerror}") from None
    late = threading.Timer(deadline, process.kill)
    late.daemon = True
    late.start()
    line = Line(ours)
    try:
        line.send(Load.of(plugin, request))
        frame = _loaded(line, request)
        if isinstance(frame, Fault):
            raise frame.error()
        assert isinstance(frame, Ready)
        return _IsolatedSession(name, request.path.name, _Worker(process, life), line, frame)
    except Gone:
        line.close()
        how = _how(process)
        life.close()
        killed = not late.is_alive()
        if killed:
            how = f"did not load the model within {deadline:g} s"
        raise AcceleratorUnavailable(name, f"its worker process {how}", late=killed) from None
    except BaseException:
        line.close()
        _ended(process)
        life.close()
        raise
    finally:
        late.cancel()


@dataclass(frozen=True, slots=True)
class _Worker:
    """The process, and what ties it to this one."""

    process: "subprocess.Popen[bytes]"
    life: Lifeline


@dataclass(slots=True)
class _Slot:
    """One run at a time."""

    line: Line
    memory: Memory = field(default_factory=Memory)
    glass: Glass = field(default_factory=Glass)


class _IsolatedSession:
    """As many slots as the session in the worker may run at once."""

    def __init__(self, name: str, model: str, worker: _Worker, line: Line, ready: Ready) -> None:
        self._name, self._model, self._line = name, model, line
        self._process, self._life = worker.process, worker.life
        self.inputs: Sequence[TensorSpec] = ready.inputs
        self.outputs: Sequence[TensorSpec] = ready.outputs
        self.parallel = ready.parallel
        self.traits = Traits(batch=ready.batch, precision=ready.precision, placement=ready.placement)
        self.metadata: Mapping[str, str] = ready.metadata
        self._slots = tuple(self._hired() for _ in range(ready.parallel))
        self._free: queue.LifoQueue[_Slot | None] = queue.LifoQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._closing, self._closed = threading.Lock(), False

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs in the worker; raises WorkerDied when it ended meanwhile, and what the session there raised."""
        unfit = misfit(self.inputs, tensors)
        if unfit:
            raise SignatureMismatch(self._model, unfit)
        slot = self._free.get()
        try:
            if slot is None or self._closed:
                raise InferenceFailed(f"model {self._model!r}: the session is closed")
            return self._run(slot, tensors, timeout)
        except Gone:
            raise self._failure() from None
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """Ends the worker: in its own way when it is idle, at once when a run is in flight."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        if self._free.qsize() < self.parallel:
            self._process.kill()
        self._line.close()
        for slot in self._slots:
            slot.line.close()
            slot.memory.close()
        self._free.put(None)
        _ended(self._process)
        self._life.close()

    def _run(self, slot: _Slot, tensors: Tensors, timeout: float | None) -> Tensors:
        try:
            cells, fresh = slot.memory.write(tensors)
        except (TypeError, ValueError, OverflowError) as error:
            raise SignatureMismatch(self._model, f"cannot be handed to a worker process: {error}") from error
        except OSError as error:
            raise InferenceFailed(f"model {self._model!r}: no memory to share: {error.strerror}") from error
        try:
            slot.line.send(Run(cells, timeout), fresh)
            slot.memory.told()
            frame, fd = slot.line.receive()
            slot.glass.know(fd)
            if isinstance(frame, Answer):
                return slot.glass.read(frame.cells, copied=True)
        except Exception as error:
            # Out of step from here on, and the next answer could be an old one: another worker takes its place.
            self._process.kill()
            raise Gone(str(error)) from error
        assert isinstance(frame, Fault)
        raise frame.error()

    def _hired(self) -> _Slot:
        ours, theirs = pair()
        with theirs:
            self._line.send(Hire(), theirs.fileno())
        return _Slot(Line(ours))

    def _failure(self) -> EdgexInferenceError:
        if self._closed:
            return InferenceFailed(f"model {self._model!r}: the session was closed during the run")
        return WorkerDied(f"{self._name}: its worker process {_how(self._process)}")


def _loaded(line: Line, request: LoadRequest) -> Frame:
    while True:
        frame, _ = line.receive()
        if not isinstance(frame, Progress):
            return frame
        if request.progress is not None:
            request.progress(frame.share, frame.doing)


def _how(process: "subprocess.Popen[bytes]") -> str:
    code = _ended(process)
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"


def _ended(process: "subprocess.Popen[bytes]") -> int:
    try:
        return process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
