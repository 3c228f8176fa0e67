"""One run at a time: a context, a stream and memory on both sides of the bus, which nobody else uses meanwhile."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.tensorrt.cuda import OUT_OF_MEMORY, Buffer, Cuda, CudaError
from edgex_inference.contracts.tensors import Array, Tensors, TensorSpec

Shapes = tuple[tuple[int, ...], ...]


class Refused(Exception):
    """TensorRT gave False or None; its own words are with the listener. Stays inside this plug-in."""


class Unfit(Refused):
    """TensorRT does not take inputs of these shapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A deserialized engine with what every slot of it needs; `runtime` is what made it, and must outlive it."""

    trt: ModuleType
    cuda: Cuda
    runtime: Any
    native: Any
    number: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class Slot:
    """Not for two threads at once; `release` gives everything back, and is legal after a failure."""

    def __init__(self, engine: Engine) -> None:
        self._engine, cuda = engine, engine.cuda
        self._context = engine.native.create_execution_context()
        if self._context is None:
            raise Refused("there is no memory for one more context")
        self._stream, self._event = cuda.stream(), cuda.event()
        self._memory = {spec.name: Buffer(cuda) for spec in (*engine.inputs, *engine.outputs)}
        self._grown = _growing(engine.trt, self._memory)
        self._shapes: Shapes | None = None
        self._given: list[tuple[str, Array]] = []
        self._taken: list[tuple[TensorSpec, Array | None]] = []

    def run(self, tensors: Tensors) -> Tensors:
        """Runs once; raises Refused or CudaError."""
        engine, cuda, stream = self._engine, self._engine.cuda, self._stream
        cuda.use(engine.number)
        shapes = tuple(tensors[spec.name].shape for spec in engine.inputs)
        try:
            if shapes != self._shapes:
                self._bind(shapes)
            for name, view in self._given:
                np.copyto(view, tensors[name])
                cuda.upload(self._memory[name], view.nbytes, stream)
            self._grown.shapes.clear()
            if not self._context.execute_async_v3(int(stream)):
                raise Refused("the run was not taken")
            for spec, answer in self._taken:
                if answer is not None:
                    cuda.download(self._memory[spec.name], answer.nbytes, stream)
            cuda.wait(self._event, stream)
            return {spec.name: self._grew(spec) if a is None else a.copy() for spec, a in self._taken}
        except Exception as error:
            self._shapes = None
            self._settle(error)
            raise

    def warm(self, tensors: Tensors) -> None:
        """Runs once where that can be: an engine may not take just any sample."""
        with suppress(Refused):
            self.run(tensors)

    def release(self) -> None:
        """Gives stream and memory back; the context goes with the last reference."""
        cuda = self._engine.cuda
        with suppress(CudaError):
            cuda.use(self._engine.number)
        for buffer in self._memory.values():
            buffer.release()
        cuda.destroy(self._stream, self._event)
        self._context = None

    def _settle(self, error: Exception) -> None:
        """Waits for what a failed run had begun, which may still use the memory; a lost device is what counts then."""
        try:
            self._engine.cuda.settle(self._stream)
        except CudaError as worse:
            if worse.lost and not isinstance(error, CudaError):
                raise worse from error

    def _bind(self, shapes: Shapes) -> None:
        """Tells the context new shapes, and where its tensors lie."""
        context, self._shapes, self._given, self._taken = self._context, None, [], []
        for spec, shape in zip(self._engine.inputs, shapes, strict=True):
            if not context.set_input_shape(spec.name, shape):
                raise Unfit(f"{spec.name} cannot have the shape {list(shape)}")
            self._given.append((spec.name, self._placed(spec, shape)))
        missing = context.infer_shapes()
        if missing:
            raise Refused(f"the shape of {', '.join(missing)} is not known")
        for spec in self._engine.outputs:
            shape = tuple(context.get_tensor_shape(spec.name))
            if any(extent < 0 for extent in shape):
                context.set_output_allocator(spec.name, self._grown)
                self._taken.append((spec, None))
            else:
                self._taken.append((spec, self._placed(spec, shape)))
        self._shapes = shapes

    def _placed(self, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
        """The tensor's memory, large enough and known to the context; a tensor of nothing has an address too."""
        buffer, dtype = self._memory[spec.name], spec.datatype.numpy
        buffer.fit(max(1, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize))
        if not self._context.set_tensor_address(spec.name, buffer.device):
            raise Refused(f"{spec.name} has no address")
        return buffer.view(shape, dtype)

    def _grew(self, spec: TensorSpec) -> Array:
        """An output whose extents only the run itself knows."""
        cuda, buffer, shape = self._engine.cuda, self._memory[spec.name], self._grown.shapes.get(spec.name)
        if shape is None or not buffer.size:
            raise CudaError("cudaMalloc", OUT_OF_MEMORY, "cudaErrorMemoryAllocation", "out of memory")
        view = buffer.view(shape, spec.datatype.numpy)
        cuda.download(buffer, view.nbytes, self._stream)
        cuda.wait(self._event, self._stream)
        return view.copy()


def _growing(trt: ModuleType, memory: dict[str, Buffer]) -> Any:
    """An allocator of outputs: TensorRT asks it during the run for as many bytes as there turn out to be."""

    class Growing(trt.IOutputAllocator):  # type: ignore[misc, name-defined]
        """Called from native code: must not raise."""

        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self.shapes: dict[str, tuple[int, ...]] = {}

        def reallocate_output(self, tensor_name: str, memory_: int, size: int, alignment: int) -> int:
            buffer = memory[tensor_name]
            try:
                buffer.fit(max(1, size))
            except CudaError:
                return 0
            return buffer.device

        def reallocate_output_async(  # the names are TensorRT's
            self, tensor_name: str, memory_: int, size: int, alignment: int, stream: int
        ) -> int:
            return self.reallocate_output(tensor_name, memory_, size, alignment)

        def notify_shape(self, tensor_name: str, shape: Sequence[int]) -> None:
            self.shapes[tensor_name] = tuple(shape)

    return Growing()
