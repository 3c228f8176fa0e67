"""Models on MIGraphX: parsing, compiling, running, and its status codes in our words."""

import ctypes
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from accelerators.migraphx.graph import Names, names
from accelerators.migraphx.library import Failed, Handle, Library, file_of, opened
from accelerators.migraphx.options import Options
from accelerators.pool import Pool
from edgex_inference.contracts.accelerator import (
    MIGRAPHX_PROGRAM,
    ONNX,
    Artefact,
    InferenceDevice,
    LoadRequest,
    Session,
    Traits,
)
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.probing import probe
from edgex_inference.contracts.tensors import Datatype, Tensors, TensorSpec, misfit, nan_for_a_chip

NAME = "migraphx"
TARGETS = {"GPU": "gpu", "REF": "ref"}
"""REF is MIGraphX's own reference on the CPU: right and very slow, for checking only."""

_PRECISIONS = {"f32": "", "native": "", "f16": "quantize_fp16", "bf16": "quantize_bf16"}
_SIDE = ".json"
"""Beside a program: the names that its file does not have."""


def version() -> str | None:
    """The number behind the library's name, without loading it; `installed` where there is none, None without it."""
    file = file_of()
    if file is not None:
        return file.name.partition(".so.")[2] or "installed"
    try:
        opened("", NAME)
    except AcceleratorUnavailable:
        return None
    return "installed"


def devices() -> Sequence[InferenceDevice]:
    """The GPU where there is one, and REF; raises AcceleratorUnavailable without the library."""
    library = opened("", NAME)
    found = [
        InferenceDevice(id="REF", kind="other", name="MIGraphX's reference, for checking only", vendor="AMD")
    ]
    try:
        library.made("target", "target_create", b"gpu")
    except Failed:
        return found
    return [InferenceDevice(id="GPU", kind="gpu", name="an AMD GPU by ROCm", vendor="AMD"), *found]


def identity(request: LoadRequest) -> Mapping[str, str]:
    """What a compiled program depends on: the library, which says no version, target, precision and batch."""
    options = _options(request)
    file = file_of(options.library)
    return {
        "library": f"{file.name} of {file.stat().st_size} bytes" if file is not None else "unknown",
        "target": TARGETS.get((request.device or "GPU").upper(), ""),
        "precision": request.precision,
        "batch": str(options.batch),
        "math": f"{options.fast_math} {options.exhaustive_tune}",
    }


def load(request: LoadRequest) -> Session:
    """Loads an ONNX model or a compiled program; raises ModelRejected or AcceleratorUnavailable."""
    if request.format not in (ONNX, MIGRAPHX_PROGRAM):
        raise ModelRejected(request.path, f"{NAME} reads {ONNX} and {MIGRAPHX_PROGRAM}, not {request.format}")
    where, options = _where(request), _options(request)
    library = opened(options.library, where)
    try:
        target = _target(library, request, where)
        known = _names(request)
        programs = [_program(library, request, target, known) for _ in range(options.programs)]
        return _MigraphxSession(library, request, where, known, programs)
    except Failed as error:
        raise ModelRejected(request.path, str(error)) from error


def compile_(request: LoadRequest) -> Artefact:
    """Compiles an ONNX model into `cache`; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != ONNX:
        raise ModelRejected(request.path, f"{NAME} compiles {ONNX}, not {request.format}")
    assert request.cache is not None
    where, options = _where(request), _options(request)
    library = opened(options.library, where)
    known = _names(request)
    path = request.cache / f"{request.path.stem}.mxr"
    try:
        target = _target(library, request, where)
        if request.progress is not None:
            request.progress(None, "compiling")
        program = _program(library, request, target, known)
        request.cache.mkdir(parents=True, exist_ok=True)
        library.call("save", program, bytes(path), library.made("file_options", "file_options_create"))
        side = path.with_name(path.name + _SIDE)
        side.write_text(json.dumps(asdict(known)))
    except Failed as error:
        raise ModelRejected(request.path, str(error)) from error
    except OSError as error:
        raise ModelRejected(
            request.path, f"cannot be compiled into {request.cache}: {error.strerror}"
        ) from error
    return Artefact(path=path, format=MIGRAPHX_PROGRAM, beside=(side,), made_with=identity(request))


class _MigraphxSession:
    """As many programs as runs may be in flight; a program serves one at a time."""

    def __init__(
        self, library: Library, request: LoadRequest, where: str, known: Names, programs: Sequence[Handle]
    ) -> None:
        self._library, self._model, self._where = library, request.path.name, where
        shapes = library.made("program_parameter_shapes", "program_get_parameter_shapes", programs[0])
        there = set(library.names(shapes))
        missing = [name for name in known.inputs if name not in there]
        if missing:
            raise ModelRejected(request.path, f"the program has no input {', '.join(missing)}")
        self.inputs: Sequence[TensorSpec] = tuple(
            self._spec(request, name, library.borrowed("program_parameter_shapes_get", shapes, name.encode()))
            for name in known.inputs
        )
        given = library.made("shapes", "program_get_output_shapes", programs[0])
        self.outputs: Sequence[TensorSpec] = tuple(
            self._spec(request, name, library.borrowed("shapes_get", given, ctypes.c_size_t(index)))
            for index, name in enumerate(known.outputs)
        )
        self.parallel = len(programs)
        self.metadata: Mapping[str, str] = {}
        self._pool = Pool(self._model, programs, "program")
        probed = probe(self.inputs, self.outputs, self.infer)
        self.outputs = probed.outputs
        precision = "f32" if request.precision == "native" else request.precision
        precision = "int8" if known.quantized else precision
        placement = {where.partition(":")[2].upper(): 1}
        self.traits = Traits(batch=probed.batch, precision=precision, placement=placement)

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs once on the next free program; `timeout` bounds the wait for it."""
        unfit = misfit(self.inputs, tensors) or nan_for_a_chip(self.inputs, tensors)
        if unfit:
            raise SignatureMismatch(self._model, unfit)
        program = self._pool.take(timeout)
        try:
            return self._run(program, tensors)
        except Failed as error:
            raise DeviceLost(f"{self._where} is lost: {error}") from error
        finally:
            self._pool.give(program)

    def close(self) -> None:
        """Lets the programs go; each ends with the last run on it."""
        self._pool.close()

    def _run(self, program: Handle, tensors: Tensors) -> Tensors:
        library = self._library
        parameters = library.made("program_parameters", "program_parameters_create")
        held = []  # the library borrows both until the run is over
        for spec in self.inputs:
            array = np.ascontiguousarray(tensors[spec.name])
            shape = library.shape(library.number(spec.datatype), array.shape)
            data = ctypes.c_void_p(array.ctypes.data)
            argument = library.made("argument", "argument_create", shape, data)
            library.call("program_parameters_add", parameters, spec.name.encode(), argument)
            held.append((array, shape, argument))
        answers = library.made("arguments", "program_run", program, parameters)
        found = {}
        for index, spec in enumerate(self.outputs):
            argument_ = library.borrowed("arguments_get", answers, ctypes.c_size_t(index))
            found[spec.name] = library.array(argument_, spec.datatype, [extent or 0 for extent in spec.shape])
        return found

    def _spec(self, request: LoadRequest, name: str, shape: ctypes.c_void_p) -> TensorSpec:
        datatype = self._library.datatype(shape)
        if not isinstance(datatype, Datatype):
            raise ModelRejected(request.path, f"the tensor {name} is {datatype}, which arrays lack")
        return TensorSpec(name=name, datatype=datatype, shape=self._library.extents(shape))


def _options(request: LoadRequest) -> Options:
    return request.options if isinstance(request.options, Options) else Options()


def _where(request: LoadRequest) -> str:
    return f"{NAME}:{request.device or 'GPU'}"


def _target(library: Library, request: LoadRequest, where: str) -> Handle:
    name = TARGETS.get((request.device or "GPU").upper())
    if name is None:
        raise AcceleratorUnavailable(
            where, f"its devices are {' and '.join(TARGETS)}: say one, or add a fallback"
        )
    try:
        return library.made("target", "target_create", name.encode())
    except Failed as error:
        reason = f"ROCm has no GPU for it here ({error}); add a fallback"
        raise AcceleratorUnavailable(where, reason) from error


def _names(request: LoadRequest) -> Names:
    """From the ONNX file, or from what lies beside a program; raises ModelRejected."""
    try:
        if request.format == ONNX:
            return names(request.path)
        side = request.path.with_name(request.path.name + _SIDE)
        said = json.loads(side.read_text())
        inputs = {name: tuple(extents) for name, extents in said["inputs"].items()}
        return Names(inputs, list(said["outputs"]), bool(said.get("quantized")))
    except OSError as error:
        raise ModelRejected(request.path, f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelRejected(request.path, f"the names beside it cannot be read: {error}") from error


def _program(library: Library, request: LoadRequest, target: Handle, known: Names) -> Handle:
    if request.format == MIGRAPHX_PROGRAM:
        return library.made(
            "program",
            "load",
            bytes(request.path),
            library.made("file_options", "file_options_create"),
        )
    quantize = "" if known.quantized else _PRECISIONS.get(request.precision)
    if quantize is None:
        reason = f"{NAME} computes in {', '.join(_PRECISIONS)}; int8 needs a model that is quantized itself"
        raise ModelRejected(request.path, reason)
    options, own = library.made("onnx_options", "onnx_options_create"), _options(request)
    rows = request.batch or own.batch
    library.call("onnx_options_set_default_dim_value", options, ctypes.c_size_t(rows))
    folder = bytes(Path(request.path).parent)
    library.call("onnx_options_set_external_data_path", options, folder)
    for name, extents in known.inputs.items():
        asked = request.shapes.get(name, ())
        fixed = [
            have if have is not None else want if want is not None else rows if axis == 0 else None
            for axis, (have, want) in enumerate(zip(extents, asked or (None,) * len(extents), strict=False))
        ]
        if None not in fixed and fixed:
            lengths = (ctypes.c_size_t * len(fixed))(*[extent or 0 for extent in fixed])
            size = ctypes.c_size_t(len(fixed))
            library.call("onnx_options_set_input_parameter_shape", options, name.encode(), lengths, size)
    content = request.path.read_bytes()  # never mapped: whoever writes there would change answers
    size = ctypes.c_size_t(len(content))
    program = library.made("program", "parse_onnx_buffer", content, size, options)
    if quantize:
        try:
            library.call(quantize, program)
        except AttributeError:
            reason = f"the installed library cannot compute in {request.precision}: say f32 or native"
            raise ModelRejected(request.path, reason) from None
    compiling = library.made("compile_options", "compile_options_create")
    library.call("compile_options_set_offload_copy", compiling, ctypes.c_bool(True))
    library.call("compile_options_set_fast_math", compiling, ctypes.c_bool(own.fast_math))
    tuned = ctypes.c_bool(own.exhaustive_tune)
    library.call("compile_options_set_exhaustive_tune_flag", compiling, tuned)
    library.call("program_compile", program, target, compiling)
    return program
