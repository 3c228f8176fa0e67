"""A model of a server as a session: what it declares, what it answers, and its failures in our words."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from typing import TypeVar

from accelerators.remote.calls import Answered, CallFailed, Declared, ModelSaid, Port, Server, Transport
from accelerators.remote.credentials import context, credentials
from accelerators.remote.options import Address, Options, address
from accelerators.remote.tensors import BF16, datatype_of
from edgex_inference.contracts.accelerator import REMOTE, Batch, InferenceDevice, LoadRequest, Session, Traits
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    EdgexInferenceError,
    InferenceError,
    InferenceFailed,
    ModelRejected,
    Overloaded,
    SetupError,
    SignatureMismatch,
)
from edgex_inference.contracts.probing import probe
from edgex_inference.contracts.tensors import Array, Tensors, TensorSpec, holds_nan, misfit
from edgex_inference.contracts.vendor import load_vendor

T = TypeVar("T")

NAME, DEVICE = "remote", "SERVER"
_ASKED = 2.0
"""Seconds for the question whether a server still has the model, after a run that failed."""
_SHORTEST = 0.1
"""Seconds for that question where the run has used up its own."""
_MOST_LATE = 3
"""Runs in a row without an answer that make a server a lost device, though it says that it is ready."""

_CURES = {
    "away": "start the server, or mend options.url",
    "late": "see what the server is doing, or raise options.timeout",
    "denied": "mend the secret that options.secret names",
    "busy": "wait until it has loaded the model, or see its log",
    "failed": "see the server's log",
    "garbage": "is options.url that of a server of the Open Inference Protocol?",
}


def version() -> str | None:
    """The version of the HTTP client, without importing it; None without one."""
    try:
        return distribution_version("urllib3")
    except PackageNotFoundError:
        return None


def devices() -> Sequence[InferenceDevice]:
    """The server, which nothing here can look for: its URL is an option."""
    load_vendor("urllib3", accelerator=NAME, extra=NAME, attribute="HTTPConnectionPool")
    return (InferenceDevice(id=DEVICE, kind="remote", name="what options.url names", connection="network"),)


def load(request: LoadRequest) -> Session:
    """Asks the server for the model; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != REMOTE:
        raise ModelRejected(
            request.path, f"{NAME} reads no file: its format is {REMOTE}, not {request.format}"
        )
    if request.device is not None and request.device.upper() != DEVICE:
        raise AcceleratorUnavailable(
            f"{NAME}:{request.device}",
            f"there is only {DEVICE}: what runs the model is for the server to say",
        )
    if request.precision not in ("f32", "native"):
        reason = f"its precision is the server's, not {request.precision}: say f32 or native"
        raise ModelRejected(request.path, reason)
    options = request.options if isinstance(request.options, Options) else Options()
    if not options.url:
        raise AcceleratorUnavailable(
            NAME,
            "options.url is missing: say where the server is, as in http://host:8000 or grpc://host:8001",
        )
    where = address(options.url)
    model = options.model or request.name or request.path.stem
    transport = _transport(where, options, model, request)
    try:
        return RemoteSession(transport, where, model, options, request.shapes)
    except BaseException:
        transport.close()
        raise


def _transport(where: Address, options: Options, model: str, request: LoadRequest) -> Transport:
    found = credentials(NAME, options, request)
    if where.grpc:
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else its core writes to standard error on its own
        load_vendor("grpc", accelerator=NAME, extra=f"{NAME}-grpc", attribute="insecure_channel")
        from accelerators.remote.rpc import RpcTransport

        return RpcTransport(where, options, model, found)
    load_vendor("urllib3", accelerator=NAME, extra=NAME, attribute="HTTPConnectionPool")
    from accelerators.remote.rest import RestTransport

    tls = context(NAME, found) if where.secure else None
    return RestTransport(where, options, model, tls, found.headers)


class RemoteSession:
    """One model of one server; closing ends the runs in flight."""

    def __init__(
        self,
        transport: Transport,
        where: Address,
        model: str,
        options: Options,
        shapes: Mapping[str, tuple[int | None, ...]],
    ) -> None:
        self._transport, self._model, self._limit = transport, model, options.timeout
        self._where = f"{NAME}:{DEVICE} at {where}"
        self._closed = self._settled = False
        self._late, self._unanswered = 0, ""
        self.parallel = options.parallel
        server, said, most = self._discovered()
        self._ins = tuple(self._port(one, "input", shapes) for one in said.inputs)
        self._outs = tuple(self._port(one, "output", {}) for one in said.outputs)
        if not self._ins or not self._outs:
            reason = f"{self._where} does not say what goes in and comes out: declare it there"
            raise ModelRejected(model, f"{reason} (in MLServer: inputs and outputs of model-settings.json)")
        if options.encoding == "json" and any(one.wire == BF16 for one in (*self._ins, *self._outs)):
            raise ModelRejected(model, f"{self._where} has {BF16} tensors, which JSON cannot carry")
        self.inputs: Sequence[TensorSpec] = tuple(one.spec for one in self._ins)
        self.outputs: Sequence[TensorSpec] = tuple(one.spec for one in self._outs)
        self._names, self._most = tuple(one.spec.name for one in self._outs), None
        self.metadata: Mapping[str, str] = {
            "platform": said.platform,
            "server": f"{server.name} {server.version}".strip(),
            "versions": ", ".join(said.versions),
        }
        probed = probe(self.inputs, self.outputs, self._tried)
        if self._unanswered:
            raise AcceleratorUnavailable(f"{NAME}:{DEVICE}", f"a first run: {self._unanswered}")
        self.outputs, batch = probed.outputs, _batch(probed.batch, most)
        self._most = batch.most if batch.kind == "range" else None
        self._settled = True
        self.traits = Traits(batch=batch, precision="native", placement={DEVICE: 1})

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs the model there; `timeout` bounds the whole call."""
        if self._closed:
            raise InferenceFailed(f"model {self._model!r}: the session is closed")
        limit = self._limit if timeout is None else min(timeout, self._limit)
        ends = time.perf_counter() + limit
        try:
            self._check(tensors)
            if self._late:
                self._ask_again(limit)
            given = {one.spec.name: (one.wire, tensors[one.spec.name]) for one in self._ins}
            answers = self._transport.infer(given, self._names, ends - time.perf_counter())
            self._late = 0
            return self._checked(answers)
        except EdgexInferenceError:
            raise
        except CallFailed as failed:
            raise self._failure(failed, ends) from failed
        except ValueError as error:
            raise SignatureMismatch(self._model, f"{self._where} cannot be told: {error}") from error
        except Exception as error:
            raise InferenceFailed(f"{self._about()}: {type(error).__name__}: {error}") from error

    def _tried(self, tensors: Tensors) -> Tensors:
        """A run while the session opens: one that gets no answer says that later ones would not either."""
        try:
            return self.infer(tensors)
        except (DeadlineExceeded, DeviceLost) as error:
            self._unanswered = str(error)
            raise

    def close(self) -> None:
        """Refuses further runs and ends those in flight."""
        self._closed = True
        self._transport.close()

    # What the server says

    def _discovered(self) -> tuple[Server, ModelSaid, int | None]:
        transport, limit = self._transport, self._limit
        try:
            server = self._optional(lambda: transport.server(limit)) or Server()
            said = transport.model(limit)
            if not self._ready(limit):
                raise CallFailed("busy", "the model is not ready")
            return server, said, self._optional(lambda: transport.most_rows(limit))
        except CallFailed as failed:
            raise self._unavailable(failed) from failed

    @staticmethod
    def _optional(ask: Callable[[], T]) -> T | None:
        """An answer that not every server has."""
        try:
            return ask()
        except CallFailed as failed:
            if failed.failure in ("absent", "refused", "garbage", "failed"):
                return None
            raise

    def _unavailable(self, failed: CallFailed) -> SetupError:
        where = self._where.removeprefix(f"{NAME}:{DEVICE} at ")
        if failed.failure in ("absent", "refused"):
            reason = f"{where} has no such model, or not this version ({failed.text}): mend options.model"
            return ModelRejected(self._model, f"{reason}, or load it there")
        cure = _CURES[failed.failure]
        return AcceleratorUnavailable(
            f"{NAME}:{DEVICE}", f"{where}, model {self._model!r}: {failed.text}; {cure}"
        )

    def _port(self, said: Declared, what: str, shapes: Mapping[str, tuple[int | None, ...]]) -> Port:
        try:
            datatype = datatype_of(said.datatype)
        except ValueError:
            reason = f"its {what} {said.name} is of type {said.datatype!r}, which cannot be fed or read"
            raise ModelRejected(self._model, f"{self._where}: {reason}") from None
        shape: tuple[int | None, ...] = tuple(extent if extent >= 0 else None for extent in said.shape)
        fixed = shapes.get(said.name)
        if fixed is not None and len(fixed) == len(shape):
            shape = tuple(have if have is not None else want for have, want in zip(shape, fixed, strict=True))
        return Port(spec=TensorSpec(name=said.name, datatype=datatype, shape=shape), wire=said.datatype)

    # One run

    def _check(self, tensors: Tensors) -> None:
        unfit = misfit(self.inputs, tensors) if isinstance(tensors, Mapping) else "the inputs are no mapping"
        if unfit:
            raise SignatureMismatch(self._model, unfit)
        for one in self._ins:
            array = tensors[one.spec.name]
            if self._most is not None and array.shape and len(array) > self._most:
                reason = f"{one.spec.name} has {len(array)} rows, {self._where} takes {self._most}"
                raise SignatureMismatch(self._model, reason)
            if array.dtype.kind == "f" and holds_nan(array):
                reason = f"{one.spec.name} holds NaN, which a server may make up into a number"
                raise SignatureMismatch(self._model, reason)

    def _checked(self, answers: Mapping[str, Answered]) -> Tensors:
        found: dict[str, Array] = {}
        for one, spec in zip(self._outs, self.outputs, strict=True):
            answer = answers.get(spec.name)
            if answer is None:
                raise self._garbled(f"it has no output {spec.name}")
            if answer.datatype != one.wire:
                raise self._garbled(f"{spec.name} is {answer.datatype} where {one.wire} was declared")
            if self._settled and not spec.accepts(answer.array.shape):
                raise self._garbled(f"{spec.name} has shape {list(answer.array.shape)}, declared was {spec}")
            found[spec.name] = answer.array
        return found

    def _garbled(self, what: str) -> InferenceFailed:
        return InferenceFailed(f"{self._about()}: a wrong answer: {what}; mend the model there")

    def _about(self) -> str:
        return f"{self._where}, model {self._model!r}"

    def _ask_again(self, limit: float) -> None:
        """After a run without an answer: a server that is gone must not cost a whole deadline every time."""
        if not self._has_model(min(limit, _ASKED)):
            raise DeviceLost(f"{self._about()}: gives no answers; {_CURES['away']}")

    def _has_model(self, timeout: float) -> bool:
        try:
            return self._ready(timeout)
        except (CallFailed, ValueError):
            return False

    def _ready(self, timeout: float) -> bool:
        """Small servers cannot be asked for it: there a model that is described is ready."""
        try:
            return self._transport.ready(timeout)
        except CallFailed as failed:
            if failed.failure == "absent":
                self._transport.model(timeout)
                return True
            if failed.failure == "refused":
                return False
            raise

    def _failure(self, failed: CallFailed, ends: float) -> InferenceError:
        """`ends` is when the caller stops waiting (perf_counter)."""
        if self._closed:
            return InferenceFailed(f"model {self._model!r}: the session was closed during the run")
        kind, text = failed.failure, f"{self._about()}: {failed.text}"
        if kind == "late":
            self._late += 1
            if self._late >= _MOST_LATE:
                return DeviceLost(f"{text}, {self._late} times in a row; {_CURES[kind]}")
            return DeadlineExceeded(f"{text}; {_CURES[kind]}")
        if kind in ("away", "denied", "absent"):
            return DeviceLost(f"{text}; {_CURES.get(kind, 'load the model there')}")
        if kind == "garbage":
            return InferenceFailed(text)
        if not self._has_model(min(_ASKED, max(_SHORTEST, ends - time.perf_counter()))):
            return DeviceLost(f"{text}, and the model is no longer ready; {_CURES['failed']}")
        return Overloaded(text) if kind == "busy" else InferenceFailed(text)


def _batch(found: Batch, most: int | None) -> Batch:
    """What was seen to work, as far as the server allows; Triton says 0 where it leaves batches to the model."""
    if found.kind != "any" or not most or most < 0:
        return found
    return Batch(kind="range", most=most) if most > 1 else Batch()
