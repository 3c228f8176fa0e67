"""Making an engine of an ONNX file: parse, shapes, precision, build."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.tensorrt.described import whole
from accelerators.tensorrt.options import Extents, Options
from accelerators.tensorrt.places import Place
from accelerators.tensorrt.progress import monitor
from accelerators.tensorrt.words import Listener, refusal, sentence
from edgex_inference.contracts.accelerator import LoadRequest
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected

_MANY, _FEW, _SMALL = 64, 8, 65_536
"""Rows that an engine takes where nobody says how many: of small inputs, of larger ones; elements of a small row."""

_FLAGS: Mapping[str, str] = {"f16": "FP16", "bf16": "BF16"}
_TYPES: Mapping[str, str] = {"HALF": "f16", "BF16": "bf16", "FLOAT": "f32"}
_COMPATIBLE: Mapping[str, str] = {"ampere": "AMPERE_PLUS", "same": "SAME_COMPUTE_CAPABILITY"}
_OUT = ("out of memory", "outofmemory", "insufficient memory", "cudaerrormemoryallocation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """One engine to be made: with which library, of what, for where; `timing` is the file of its timing cache."""

    trt: ModuleType
    logger: Any
    listener: Listener
    request: LoadRequest
    options: Options
    place: Place
    timing: Path | None

    def rejected(self, reason: str) -> ModelRejected:
        return ModelRejected(self.request.path, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An engine's bytes, the precision that it computes in, and how many nodes it was made of."""

    plan: Any
    precision: str
    layers: int


def make(making: Making) -> Made:
    """Builds; raises ModelRejected or AcceleratorUnavailable."""
    trt, request = making.trt, making.request
    with making.listener.listening() as said:
        builder = _builder(making, said)
        flag = _FLAGS.get(request.precision, "")
        flagged = bool(flag) and hasattr(trt.BuilderFlag, flag)
        network = builder.create_network(_typed(trt, not flagged))
        _parse(making, network, said)
        found = request.precision if flagged else _precision(making, network)
        config = builder.create_builder_config()
        watcher = _settle(making, config)
        if flagged:
            config.set_flag(getattr(trt.BuilderFlag, flag))
        _shape(making, builder, network, config)
        timing = _timing(making, config)
        plan = builder.build_serialized_network(network, config)
        del watcher  # native code has called it until now
        if plan is None:
            raise _failure(making, said or making.listener.strays())
        if timing is not None and making.timing is not None:
            with suppress(OSError):  # the engine is there; the next one takes longer
                whole(making.timing, memoryview(timing.serialize()))
    return Made(plan=plan, precision=found, layers=int(network.num_layers))


def _builder(making: Making, said: Sequence[str]) -> Any:
    try:
        return making.trt.Builder(making.logger)
    except TypeError as error:  # pybind's words for a factory that gave nothing
        reason = sentence(said, "it finds no GPU and no driver")
        raise AcceleratorUnavailable(making.place.where, f"TensorRT cannot build here: {reason}") from error


def _typed(trt: ModuleType, typed: bool) -> int:
    """Strongly typed where it is a choice: the numbers are then computed as the file says, nothing else."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 1 << int(flag) if typed and flag is not None else 0


def _parse(making: Making, network: Any, said: Sequence[str]) -> None:
    parser = making.trt.OnnxParser(network, making.logger)
    done = parser.parse_from_file(str(making.request.path))
    refused = refusal(parser)
    if not done or refused:
        raise making.rejected(refused or sentence(said, "TensorRT cannot read it and does not say why"))
    if not network.num_outputs:
        raise making.rejected("the file holds no model: it has no outputs")


def _precision(making: Making, network: Any) -> str:
    """What the file says that it computes in; raises where something else was asked for."""
    asked = making.request.precision
    found = _effective(making.trt, network)
    if asked not in ("f32", "native", found):
        cure = {
            "int8": "quantize the file (symmetric, with QuantizeLinear and DequantizeLinear)",
            "f16": "convert the file to float16",
        }.get(asked, f"convert the file to {asked}")
        raise making.rejected(
            f"this TensorRT computes in what the file says, {found}, not in {asked}: {cure}, or say {found} or native"
        )
    return (
        "tf32" if (found, asked) == ("f32", "native") and hasattr(making.trt.BuilderFlag, "TF32") else found
    )


def _effective(trt: ModuleType, network: Any) -> str:
    """int8 for a quantized network, else the narrowest type that an output of a layer has."""
    kinds = set()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type == trt.LayerType.QUANTIZE:
            return "int8"
        kinds |= {_TYPES.get(layer.get_output(out).dtype.name, "") for out in range(layer.num_outputs)}
    return next((kind for kind in ("bf16", "f16") if kind in kinds), "f32")


def _settle(making: Making, config: Any) -> Any:
    """Everything but shapes: memory, effort, TF32, where it shall run; gives who is told how far it is."""
    trt, options = making.trt, making.options
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace << 20)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if making.request.precision != "native" and hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)
    if options.hardware_compatibility != "none":
        level = getattr(trt.HardwareCompatibilityLevel, _COMPATIBLE[options.hardware_compatibility], None)
        if level is None or hasattr(trt, "ComputeCapability"):
            raise making.rejected("the option hardwareCompatibility is not for this TensorRT: leave it out")
        config.hardware_compatibility_level = level
    if making.place.number is None:
        _aim(making, config)
    if making.request.progress is None or not hasattr(trt, "IProgressMonitor"):
        return None
    config.progress_monitor = watcher = monitor(trt, making.request.progress)
    return watcher


def _aim(making: Making, config: Any) -> None:
    """Builds for a GPU that is not here, which TensorRT-RTX alone can."""
    trt, where = making.trt, making.place.where
    if not hasattr(trt, "ComputeCapability"):
        raise AcceleratorUnavailable(
            where,
            "this TensorRT compiles for the GPU of its own machine only; TensorRT-RTX compiles for others",
        )
    wanted = getattr(trt.ComputeCapability, making.place.id, None)
    if wanted is None:
        known = ", ".join(sorted(name for name in dir(trt.ComputeCapability) if name.startswith("SM")))
        raise AcceleratorUnavailable(where, f"this TensorRT-RTX compiles for {known}")
    config.num_compute_capabilities = 1
    if config.set_compute_capability(wanted, 0) is False:
        raise AcceleratorUnavailable(where, "this TensorRT-RTX does not compile for it")


def _shape(making: Making, builder: Any, network: Any, config: Any) -> None:
    """One optimization profile for all inputs with open extents."""
    profile, used = builder.create_optimization_profile(), False
    known = {network.get_input(index).name: network.get_input(index) for index in range(network.num_inputs)}
    foreign = sorted(making.options.profiles.keys() - known.keys())
    if foreign:
        raise making.rejected(f"there is no input {', '.join(foreign)} (inputs are {', '.join(known)})")
    for name, given in known.items():
        shape = _fixed(tuple(given.shape), making.request.shapes.get(name, ()))
        if tuple(given.shape) != shape:
            given.shape = shape
        if any(extent < 0 for extent in shape):
            profile.set_shape(name, *_profile(making, name, shape))
            used = True
    if used and config.add_optimization_profile(profile) < 0:
        raise making.rejected("the profiles of its inputs contradict each other")


def _fixed(shape: Extents, wanted: Sequence[int | None]) -> Extents:
    """The shape with those of its open extents filled in that the request fixes."""
    if len(wanted) != len(shape):
        return shape
    return tuple(
        want if have < 0 and want is not None else have for have, want in zip(shape, wanted, strict=True)
    )


def _profile(making: Making, name: str, shape: Extents) -> tuple[Extents, Extents, Extents]:
    """The least, best and most shape of an input: as the options say, or one to many rows."""
    given = making.options.profiles.get(name)
    if given is not None:
        if any(len(one) != len(shape) for one in given):
            raise making.rejected(
                f"the input {name} has {len(shape)} axes, its profile in the options has others"
            )
        return given
    if any(extent < 0 for extent in shape[1:]):
        example = [8 if extent < 0 else extent for extent in (1, *shape[1:])]
        raise making.rejected(
            f"the input {name} leaves more open than its first axis {list(shape)}: give the option profiles its least, "
            f"best and most shape, as in {{{name}: [{example}, {example}, {example}]}}, export it with fixed extents, "
            "or say them in the card (size, shape)"
        )
    row = int(np.prod(shape[1:], dtype=np.int64))
    options, asked = making.options, making.request.batch
    most = options.max_batch or asked or (_MANY if row <= _SMALL else _FEW)
    best = min(options.best_batch or asked or 1, most)
    return (1, *shape[1:]), (best, *shape[1:]), (most, *shape[1:])


def _timing(making: Making, config: Any) -> Any:
    """The timing cache, filled from its file where that fits; None where the library has none to speak of."""
    if making.timing is None:
        return None
    known = b""
    with suppress(OSError):
        known = making.timing.read_bytes()
    for content in (known, b""):  # of another version or device, or damaged: begin anew
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    return None


def _failure(making: Making, said: Sequence[str]) -> AcceleratorUnavailable | ModelRejected:
    text = sentence(said, "TensorRT does not say why")
    if any(word in line.lower() for line in said for word in _OUT):
        return AcceleratorUnavailable(
            making.place.where,
            f"no memory to build {making.request.path.name}: {text}; lower maxBatch or workspace",
        )
    return making.rejected(f"TensorRT cannot build it: {text}")
