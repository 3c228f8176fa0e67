"""A stand-in for libmigraphx_c: the names and signatures of MIGraphX's header, numbers from ONNX's reference evaluator.

It knows the targets `ref` and, where `gpu` is True, `gpu`. At an input of 2000 a run fails, at 1000 it hangs.
"""

import ctypes
import itertools
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

_OK, _BAD, _TARGET, _ERROR = 0, 1, 3, 4
SINCE_7_1 = (
    "",
    "fp4x2",
    "bool",
    "float16",
    "float32",
    "float64",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "uint32",
)
BEFORE_7_1 = tuple(kind for kind in SINCE_7_1 if kind != "fp4x2")
"""Releases up to 7.0 number the element types otherwise, under the same name of the library."""


class _Program:
    def __init__(self, model: onnx.ModelProto, dims: dict[str, tuple[int, ...]], default: int) -> None:
        self.model, self.compiled = model, False
        self.evaluator = ReferenceEvaluator(model)
        constants = {one.name for one in model.graph.initializer}
        self.inputs = {}
        for info in model.graph.input:
            if info.name in constants:
                continue
            tensor = info.type.tensor_type
            own = tuple(dim.dim_value or default for dim in tensor.shape.dim)
            self.inputs[info.name] = (
                onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name,
                dims.get(info.name, own),
            )
        feed = {name: np.zeros(extents, kind) for name, (kind, extents) in self.inputs.items()}
        answers = self.evaluator.run(None, feed)
        self.outputs = [(str(one.dtype), one.shape) for one in answers]


class Library:
    """Attributes are the functions; each gives a status."""

    def __init__(self, *, gpu: bool = True, types: Sequence[str] = SINCE_7_1) -> None:
        self._gpu, self._types = gpu, types
        self._things: dict[int, Any] = {}
        self._numbers = itertools.count(0x1000)
        self._kept: list[Any] = []
        self.alive = 0

    def __getattr__(self, name: str) -> Callable[..., int]:
        if not name.startswith("migraphx_"):
            raise AttributeError(name)
        if name.endswith("_destroy"):
            return self._destroy
        function = getattr(type(self), name.removeprefix("migraphx_"), None)
        if function is None:
            raise AttributeError(name)

        def guarded(*arguments: Any) -> int:
            try:
                return int(function(self, *arguments) or _OK)
            except _Status as status:
                return status.number
            except Exception as error:  # noqa: BLE001 - as the real one: a word on stderr, and a status
                print(f"MIGraphX Error: {error}", file=sys.stderr)
                return _ERROR

        return guarded

    def _destroy(self, pointer: ctypes.c_void_p) -> int:
        self._things.pop(pointer.value or 0)
        self.alive -= 1
        return _OK

    def _put(self, out: Any, thing: Any, *, owned: bool = True) -> None:
        number = next(self._numbers)
        self._things[number] = thing
        self.alive += owned
        out._obj.value = number

    def _get(self, pointer: ctypes.c_void_p) -> Any:
        return self._things[pointer.value or 0]

    def target_create(self, out: Any, name: bytes) -> None:
        if name not in (b"ref", b"gpu") or (name == b"gpu" and not self._gpu):
            raise _Status(_ERROR)
        self._put(out, name)

    def onnx_options_create(self, out: Any) -> None:
        self._put(out, {"dims": {}, "default": 1})

    def onnx_options_set_default_dim_value(self, options: Any, value: ctypes.c_size_t) -> None:
        self._get(options)["default"] = value.value

    def onnx_options_set_external_data_path(self, options: Any, path: bytes) -> None:
        assert path

    def onnx_options_set_input_parameter_shape(self, options: Any, name: bytes, dims: Any, size: Any) -> None:
        self._get(options)["dims"][name.decode()] = tuple(dims[index] for index in range(size.value))

    def parse_onnx_buffer(self, out: Any, data: bytes, size: Any, options: Any) -> None:
        said = self._get(options)
        model = onnx.load_model_from_string(data[: size.value])
        onnx.checker.check_model(model)
        self._put(out, _Program(model, said["dims"], said["default"]))

    def quantize_fp16(self, program: Any) -> None:
        self._get(program)

    def compile_options_create(self, out: Any) -> None:
        self._put(out, {})

    def compile_options_set_offload_copy(self, options: Any, value: Any) -> None:
        assert value.value

    def compile_options_set_fast_math(self, options: Any, value: Any) -> None:
        self._get(options)

    def compile_options_set_exhaustive_tune_flag(self, options: Any, value: Any) -> None:
        self._get(options)

    def program_compile(self, program: Any, target: Any, options: Any) -> None:
        self._get(program).compiled = bool(self._get(target))

    def file_options_create(self, out: Any) -> None:
        self._put(out, {})

    def save(self, program: Any, name: bytes, options: Any) -> None:
        self._get(options)
        held = self._get(program)
        shapes = {key: list(extents) for key, (_, extents) in held.inputs.items()}
        with open(name, "wb") as file:
            file.write(b"MXR" + repr(shapes).encode() + b"\0" + held.model.SerializeToString())

    def load(self, out: Any, name: bytes, options: Any) -> None:
        self._get(options)
        with open(name, "rb") as file:
            head, _, body = file.read().partition(b"\0")
        if not head.startswith(b"MXR"):
            raise _Status(_ERROR)
        shapes = {key: tuple(extents) for key, extents in eval(head[3:], {}).items()}
        program = _Program(onnx.load_model_from_string(body), shapes, 1)
        program.compiled = True
        self._put(out, program)

    def program_get_parameter_shapes(self, out: Any, program: Any) -> None:
        self._put(out, self._get(program).inputs)

    def program_parameter_shapes_size(self, out: Any, shapes: Any) -> None:
        out._obj.value = len(self._get(shapes))

    def program_parameter_shapes_names(self, out: Any, shapes: Any) -> None:
        for index, name in enumerate(self._get(shapes)):
            out[index] = name.encode()

    def program_parameter_shapes_get(self, out: Any, shapes: Any, name: bytes) -> None:
        self._put(out, self._get(shapes)[name.decode()], owned=False)

    def program_get_output_shapes(self, out: Any, program: Any) -> None:
        self._put(out, self._get(program).outputs)

    def shapes_get(self, out: Any, shapes: Any, index: Any) -> None:
        self._put(out, self._get(shapes)[index.value], owned=False)

    def shape_lengths(self, out: Any, size: Any, shape: Any) -> None:
        _, extents = self._get(shape)
        lengths = (ctypes.c_size_t * max(1, len(extents)))(*extents)
        self._kept = [*self._kept[-50:], lengths]
        out._obj.contents = lengths
        size._obj.value = len(extents)

    def shape_type(self, out: Any, shape: Any) -> None:
        kind, _ = self._get(shape)
        out._obj.value = self._types.index(kind) if kind in self._types else 15

    def shape_create(self, out: Any, kind: Any, lengths: Any, size: Any) -> None:
        self._put(out, (self._types[kind.value], tuple(lengths[index] for index in range(size.value))))

    def shape_bytes(self, out: Any, shape: Any) -> None:
        kind, extents = self._get(shape)
        size = 1 if kind == "fp4x2" else np.dtype(kind).itemsize
        out._obj.value = size * int(np.prod(extents))

    def argument_create(self, out: Any, shape: Any, data: ctypes.c_void_p) -> None:
        kind, extents = self._get(shape)
        size = int(np.prod(extents)) * np.dtype(kind).itemsize
        raw = ctypes.string_at(data.value or 0, size)
        self._put(out, np.frombuffer(raw, kind).reshape(extents))

    def program_parameters_create(self, out: Any) -> None:
        self._put(out, {})

    def program_parameters_add(self, parameters: Any, name: bytes, argument: Any) -> None:
        self._get(parameters)[name.decode()] = self._get(argument)

    def program_run(self, out: Any, program: Any, parameters: Any) -> None:
        held, feed = self._get(program), self._get(parameters)
        assert held.compiled
        most = max(float(array.max()) for array in feed.values() if array.size)
        if most == 1000:
            threading.Event().wait()
        if most == 2000:
            raise _Status(_ERROR)
        if len(held.model.graph.node) >= 6:
            time.sleep(0.02)
        self._put(out, [np.ascontiguousarray(one) for one in held.evaluator.run(None, feed)])

    def arguments_get(self, out: Any, arguments: Any, index: Any) -> None:
        self._put(out, self._get(arguments)[index.value], owned=False)

    def argument_buffer(self, out: Any, argument: Any) -> None:
        out._obj.value = self._get(argument).ctypes.data


class _Status(Exception):
    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"status {number}")
