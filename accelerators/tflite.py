"""What `litert` and `edgetpu` share: interpreters of one TFLite file as a session. Imports no vendor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from accelerators.pool import Pool
from edgex_inference.contracts.accelerator import LoadRequest, Traits
from edgex_inference.contracts.appended import metadata
from edgex_inference.contracts.errors import (
    DeviceLost,
    EdgexInferenceError,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.probing import probe, sample
from edgex_inference.contracts.tensors import (
    Array,
    Datatype,
    Quantization,
    Tensors,
    TensorSpec,
    holds_nan,
    misfit,
)

Natives = Callable[[], Any]
"""Opens another interpreter of the same content, its tensors not allocated yet."""

COMPILED = "edgetpu-custom-op"
"""The operator that Google's compiler puts in place of what the Edge TPU computes."""

_HEAVY = frozenset(
    {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL", COMPILED}
)
_REMEMBERING = frozenset(
    {
        "LSTM",
        "RNN",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_RNN",
    }
)
"""Operators whose states live from run to run."""
_WHOLE = (np.int8, np.uint8, np.int16)
_LONGEST = 400
_FEW = 256
"""Numbers of an input for each of which a run is tried with a NaN in its place."""

_SETTLED = 16
"""Runs with the same extents after which an interpreter is made for them: one that was resized is some 5 % slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A file that was read, and how its interpreters are made; `where` is the accelerator and device in messages."""

    request: LoadRequest
    where: str
    natives: Natives
    parallel: int
    home: str = "CPU"
    """The inference device of the operators that Google's compiler made."""
    loses: bool = False
    """Whether a failed run means a lost device: a chip can be unplugged, a CPU cannot."""


class TfliteSession:
    """A pool of interpreters; closing lets runs in flight end and refuses the next."""

    def __init__(self, job: Job) -> None:
        self._job, self._model = job, job.request.path.name
        first = job.natives()
        stateful = _keeps_states(first)
        self.inputs: Sequence[TensorSpec] = _specs(job.request, first.get_input_details(), "input")
        allocate(first)
        declared = _outputs(job.request, first, self.inputs)
        self.metadata: Mapping[str, str] = metadata(job.request.path)
        self.parallel, self._amount = 1 if stateful else job.parallel, len(self.inputs)
        precision, placement = _report(first, job.home)
        _check_precision(job, precision)
        names = [spec.name for spec in declared]
        natives = [first, *(job.natives() for _ in range(self.parallel - 1))]
        slots = [_Slot(job, native, self.inputs, names) for native in natives]
        slots[0].settles = not stateful
        self._pool = Pool(self._model, slots, "interpreter")
        probed = probe(self.inputs, declared, self.infer)
        self.outputs: Sequence[TensorSpec] = probed.outputs
        self.traits = Traits(batch=probed.batch, precision=precision, placement=placement)
        searched = slots[0].swallows_nan()
        for slot in slots:
            slot.search(searched)
            slot.renew(anew=stateful)

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs the model; `timeout` bounds the wait for a free interpreter: callers within `parallel` never wait."""
        try:
            if len(tensors) != self._amount:
                raise SignatureMismatch(self._model, misfit(self.inputs, tensors) or "the inputs do not fit")
            slot = self._pool.take(timeout)
            try:
                return slot.run(tensors)
            finally:
                self._pool.give(slot)
        except EdgexInferenceError:
            raise
        except Exception as error:
            raise self._failure(tensors, error) from error

    def close(self) -> None:
        """Refuses further runs; the interpreters go with the last run in flight."""
        self._pool.close()

    def _failure(self, tensors: Tensors, error: Exception) -> EdgexInferenceError:
        unfit = misfit(self.inputs, tensors)
        if unfit:
            return SignatureMismatch(self._model, unfit)
        if self._pool.closed:
            return InferenceFailed(f"model {self._model!r}: the session was closed during the run")
        where, text = self._job.where, sentence(error)
        if self._job.loses:
            return DeviceLost(f"{where} is lost: {text}")
        return InferenceFailed(f"model {self._model!r} on {where}: {text}")


class _Slot:
    """One interpreter, driven by one caller at a time; its own wrapper would cost as much as a small model."""

    def __init__(self, job: Job, native: Any, inputs: Sequence[TensorSpec], names: Sequence[str]) -> None:
        self._job, self._inputs, self._names = job, tuple(inputs), tuple(names)
        self._model = job.request.path.name
        self._unsettled, self.settles = 0, True
        self._searched = tuple(spec.name for spec in inputs if spec.datatype.numpy.kind == "f")
        self._indexes: tuple[int, ...] = ()
        self._adopt(native)

    def renew(self, *, anew: bool) -> None:
        """After trying out batches: memory that was once laid out for more rows makes single ones slower.

        `anew` in any case: what was tried out is still in the states.
        """
        if self._resized or anew:
            self._adopt(self._job.natives())

    def _adopt(self, native: Any, shapes: Sequence[tuple[int, ...]] | None = None) -> None:
        if shapes is not None:
            for index, shape in zip(self._indexes, shapes, strict=True):
                native._interpreter.ResizeInputTensor(index, np.array(shape, np.int32), False)
        allocate(native)
        self._resized, self._unsettled = False, 0
        ins, outs = native.get_input_details(), _distinct(native.get_output_details())
        self._native, raw = (
            native,
            native._interpreter,
        )  # kept, for it owns the delegates that the raw one runs
        remembers = any(one["op_name"] in _REMEMBERING for one in native._get_ops_details())
        self._set, self._get = raw.SetTensor, raw.GetTensor
        self._invoke = partial(_afresh, raw) if remembers else raw.Invoke
        self._resize, self._allocate = raw.ResizeInputTensor, raw.AllocateTensors
        self._indexes = tuple(one["index"] for one in ins)
        self._outs = tuple(zip(self._names, (one["index"] for one in outs), strict=True))
        self._fit([tuple(int(extent) for extent in one["shape"]) for one in ins])

    def _fit(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """Notes what there is room for."""
        dtypes = [spec.datatype.numpy for spec in self._inputs]
        names = [spec.name for spec in self._inputs]
        self._steps = tuple(zip(self._indexes, names, shapes, dtypes, strict=True))
        alone = len(self._steps) == len(self._outs) == 1 and not self._searched and not self._unsettled
        self._only = (*self._steps[0], *self._outs[0]) if alone else None

    def search(self, names: tuple[str, ...]) -> None:
        """From now on these inputs are searched for NaN before a run."""
        self._searched = names
        self._fit([shape for _, _, shape, _ in self._steps])

    def run(self, tensors: Tensors) -> Tensors:
        """Runs once; raises SignatureMismatch, and whatever the runtime raises."""
        if self._only is not None:  # without loops, which cost half of what a small model does
            index, name, shape, dtype, answer, at = self._only
            array = tensors[name]
            if array.shape == shape and array.dtype == dtype:
                self._set(index, array)
                self._invoke()
                return {answer: self._get(at, 0)}
        for _, name, shape, dtype in self._steps:
            array = tensors[name]
            if array.shape != shape or array.dtype != dtype:
                self._reshape(tensors)
                break
        if self._unsettled:
            self._settle()
        for name in self._searched:
            if holds_nan(tensors[name]):
                reason = f"{name} holds NaN, of which the model may make a plausible number"
                raise SignatureMismatch(self._model, reason)
        for index, name, _, _ in self._steps:
            self._set(index, tensors[name])
        self._invoke()
        get = self._get
        return {name: get(index, 0) for name, index in self._outs}

    def swallows_nan(self) -> tuple[str, ...]:
        """The inputs of which a NaN may get lost in the model; tried out, number by number, where they are small.

        A search costs as much as a small model.
        """
        found, names = [], self._searched
        self.search(())
        given = sample(self._inputs, np.random.default_rng(0))
        for name in names:
            if given[name].size > _FEW or not all(
                self._tells(given, name, n) for n in range(given[name].size)
            ):
                found.append(name)
        self.search(names)
        return tuple(found)

    def _tells(self, given: Mapping[str, Array], name: str, place: int) -> bool:
        """Whether a NaN at this place of an input comes out as one."""
        holed = given[name].copy()
        holed.flat[place] = np.nan
        try:
            answers = self.run({**given, name: holed})
        except Exception:  # noqa: BLE001 - then it is searched for
            return False
        return any(bool(np.isnan(array).any()) for array in answers.values() if array.dtype.kind == "f")

    def _reshape(self, tensors: Tensors) -> None:
        """Makes room for these shapes; an interpreter that cannot is replaced by a fresh one."""
        unfit = misfit(self._inputs, tensors)
        if unfit:
            raise SignatureMismatch(self._model, unfit)
        wanted = [tensors[spec.name].shape for spec in self._inputs]
        if any(0 in shape for shape in wanted):  # kernels divide by extents
            raise SignatureMismatch(self._model, "there are no rows in it")
        self._resized = True
        try:
            for index, shape in zip(self._indexes, wanted, strict=True):
                self._resize(index, np.array(shape, np.int32), False)
            self._allocate()
        except Exception:
            self._adopt(self._job.natives())
            raise
        self._unsettled = _SETTLED if self.settles else 0
        self._fit(wanted)

    def _settle(self) -> None:
        """Counts a run with the extents of the last; after some an interpreter that knows no others takes over."""
        self._unsettled -= 1
        if self._unsettled == 0:
            try:
                self._adopt(self._job.natives(), [shape for _, _, shape, _ in self._steps])
            except Exception:  # noqa: BLE001 - the one that works stays
                self._fit([shape for _, _, shape, _ in self._steps])


def _afresh(raw: Any) -> None:
    """A run that knows nothing of those before: samples come from anywhere, and to any interpreter."""
    raw.ResetVariableTensors()
    raw.Invoke()


def allocate(native: Any) -> None:
    """Makes room for the tensors; here unknown operators and unfit shapes come to light."""
    native._interpreter.AllocateTensors()


def sentence(error: BaseException) -> str:
    """The runtime's message in one line, without source places and links."""
    text = " ".join(str(error).split()) or type(error).__name__
    if text == "Invalid data-type for array":
        return "an input or output is of a type that arrays lack: bfloat16, or numbers of 4 or 2 bits"
    while "See instructions: " in text:
        head, _, rest = text.partition("See instructions: ")
        text = head + rest.partition(" ")[2]
    words = [word for word in text.split(" ") if not (".cc:" in word and "/" in word)]
    text = " ".join(words)
    return text if len(text) <= _LONGEST else f"{text[:200]} … {text[-190:]}"


def _specs(request: LoadRequest, details: Sequence[Mapping[str, Any]], what: str) -> tuple[TensorSpec, ...]:
    return tuple(_fixed(request, spec) for spec in specs(request.path, details, what))


def specs(path: Path, details: Sequence[Mapping[str, Any]], what: str) -> tuple[TensorSpec, ...]:
    """The declared tensors; raises ModelRejected for what cannot be fed or read."""
    found: list[TensorSpec] = []
    for n, one in enumerate(details):
        name = str(one["name"]) or f"{what}{n}"
        if any(spec.name == name for spec in found):
            name = f"{name}:{n}"
        datatype = _datatype(one["dtype"])
        if datatype is None or (datatype is Datatype.BYTES and what == "input"):
            kind = np.dtype(one["dtype"]).name
            raise ModelRejected(path, f"the {what} {name} is of type {kind}, which cannot be fed or read")
        extents = tuple(None if extent < 0 else int(extent) for extent in _signature(one))
        found.append(TensorSpec(name=name, datatype=datatype, shape=extents, quantization=_quantization(one)))
    return tuple(found)


def _signature(one: Mapping[str, Any]) -> Sequence[int]:
    """The shape with -1 for open extents; files from before there were any have only the shape."""
    signature = one["shape_signature"]
    return list(signature if len(signature) == len(one["shape"]) else one["shape"])


def _fixed(request: LoadRequest, spec: TensorSpec) -> TensorSpec:
    wanted = request.shapes.get(spec.name)
    if wanted is None:
        return spec
    if len(wanted) != len(spec.shape):
        reason = f"{spec.name} has {len(spec.shape)} axes, {len(wanted)} are asked for"
        raise ModelRejected(request.path, reason)
    shape = tuple(have if have is not None else want for have, want in zip(spec.shape, wanted, strict=True))
    return replace(spec, shape=shape)


def _outputs(request: LoadRequest, native: Any, inputs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The outputs. Where only axis 0 of the inputs is open, the other extents of one run are those of all."""
    details = _distinct(native.get_output_details())
    specs = _specs(replace(request, shapes={}), details, "output")
    if any(None in spec.shape[1:] for spec in inputs) or not any(None in spec.shape[1:] for spec in specs):
        return specs
    for one in native.get_input_details():
        native.set_tensor(one["index"], np.zeros(one["shape"], one["dtype"]))
    native.invoke()  # shapes that are computed on the way are known afterwards only
    shapes = [native.get_tensor(one["index"]).shape for one in details]
    return tuple(
        replace(spec, shape=(*spec.shape[:1], *shape[1:])) if len(shape) == len(spec.shape) else spec
        for spec, shape in zip(specs, shapes, strict=True)
    )


def _distinct(details: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Without tensors that a file gives out twice."""
    return list({one["index"]: one for one in details}.values())


def _datatype(dtype: Any) -> Datatype | None:
    try:
        return Datatype.of(dtype)
    except (ValueError, TypeError):
        return None


def _quantization(one: Mapping[str, Any]) -> Quantization | None:
    """Scale and zero point of a whole tensor; channels of their own at the ports are left to the card."""
    said = one["quantization_parameters"]
    if len(said["scales"]) != 1 or len(said["zero_points"]) != 1 or not said["scales"][0] > 0:
        return None
    return Quantization(scale=float(said["scales"][0]), zero=int(said["zero_points"][0]))


def _report(native: Any, home: str) -> tuple[str, Mapping[str, int]]:
    """The precision that most of the heavy nodes run in, and how many nodes each device has."""
    raw = native._interpreter
    votes, placed = [], {home: 0, "CPU": 0}
    for node in range(raw.NumNodes()):
        name = str(raw.NodeName(node))
        if "DELEGATE" in name.upper():
            continue  # stands for nodes that are counted already
        placed[home if name == COMPILED else "CPU"] += 1
        operands = [one for one in raw.NodeInputs(node) if one >= 0]
        if name in _HEAVY and operands:
            weights = raw.TensorType(operands[1 if len(operands) > 1 and name != COMPILED else 0], 0)
            votes.append(weights in _WHOLE)
    if not votes:
        votes = [raw.TensorType(one, 0) in _WHOLE for one in raw.InputIndices()]
    whole = sum(votes) * 2 > len(votes)
    return "int8" if whole else "f32", {device: count for device, count in placed.items() if count}


def _keeps_states(native: Any) -> bool:
    """Whether the model remembers something from run to run: each interpreter has states of its own."""
    raw = native._interpreter
    return any(str(raw.NodeName(node)) == "VAR_HANDLE" for node in range(raw.NumNodes()))


def _check_precision(job: Job, effective: str) -> None:
    """f32 and native take the file as it is; anything else must be what the file is."""
    wanted = job.request.precision
    if wanted in ("f32", "native", effective):
        return
    if wanted == "int8":
        reason = (
            "int8 is made by quantizing the file, not by asking: use a quantized build, and f32 or native"
        )
    else:
        reason = f"{job.where} runs it in {effective}, not in {wanted}: say f32 or native"
    raise ModelRejected(job.request.path, reason)
