"""Every call into TVM: compiling, loading a library, running it, and its errors in our words."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.metadata import version as distribution_version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from accelerators.tvm.graph import Graph, read_graph
from accelerators.tvm.library import Label, private_copy, read, seal
from accelerators.tvm.linking import Linker, linker
from accelerators.tvm.machines import Machines
from accelerators.tvm.options import Options
from accelerators.tvm.targets import NAME, Target, flags, here, lacking, needs, target
from accelerators.tvm.words import sentence
from edgex_inference.contracts.accelerator import (
    ONNX,
    TVM_LIBRARY,
    Artefact,
    InferenceDevice,
    LoadRequest,
    Session,
)
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    EdgexInferenceError,
    ModelRejected,
)
from edgex_inference.contracts.vendor import in_use, load_vendor

_DISTRIBUTION = "apache-tvm"
_MOST_PARALLEL = 8
_ROOM, _COPIES = 1 << 20, 4
"""Bytes, and how many times a model's own, that must be free to link in: LLVM ends the process on a full disk."""


def version() -> str | None:
    """The version of the installed runtime, without importing it; None without one."""
    try:
        return in_use("tvm", distribution_version(_DISTRIBUTION))
    except PackageNotFoundError:
        return None


def devices() -> Sequence[InferenceDevice]:
    """The CPU; raises AcceleratorUnavailable without the runtime."""
    _vendor()
    return (InferenceDevice(id="CPU", kind="cpu", name=f"TVM's code for {here().id}"),)


def load(request: LoadRequest) -> Session:
    """Loads a library that was compiled for this machine; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != TVM_LIBRARY:
        reason = f"{NAME} loads {TVM_LIBRARY} and compiles {ONNX}, it does not read {request.format}"
        raise ModelRejected(request.path, reason)
    place = target(request.device)
    if place != here():
        reason = f"this machine is {here().id}: it can compile for {place.id}, and run CPU only"
        raise AcceleratorUnavailable(f"{NAME}:{request.device}", reason)
    _check_precision(request)
    code, label = read(request.path)
    _check_fit(request.path, label)
    tvm = _vendor()
    options = _options(request)
    cores = len(os.sched_getaffinity(0))
    try:
        with private_copy(code) as path:
            executable = tvm.runtime.load_module(os.fspath(path))
        amount = options.machines or max(1, min(_MOST_PARALLEL, cores))
        return Machines(tvm, executable, label, request, amount)
    except EdgexInferenceError:
        raise
    except OSError as error:  # of the copy: the library itself is good
        where = f"{error.filename or 'TMPDIR'}: {error.strerror or error}"
        raise AcceleratorUnavailable(NAME, f"there is nowhere to load it from: {where}") from error
    except Exception as error:
        raise ModelRejected(request.path, sentence(error)) from error


def compiled(request: LoadRequest) -> Artefact:
    """Compiles an ONNX file into the request's folder; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != ONNX:
        raise ModelRejected(request.path, f"{NAME} compiles {ONNX}, not {request.format}")
    _check_precision(request)
    place, options = target(request.device), _options(request)
    tell = request.progress or (lambda _share, _doing: None)
    tell(0.0, "reading the model")
    graph = read_graph(_onnx(), request)
    tvm = _vendor()
    with_linker = linker(place, options.linker)
    tell(0.1, "compiling")
    processor = _processor(tvm, place, options)
    executable, graph = _built(tvm, processor, graph, request)
    tell(0.9, "linking")
    label = Label(
        tvm=version() or "",
        triple=place.triple,
        cpu=_cpu(processor),
        needs=needs(place, _features(tvm, processor)),
        inputs=graph.inputs,
        outputs=graph.outputs,
        calls=_calls(executable),
        metadata=graph.metadata,
    )
    folder = request.cache or request.path.parent
    path = folder / f"{request.path.stem}.{place.id}.tvm.so"
    room = _ROOM + _COPIES * graph.model.ByteSize()
    _write(path, seal(_linked(executable, with_linker, request.path, room), label))
    tell(1.0, "compiled")
    return Artefact(path=path, format=TVM_LIBRARY, made_with=_made_with(label.cpu, place))


def identity(request: LoadRequest) -> Mapping[str, str]:
    """What a library depends on: TVM's version, the machine and its processor."""
    place = target(request.device)
    return _made_with(_cpu(_processor(_vendor(), place, _options(request))), place)


def _built(tvm: ModuleType, processor: Any, graph: Graph, request: LoadRequest) -> tuple[Any, Graph]:
    """The executable; for the rows of `batch`, or single ones, where TVM cannot compile for any number of them."""
    try:
        return _build(tvm, processor, graph), graph
    except Exception as error:
        if not graph.rows_open:
            raise _refusal(request.path, error) from error
    graph = graph.with_rows(request.batch or 1)
    try:
        return _build(tvm, processor, graph), graph
    except Exception as error:
        raise _refusal(request.path, error) from error


def _build(tvm: ModuleType, processor: Any, graph: Graph) -> Any:
    frontend = load_vendor("tvm.relax.frontend.onnx", accelerator=NAME, extra=NAME, attribute="from_onnx")
    module = frontend.from_onnx(graph.model, keep_params_in_input=False)
    return tvm.compile(module, target=processor)


def _linked(executable: Any, with_linker: Linker, path: Path, room: int) -> bytes:
    """The shared object, linked where so many bytes are free."""

    def link(file: str, objects: Sequence[str], **_: object) -> None:
        with_linker.link(objects, Path(file))

    with TemporaryDirectory(prefix="edgex-inference-tvm-") as folder:
        file = Path(folder) / "library.so"
        free = shutil.disk_usage(folder).free
        if free < room:
            needs = f"it takes {room / 1e6:.1f} MB to link in, and {file.parent.parent} has {free / 1e6:.1f}"
            raise AcceleratorUnavailable(NAME, f"{needs}: make room, or name another folder in TMPDIR")
        try:
            executable.export_library(os.fspath(file), fcompile=link, workspace_dir=folder)
        except EdgexInferenceError:
            raise
        except Exception as error:
            raise _refusal(path, error) from error
        return file.read_bytes()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: somebody may be loading what stands there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise AcceleratorUnavailable(NAME, f"{path.parent} cannot be written: {error.strerror}") from error


def _processor(tvm: ModuleType, place: Target, options: Options) -> Any:
    """TVM's description of the processor; of this machine's own, without what its hypervisor hides."""
    said: dict[str, object] = {"kind": "llvm", "mtriple": place.triple}
    mcpu = options.mcpu or (tvm.target.codegen.llvm_get_system_cpu() if place == here() else "")
    if mcpu and not tvm.target.codegen.llvm_is_valid_cpu(mcpu, place.triple):
        reason = f"options.mcpu: LLVM knows no processor {mcpu} of {place.id} (cortex-a72, for one)"
        raise AcceleratorUnavailable(NAME, reason)
    said |= {"mcpu": mcpu} if mcpu else {}
    attributes = list(options.mattr)
    if place == here() and options.mcpu is None:
        attributes += [f"-{one}" for one in lacking(place, _features(tvm, tvm.target.Target(said)))]
    return tvm.target.Target(said | ({"mattr": attributes} if attributes else {}))


def _features(tvm: ModuleType, processor: Any) -> frozenset[str]:
    return frozenset(str(one) for one in tvm.target.codegen.llvm_get_cpu_features(processor))


def _cpu(processor: Any) -> str:
    """The processor as one word: cortex-a76,+dotprod."""
    parts = [
        str(processor.attrs.get("mcpu", "") or "generic"),
        *map(str, processor.attrs.get("mattr", []) or []),
    ]
    return ",".join(parts)


def _made_with(cpu: str, place: Target) -> Mapping[str, str]:
    return {_DISTRIBUTION: version() or "", "target": place.triple, "cpu": cpu}


def _calls(executable: Any) -> int:
    """How many of TVM's functions the library has: what a graph's nodes were fused to."""
    return len(re.findall(r"^\s*call ", str(executable.as_text()), re.MULTILINE))


def _check_precision(request: LoadRequest) -> None:
    if request.precision not in ("f32", "native"):
        reason = f"{NAME} computes what the file says, not {request.precision}: say f32 or native"
        raise ModelRejected(request.path, reason)


def _check_fit(path: Path, label: Label) -> None:
    """Code of another TVM, or for another processor, ends the process instead of raising."""
    if label.tvm != version():
        reason = f"was compiled by TVM {label.tvm}, here is {version() or 'none'}: compile it again"
        raise ModelRejected(path, reason)
    missing = sorted(set(label.needs) - flags())
    if missing:
        few = ", ".join(missing[:5])
        reason = (
            f"is compiled for {label.cpu.split(',')[0]}, this processor lacks {few}: compile it for this one"
        )
        raise ModelRejected(path, reason)


def _refusal(path: Path, error: Exception) -> ModelRejected:
    text = sentence(error)
    if type(error).__name__ == "OpNotImplemented":
        text = f"has operators that TVM cannot compile: {text}"
    return ModelRejected(path, text)


def _options(request: LoadRequest) -> Options:
    return request.options if isinstance(request.options, Options) else Options()


def _onnx() -> ModuleType:
    onnx = load_vendor("onnx", accelerator=NAME, extra=NAME, attribute="ModelProto")
    load_vendor("onnx.version_converter", accelerator=NAME, extra=NAME, attribute="convert_version")
    return onnx


def _vendor() -> ModuleType:
    """TVM; raises AcceleratorUnavailable, also where PyPI's `tvm` sits in its place."""
    try:
        other = distribution("tvm")
    except PackageNotFoundError:
        return load_vendor("tvm", accelerator=NAME, extra=NAME, attribute="compile")
    reason = (
        f"tvm {other.version} of PyPI is another product (the time value of money) in the place of Apache TVM: "
        f'pip uninstall tvm {_DISTRIBUTION}, then pip install "edgex-inference[{NAME}]"'
    )
    raise AcceleratorUnavailable(NAME, reason)
