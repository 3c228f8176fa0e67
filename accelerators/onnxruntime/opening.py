"""Native sessions of ONNX Runtime, strictly on one target; the runtime itself is handed in."""

import base64
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.onnxruntime.options import Options
from accelerators.onnxruntime.providers import CPU, known
from accelerators.onnxruntime.targets import NAME, Target
from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.accelerator import LoadRequest
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected

SILENT = 4
"""Severity `fatal`: every error comes back as an exception, so its native line on standard error is only noise."""

TINY = base64.b64decode(
    "CAc6OwoMCgF4EgF5IgRSZWx1EgFnWhMKAXgSDgoMCAESCAoCCAEKAggEYhMKAXkSDgoMCAESCAoCCAEKAggEQgQKABAN"
)
"""An ONNX model of one Relu over [1, 4]: opened strictly, it tells a usable provider from a compiled-in one."""

STRICT = "fallback to CPU EP has been explicitly disabled"
"""What the runtime says when it would leave nodes to the CPU."""

Shapes = Mapping[str, tuple[int | None, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that opening a session takes; `given` are the provider's options, `weights` files that were read.

    `keep` is the file that gets what the runtime compiles on the way; `kept`: the model is such a file.
    """

    ort: ModuleType
    place: Target
    options: Options = field(default_factory=Options)
    threads: int = 1
    given: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, bytes] = field(default_factory=dict)
    fixed: Mapping[str, int] = field(default_factory=dict)
    """Open extents by their names in the file, and what they are fixed to."""
    keep: Path | None = None
    kept: bool = False

    @property
    def bare(self) -> "Job":
        """The same for any other model."""
        return replace(self, fixed={}, weights={}, keep=None, kept=False)


def settings(job: Job, *, strict: bool = True) -> Any:
    """The native session options, strict for anything but the CPU."""
    ort, options = job.ort, job.options
    said = ort.SessionOptions()
    said.log_severity_level = SILENT
    said.intra_op_num_threads = job.threads
    said.inter_op_num_threads = options.inter_op_threads
    said.enable_cpu_mem_arena = options.arena
    levels = ort.GraphOptimizationLevel
    level = "off" if job.kept else options.graph_optimization
    said.graph_optimization_level = {
        "all": levels.ORT_ENABLE_ALL,
        "extended": levels.ORT_ENABLE_EXTENDED,
        "basic": levels.ORT_ENABLE_BASIC,
        "off": levels.ORT_DISABLE_ALL,
    }[level]
    parallel = options.execution_mode == "parallel"
    said.execution_mode = ort.ExecutionMode.ORT_PARALLEL if parallel else ort.ExecutionMode.ORT_SEQUENTIAL
    spinning = "1" if options.spinning else "0"
    said.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    said.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    said.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if strict and job.place.provider != CPU:
        said.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if job.weights:
        contents = list(job.weights.values())
        said.add_external_initializers_from_files_in_memory(
            list(job.weights), contents, [len(one) for one in contents]
        )
    for symbol, extent in job.fixed.items():
        said.add_free_dimension_override_by_name(symbol, extent)
    if job.keep is not None:
        _keep(job.keep, job.place, said)
    return said


def _keep(path: Path, place: Target, said: Any) -> None:
    """Has the runtime write down what it makes: of the CPU the optimized graph, of others what their compiler made."""
    if place.provider == CPU:
        said.optimized_model_filepath = os.fspath(path)
        said.add_session_config_entry("session.save_model_format", "ORT")
        return
    said.add_session_config_entry("ep.context_enable", "1")
    said.add_session_config_entry("ep.context_file_path", os.fspath(path))
    said.add_session_config_entry("ep.context_embed_mode", "1")


def placed(job: Job, said: Any) -> Mapping[str, Any]:
    """Puts a target into native options; gives what further the constructor must be told."""
    place = job.place
    if place.plugin is not None:
        said.add_provider_for_devices([place.plugin], dict(job.given))
        return {}
    options = dict(job.given)
    if place.index is not None:
        options["device_id"] = str(place.index)
    return {"providers": [(place.provider, options)]}


def opened(job: Job, model: str | bytes) -> Any:
    """A native session on the target and nowhere else; raises AcceleratorUnavailable, and the runtime's own errors."""
    said = settings(job)
    native = job.ort.InferenceSession(model, said, enable_fallback=0, **placed(job, said))
    native.disable_fallback()
    first = native.get_providers()[0]
    if first != job.place.provider:
        reason = f"{job.place.provider} cannot start here, the runtime fell back to {first}"
        raise AcceleratorUnavailable(f"{NAME}:{job.place.id}", reason)
    return native


def rounds(job: Job) -> str:
    """The precision in which a Relu over float32 really ran: `f32`, or `f16` where its numbers came back rounded.

    Raises AcceleratorUnavailable where it does not run.
    """
    given = np.array([[1 / 3, 2 / 3, 1 / 7, 1e-3]], np.float32)
    try:
        (answer,) = opened(job.bare, TINY).run(None, {"x": given})
    except Exception as error:
        reason = f"it does not run a graph of one node: {last_line(error)}"
        raise AcceleratorUnavailable(f"{NAME}:{job.place.id}", reason) from error
    return "f32" if np.array_equal(answer, given) else "f16"


def left(job: Job, path: Path) -> str:
    """Which nodes of a graph the target leaves to the CPU, as words; empty where that cannot be found out."""
    try:
        said = settings(replace(job, keep=None), strict=False)
        native = job.ort.InferenceSession(os.fspath(path), said, enable_fallback=0, **placed(job, said))
        parts = native.get_provider_graph_assignment_info()
    except Exception:  # noqa: BLE001 - the refusal has its sentence without it
        return ""
    kinds = Counter(node.op_type for part in parts if part.ep_name == CPU for node in part.get_nodes())
    every = sum(len(part.get_nodes()) for part in parts)
    most = ", ".join(sorted(kinds, key=lambda kind: (-kinds[kind], kind))[:6])
    return f"{sum(kinds.values())} of {every} nodes ({most})" if kinds else ""


def works(job: Job) -> bool:
    """Whether a session of one node opens there."""
    try:
        opened(job.bare, TINY)
    except Exception:  # noqa: BLE001 - whatever the vendor raises here means: not usable
        return False
    return True


def last_line(error: Exception) -> str:
    """The vendor's message without its numbers and source places."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = re.sub(r"^.*\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(lines)) or type(error).__name__
    text = re.sub(r"(\S*/onnxruntime/|\b)\S+\.(cc|h):\d+ (\w+ (?=[A-Z]))?", "", text)
    text = re.sub(r"^Load model from .*? failed:\s*(This is an invalid model\. |Fatal error: )*", "", text)
    text = re.sub(
        r".*Failed to construct locale with name:(\S+?):.*",
        r"needs the locale \1 on this machine (Debian: the package locales-all)",
        text,
    )
    text = re.sub(
        r"^(Error: )?(\S+)\(-?\d+\) is not a registered function/op.*",
        r"has the operator \2, which ONNX Runtime does not have",
        text,
    )
    return text if len(text) <= 400 else f"{text[:200]} … {text[-190:]}"


def extents(job: Job, request: LoadRequest) -> Mapping[str, int]:
    """What the open extents are fixed to: as asked, and all of them for a provider of fixed shapes, a batch at 1 too.

    Raises ModelRejected naming an extent that nobody fixes.
    """
    static = known(job.place.short).static
    if not request.shapes and not static:
        return {}
    declared = onnx_file.read(request.path).inputs
    said, loose = _said(declared, request)
    if not static:
        return {symbol: extent for symbol, extent in said.items() if symbol not in loose}
    fixed = dict(said)
    for one in declared:
        wanted: Sequence[int | None] = request.shapes.get(one.name, ())
        for axis, extent in enumerate(one.shape or ()):
            if isinstance(extent, int):
                continue
            symbol, asked = _symbol(extent), wanted[axis] if axis < len(wanted) else None
            if asked is None:
                asked = fixed.get(symbol) or ((request.batch or 1) if axis == 0 else None)
                if asked is None or not symbol:
                    raise _open_extent(job, request, one.name, axis, symbol)
            if fixed.get(symbol, asked) != asked:
                raise _shared(job, request, symbol)
            if symbol:
                fixed[symbol] = asked
    return fixed


def _said(declared: Sequence[onnx_file.Declared], request: LoadRequest) -> tuple[dict[str, int], set[str]]:
    """Extents by symbol as the request says them, and the symbols of axes that it says otherwise or leaves open.

    An input that it does not mention says nothing.
    """
    said, loose = dict[str, int](), set[str]()
    for one in declared:
        wanted = request.shapes.get(one.name)
        for axis, extent in enumerate(one.shape or () if wanted is not None else ()):
            symbol = "" if isinstance(extent, int) else _symbol(extent)
            asked = wanted[axis] if wanted is not None and axis < len(wanted) else None
            if symbol and (asked is None or said.setdefault(symbol, asked) != asked):
                loose.add(symbol)  # one name for axes of different extents: it fixes nothing
    return said, loose


def _symbol(extent: str) -> str:
    return "" if extent == onnx_file.NAMELESS else extent


def _shared(job: Job, request: LoadRequest, symbol: str) -> ModelRejected:
    return ModelRejected(
        request.path,
        f"{NAME}:{job.place.id} takes fixed shapes only, and open axes of different extents share the name "
        f"{symbol}: export the model with a fixed shape",
    )


def _open_extent(job: Job, request: LoadRequest, name: str, axis: int, symbol: str) -> ModelRejected:
    where = f"{NAME}:{job.place.id}"
    called = f" ({symbol})" if symbol else ""
    return ModelRejected(
        request.path,
        f"{where} takes fixed shapes only, and axis {axis}{called} of {name} is open: "
        "export the model with a fixed one, or say it in the card (size, shape)",
    )
