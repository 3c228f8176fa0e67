"""Runtime, engine and context: they compute by the onnx package's evaluator, when the stream is waited for."""

import ctypes
import json
import os
import warnings

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from nvidia_stand_in.building import HEADER
from nvidia_stand_in.gpu import FATAL, NEVER, WORLD, setting
from nvidia_stand_in.parsing import ITensor
from nvidia_stand_in.words import DataType, TensorIOMode, TensorLocation, complain

NUMPY = {
    DataType.FLOAT: np.float32,
    DataType.HALF: np.float16,
    DataType.INT8: np.int8,
    DataType.UINT8: np.uint8,
    DataType.INT32: np.int32,
    DataType.INT64: np.int64,
    DataType.BOOL: np.bool_,
}
OTHER_GPU = (
    "IRuntime: Error Code 6: API Usage Error (The engine plan file is generated on an "
    "incompatible device, expecting compute {} got compute {}, please rebuild.)"
)
OTHER_VERSION = (
    "IRuntime::deserializeCudaEngine: Error Code 6: API Usage Error (The engine plan file is not compatible with this "
    "version of TensorRT, expecting library version {} got {}, please rebuild.)"
)


class Runtime:
    _version, _magic = "", b""

    def __init__(self, logger):
        assert logger.ready
        if setting("driver") == "absent":
            complain(logger, "CUDA initialization failure with error: 35")
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine):
        content = bytes(serialized_engine)
        version = ".".join(map(str, content[24:28]))
        compute, here = content[32:40].rstrip(b"\0").decode(), setting("compute", "8.6")
        said = ""
        if setting("fault") == "deserialize" or WORLD.error:
            said = "IRuntime::deserializeCudaEngine: Error Code 1: Cuda Runtime (the GPU does not answer)"
        elif not content.startswith(self._magic):
            said = "Error Code 1: Serialization (Trying to load an engine of an incompatible serialization version)"
        elif version != self._version:
            said = OTHER_VERSION.format(self._version, version)
        elif compute not in (here, "any"):
            said = OTHER_GPU.format(compute, here)
        if said:
            complain(self._logger, said)
            return None
        try:
            return ICudaEngine(self._logger, content[HEADER:])
        except Exception:
            complain(
                self._logger, "Error Code 1: Serialization (Serialization assertion plan->size() failed.)"
            )
            return None


class ICudaEngine:
    def __init__(self, logger, body):
        self._logger = logger
        length = int.from_bytes(body[:4], "little")
        said = json.loads(body[4 : 4 + length])
        self._model = onnx.load_from_string(body[4 + length :])
        self._profile = said["profile"]
        self._inputs = {
            one.name: ITensor(one) for one in self._model.graph.input if one.name in said["inputs"]
        }
        for name, shape in said["inputs"].items():
            self._inputs[name].shape = tuple(shape)
        self._outputs = self._inferred({name: one.shape for name, one in self._inputs.items()})
        self._names = [*self._inputs, *self._outputs]
        self._device = WORLD.device

    def _inferred(self, shapes):
        """The outputs for inputs of these shapes; what depends on numbers stays open."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for value in model.graph.input:
            for dim, extent in zip(
                value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False
            ):
                dim.Clear()
                if extent > 0:
                    dim.dim_value = extent
        if all(extent > 0 for shape in shapes.values() for extent in shape):
            for value in model.graph.output:
                value.type.tensor_type.ClearField("shape")
        found = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.output
        return {one.name: ITensor(one) for one in found}

    @property
    def num_io_tensors(self):
        return len(self._names)

    @property
    def num_layers(self):
        return len(self._model.graph.node)

    def get_tensor_name(self, index):
        return self._names[index]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name):
        return self._tensor(name).dtype

    def get_tensor_location(self, name):
        return TensorLocation.DEVICE

    def get_tensor_shape(self, name):
        return self._tensor(name).shape

    def get_tensor_profile_shape(self, name, profile_index):
        return [tuple(shape) for shape in self._profile[name]]

    def create_execution_context(self, strategy=None):
        if setting("fault") == "context":
            complain(
                self._logger,
                "ICudaEngine::createExecutionContext: Error Code 2: OutOfMemory (Requested 1 GiB)",
            )
            return None
        return IExecutionContext(self)

    def _tensor(self, name):
        return self._inputs.get(name) or self._outputs[name]


class IExecutionContext:
    def __init__(self, engine):
        self._engine, self._busy = engine, False
        self._shapes = {n: one.shape for n, one in engine._inputs.items() if -1 not in one.shape}
        self._addresses, self._allocators, self._outputs = {}, {}, {}
        self._evaluator = ReferenceEvaluator(_computable(engine._model))

    def set_input_shape(self, name, shape):
        declared, wanted = self._engine._inputs[name].shape, tuple(shape)
        fits = len(declared) == len(wanted) and all(
            d in (-1, w) for d, w in zip(declared, wanted, strict=False)
        )
        bounds = self._engine._profile.get(name)
        if fits and bounds:
            fits = all(low <= w <= high for low, w, high in zip(bounds[0], wanted, bounds[2], strict=True))
        if not fits:
            said = f"Set dimensions are {list(wanted)}. Expected dimensions are {list(declared)}."
            head = "IExecutionContext::setInputShape: Error Code 3: API Usage Error"
            complain(
                self._engine._logger,
                f"{head} (Dimension mismatch while setting input shape for {name}. {said})",
            )
            return False
        self._shapes[name] = wanted
        self._outputs = {}
        return True

    def infer_shapes(self):
        missing = [name for name in self._engine._inputs if name not in self._shapes]
        if not missing:
            self._outputs = self._engine._inferred(self._shapes)
        return missing

    def get_tensor_shape(self, name):
        return self._shapes.get(name) or (self._outputs or self._engine._outputs)[name].shape

    def set_tensor_address(self, name, memory):
        self._addresses[name] = memory
        return bool(memory)

    def set_output_allocator(self, name, output_allocator):
        assert output_allocator.ready
        self._allocators[name] = output_allocator
        return True

    def execute_async_v3(self, stream_handle):
        if self._busy:  # what a real context would do is anybody's guess
            os.write(2, b"stand-in: a context was used by two runs at once\n")
            os.abort()
        if WORLD.streams[stream_handle].device != self._engine._device or self.infer_shapes():
            complain(
                self._engine._logger,
                "IExecutionContext::enqueueV3: Error Code 3: API Usage Error (foreign)",
            )
            return False
        if self._allocators:  # the extents are known when it has been computed
            code = WORLD.flush(stream_handle)
            self._busy = True
            code = code or self._compute()
            return not code
        if setting("fault") in ("enqueue", "enqueue-700") and self._fatal(stream_handle):
            if setting("fault") == "enqueue-700":
                WORLD.broken[WORLD.device] = 700  # only the next question to CUDA will tell
            complain(
                self._engine._logger,
                "IExecutionContext::enqueueV3: Error Code 1: Myelin (No results here)",
            )
            return False
        self._busy = True
        return WORLD.give(stream_handle, self._compute) == 0

    def _fatal(self, stream_handle):
        WORLD.flush(stream_handle)
        return self._first() == FATAL

    def _first(self):
        name = next(iter(self._engine._inputs))
        given = self._read(name)
        return given.flat[0] if given.size else None

    def _compute(self):
        try:
            fault = setting("fault")
            if fault in ("hang", "700", "999", "2") and self._first() == FATAL:
                if fault == "hang":
                    NEVER.wait()
                return int(fault) if fault != "hang" else 999
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answers = self._evaluator.run(None, {name: self._read(name) for name in self._engine._inputs})
            for name, answer in zip(self._engine._outputs, answers, strict=True):
                code = self._write(name, np.asarray(answer))
                if code:
                    return code
            return 0
        finally:
            self._busy = False

    def _read(self, name):
        kind = np.dtype(NUMPY[self._engine._inputs[name].dtype])
        shape = self._shapes[name]
        size = int(np.prod(shape)) * kind.itemsize
        return np.frombuffer(ctypes.string_at(self._addresses[name], size), kind).reshape(shape)

    def _write(self, name, answer):
        kind = np.dtype(NUMPY[self._engine._outputs[name].dtype])
        raw = np.ascontiguousarray(answer, kind).tobytes()
        allocator = self._allocators.get(name)
        if allocator is not None:
            before = self._addresses.get(name, 0)
            self._addresses[name] = allocator.reallocate_output_async(name, before, len(raw), 256, 0)
            if not self._addresses[name]:
                complain(
                    self._engine._logger,
                    "IExecutionContext::enqueueV3: Error Code 2: OutOfMemory (allocator)",
                )
                return 2
            allocator.notify_shape(name, answer.shape)
        if not WORLD.holds(self._addresses[name], max(1, len(raw))):
            return 700
        ctypes.memmove(self._addresses[name], raw, len(raw))
        return 0


def _computable(model):
    """The evaluator knows quantizing from operator set 19 on, where it is the same for whole tensors."""
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        for one in model.opset_import:
            one.version = max(19, one.version) if one.domain in ("", "ai.onnx") else one.version
    return model
