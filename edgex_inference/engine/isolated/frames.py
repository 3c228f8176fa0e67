"""What a service and its worker say to each other: msgpack on a local socket, file descriptors beside it."""

import array
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from edgex_inference.contracts import errors
from edgex_inference.contracts.accelerator import Batch, Format, LoadRequest, Session
from edgex_inference.contracts.errors import EdgexInferenceError, InferenceFailed, ModelRejected, Steps
from edgex_inference.contracts.tensors import TensorSpec

_LENGTH = struct.Struct("!I")
_FD = array.array("i").itemsize
_MOST_TEXT = 4000
"""Characters of a vendor's sentence that are handed on."""

_SAID: Mapping[str, tuple[str, ...]] = {
    "AcceleratorUnavailable": ("accelerator", "reason"),
    "ModelRejected": ("model", "reason"),
    "SignatureMismatch": ("model", "detail"),
}
"""Errors that are made from fields; the rest are made from their text."""


class Load(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """To the worker, first of all: which plug-in (`module:attribute`), and the fields of the LoadRequest."""

    plugin: str
    path: str
    format: str
    device: str | None
    options: dict[str, Any]
    threads: int | None
    precision: str
    shapes: dict[str, tuple[int | None, ...]]
    batch: int | None
    cache: str | None
    beside: tuple[str, ...]
    name: str
    secret: dict[str, str]

    @classmethod
    def of(cls, plugin: str, request: LoadRequest) -> "Load":
        options = msgspec.to_builtins(request.options) if request.options is not None else {}
        return cls(
            plugin=plugin,
            path=os.fspath(request.path),
            format=request.format,
            device=request.device,
            options=options,
            threads=request.threads,
            precision=request.precision,
            shapes=dict(request.shapes),
            batch=request.batch,
            cache=None if request.cache is None else os.fspath(request.cache),
            beside=request.beside,
            name=request.name,
            secret=dict(request.secret),
        )

    def request(self, options: type, progress: Callable[[float | None, str], None]) -> LoadRequest:
        """The LoadRequest for a plug-in whose options are of this type."""
        return LoadRequest(
            path=Path(self.path),
            format=Format(self.format),
            device=self.device,
            options=msgspec.convert(self.options, options),
            threads=self.threads,
            precision=self.precision,
            shapes=self.shapes,
            batch=self.batch,
            cache=None if self.cache is None else Path(self.cache),
            beside=self.beside,
            progress=progress,
            name=self.name,
            secret=self.secret,
        )


class Progress(msgspec.Struct, frozen=True, tag=True):
    """From the worker: how far its loading is."""

    share: float | None
    doing: str


class Ready(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """From the worker: what the loaded session is."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parallel: int
    batch: Batch
    precision: str
    placement: dict[str, int]
    metadata: dict[str, str]

    @classmethod
    def of(cls, session: Session) -> "Ready":
        traits = session.traits
        return cls(
            inputs=tuple(session.inputs),
            outputs=tuple(session.outputs),
            parallel=1 if traits.affinity == "thread" else max(1, session.parallel),
            batch=traits.batch,
            precision=traits.precision,
            placement=dict(traits.placement),
            metadata=dict(session.metadata),
        )


class Hire(msgspec.Struct, frozen=True, tag=True):
    """To the worker, with a socket beside it: one more run at a time."""


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """Where a tensor lies in the shared memory (bytes); objects lie there as a msgpack list."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int


class Run(msgspec.Struct, frozen=True, tag=True):
    """To the worker: infer these."""

    cells: list[Cell]
    timeout: float | None


class Answer(msgspec.Struct, frozen=True, tag=True):
    """From the worker: the outputs."""

    cells: list[Cell]


class Fault(msgspec.Struct, frozen=True, tag=True):
    """From the worker: the error that loading or a run ended with."""

    kind: str
    said: list[str]
    card: Steps = ()
    block: Steps = ()

    @classmethod
    def of(cls, error: BaseException) -> "Fault":
        kind = type(error).__name__
        if isinstance(error, EdgexInferenceError) and hasattr(errors, kind):
            said = [str(getattr(error, name)) for name in _SAID.get(kind, ())] or [str(error)]
            steps = (error.card, error.block) if isinstance(error, ModelRejected) else ()
            return cls(kind, [text[:_MOST_TEXT] for text in said], *steps)
        text = f"the plug-in failed with {kind}: {error}"
        return cls("InferenceFailed", [text[:_MOST_TEXT]])

    def error(self) -> EdgexInferenceError:
        """The error as it was."""
        if self.kind == ModelRejected.__name__:
            model, reason = self.said
            return ModelRejected(model, reason, card=self.card, block=self.block)
        kind = getattr(errors, self.kind, InferenceFailed)
        return kind(*self.said)


Frame = Load | Progress | Ready | Hire | Run | Answer | Fault

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


class Gone(ConnectionError):
    """The other side has ended."""


class Line:
    """One connection; for one thread on each side."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def send(self, frame: Frame, fd: int | None = None) -> None:
        """Raises Gone."""
        body = _encode(frame)
        message = _LENGTH.pack(len(body)) + body
        try:
            sent = socket.send_fds(self._socket, [message], [fd]) if fd is not None else 0
            self._socket.sendall(memoryview(message)[sent:])
        except OSError as error:
            raise Gone(str(error)) from error

    def receive(self) -> tuple[Frame, int | None]:
        """The next frame, and the file descriptor that came with it; raises Gone."""
        try:
            head, passed = self._head()
            (length,) = _LENGTH.unpack(head + self._exactly(_LENGTH.size - len(head)))
            return _decode(self._exactly(length)), passed
        except OSError as error:
            raise Gone(str(error)) from error

    def close(self) -> None:
        """Both sides notice, also who waits in `receive`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _head(self) -> tuple[bytes, int | None]:
        data, beside, flags, _ = self._socket.recvmsg(_LENGTH.size, socket.CMSG_LEN(_FD))
        if not data:
            raise Gone("the other side has ended")
        if flags & socket.MSG_CTRUNC:
            raise Gone("no descriptor is free for the memory that it shares")
        for level, kind, passed in beside:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                return data, array.array("i", passed[:_FD])[0]
        return data, None

    def _exactly(self, length: int) -> bytearray:
        found = bytearray(length)
        view = memoryview(found)
        while view:
            got = self._socket.recv_into(view)
            if not got:
                raise Gone("the other side has ended")
            view = view[got:]
        return found


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a local connection."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
