"""The port to accelerators: values that can be listed without importing a vendor's library.

Two steps, as in ONNX's backend interface: `load` gives a Session, `Session.infer` runs it. Blocking calls and a
declared parallelism cover pipelined chips and remote servers too, so nothing here is async.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, NewType, Protocol

from edgex_inference.contracts.tensors import Tensors, TensorSpec

CONTRACT = 1
"""The version of this port; a plug-in built for another one is refused with a sentence."""

Format = NewType("Format", str)
"""A model file format; a plug-in of a third party may bring its own."""

ONNX = Format("onnx")
TFLITE = Format("tflite")
TFLITE_EDGETPU = Format("tflite-edgetpu")
OPENVINO_IR = Format("openvino-ir")
TENSORFLOW = Format("tensorflow")
PADDLE = Format("paddle")
XMODEL = Format("xmodel")
TENSORRT_ENGINE = Format("tensorrt-engine")
TENSORRT_RTX_ENGINE = Format("tensorrt-rtx-engine")
MIGRAPHX_PROGRAM = Format("mxr")
TVM_LIBRARY = Format("tvm-library")
NEURON = Format("neuron")
OPENVINO_BLOB = Format("openvino-blob")
ONNXRUNTIME_MODEL = Format("onnxruntime-model")
REMOTE = Format("remote")
"""No file at all: what a card says of a model on another machine."""

KNOWN_FORMATS: frozenset[Format] = frozenset(
    {ONNX, TFLITE, TFLITE_EDGETPU, OPENVINO_IR, TENSORFLOW, PADDLE, XMODEL}
    | {TENSORRT_ENGINE, TENSORRT_RTX_ENGINE, MIGRAPHX_PROGRAM, TVM_LIBRARY, NEURON}
    | {OPENVINO_BLOB, ONNXRUNTIME_MODEL, REMOTE}
)


class Level(StrEnum):
    """How far an accelerator's claims were shown: each level includes the ones before it."""

    DECLARED = "declared"
    SIMULATED = "simulated"
    PROVEN = "proven"
    TUNED = "tuned"


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceDevice:
    """Something a model can run on; `id` is what a profile writes behind the colon (`CPU`, `GPU`, `GPU.1`)."""

    id: str
    kind: Literal["cpu", "gpu", "npu", "tpu", "fpga", "remote", "other"]
    name: str = ""
    vendor: str = ""
    connection: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What lengths axis 0 may have in one call: exactly 1, exactly `most`, 1 to `most`, or any."""

    kind: Literal["none", "fixed", "range", "any"] = "none"
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a loaded model turned out to be; `placement` counts graph nodes for each inference device."""

    batch: Batch = Batch()
    affinity: Literal["any", "thread"] = "any"
    precision: str = "f32"
    placement: Mapping[str, int] = field(default_factory=dict)


class Session(Protocol):
    """A model loaded on an inference device.

    `infer` blocks; up to `parallel` calls may be in flight at once, each caller gets its own answer, inputs are
    never changed, and results outlive the next call. With `affinity: thread` every call, `close` included, comes
    from the thread that loaded the session. `close` is idempotent and legal while `infer` runs: that run ends or
    fails with an InferenceError. No vendor exception escapes.
    """

    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    parallel: int
    traits: Traits
    metadata: Mapping[str, str]

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs every output for exactly the declared inputs; raises SignatureMismatch or an InferenceError."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """Everything a plug-in may need to load a model, in one value so that it can grow.

    `path` is the graph file (its external-data files lie beside it), `device` an InferenceDevice id or None for
    the plug-in's first, `options` an instance of the plug-in's `options` type, `precision` one of f32, f16, bf16,
    int8, native; `shapes` fixes extents that the file leaves open, input by input: one for each axis, None says
    nothing of it. `batch` is how many rows a run may have: what makes something for a number of rows makes it for
    these, exactly or at most; None leaves it to the plug-in. `cache` is a folder for compiled artefacts; `beside` files
    of weights that lie beside the graph, as it names them. Nothing of a model may stay mapped: its files are
    replaced, cut short and deleted while it runs. `progress` is told how far a long step is (0 to 1, or None where
    nobody knows) and what is done, in the present participle: `building tactics`. `name` is the model's in its card;
    `secret` has the values of the secret whose SecretName the option `secret` says; empty where there is none.
    """

    path: Path
    format: Format
    device: str | None = None
    options: object | None = None
    threads: int | None = None
    precision: str = "f32"
    shapes: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    batch: int | None = None
    cache: Path | None = None
    beside: tuple[str, ...] = ()
    progress: Callable[[float | None, str], None] | None = field(default=None, compare=False, repr=False)
    name: str = ""
    secret: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A model compiled for a device: `path` is what `load` is given, of `format`; `beside` its further files.

    `made_with` are versions of tools and what the device is, by name: whatever must be the same for it to load.
    """

    path: Path
    format: Format
    beside: tuple[Path, ...] = ()
    made_with: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeRequest:
    """A model to be written anew in 8 bits, as one file at `into`, of the same format.

    `samples` are inputs as the model is given them, which say how large its numbers get; `beside` and `progress` are
    those of a LoadRequest.
    """

    path: Path
    format: Format
    into: Path
    samples: Sequence[Tensors]
    beside: tuple[str, ...] = ()
    progress: Callable[[float | None, str], None] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptions:
    """For plug-ins without options of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A plug-in: a value, found through the entry points `edgex_inference.accelerators`.

    `devices` is cheap, imports the vendor only when called, and raises AcceleratorUnavailable with the sentence that
    says how to get it; `load` raises ModelRejected or AcceleratorUnavailable. `extra` is what to pip install; where no
    pip brings the runtime, it is empty and `cure` says in the imperative what does. `impostors` are distributions that
    look like the runtime and are none, each with what it is. `version` gives the runtime's version or None where it is
    not installed, `parts` those of packages that bring it more devices. `load` None: declared only, and `declared`
    says what is missing. `default_device` is the one that is used where nobody names one. `automatic` False: `auto`
    passes over it, a person must name it. `retired` maps devices of earlier generations to what became of them;
    `absent`, asked where `devices` is, says by device what brings those that are not here. `device_options` are
    options that bring devices of their own, or the runtime itself, which `devices` cannot know: with one of them set,
    looking for the device is left to `load`. `isolation` process: its library is known to crash or to hang, so sessions
    live in worker processes where nobody says otherwise.

    `compile` makes files of the formats `compiles` into an Artefact, whose format is one of `formats`; it writes into
    the folder `cache` of its request, `device` may be one that is not on this machine (`aarch64`), and it raises what
    `load` raises. A format that is in both may be loaded either way. `identity` is what an artefact for a device
    depends on here, the Artefact's `made_with` without compiling; where it differs, an artefact is made again.

    `quantize` writes files of the formats `quantizes` anew in 8 bits; it raises what `load` raises. `fileless`: it
    reads no file, so any card will do, whatever its files are; `load` is asked for the one format of `formats`, and a
    card may have an entry of that format without a path.

    `level` is how far it was shown on the default device; `proven` names further ones on which the contract suite
    passes on the real runtime.
    """

    name: str
    formats: frozenset[Format]
    level: Level
    extra: str
    devices: Callable[[], Sequence[InferenceDevice]]
    load: Callable[[LoadRequest], Session] | None
    version: Callable[[], str | None]
    parts: Callable[[], Mapping[str, str]] | None = None
    options: type = NoOptions
    declared: str = ""
    cure: str = ""
    impostors: Mapping[str, str] = field(default_factory=dict, hash=False)
    default_device: str = "CPU"
    automatic: bool = True
    retired: Mapping[str, str] = field(default_factory=dict, hash=False)
    absent: Callable[[], Mapping[str, str]] | None = None
    device_options: frozenset[str] = frozenset()
    isolation: Literal["none", "process"] = "none"
    compiles: frozenset[Format] = frozenset()
    compile: Callable[[LoadRequest], Artefact] | None = None
    identity: Callable[[LoadRequest], Mapping[str, str]] | None = None
    quantizes: frozenset[Format] = frozenset()
    quantize: Callable[[QuantizeRequest], None] | None = None
    fileless: bool = False
    proven: tuple[str, ...] = ()
    contract: int = CONTRACT

    @property
    def readable(self) -> frozenset[Format]:
        """What it can run: as it is, or compiled first."""
        return self.formats if self.compile is None else self.formats | self.compiles

    @property
    def shown(self) -> str:
        """How far it was shown, and where: `tuned on CPU; proven on QNN's simulator`."""
        real = self.level in (Level.PROVEN, Level.TUNED)
        parts = [f"{self.level} on {self.default_device}" if real else str(self.level)]
        if self.proven:
            parts.append(f"proven on {', '.join(self.proven)}")
        return "; ".join(parts)
