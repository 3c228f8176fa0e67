"""What the double knows and how it misbehaves; its tensors on the wire are tritonclient's own."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor, triton_to_np_dtype

Arrays = Mapping[str, np.ndarray[Any, Any]]
Tensor = tuple[str, str, tuple[int, ...]]
"""Name, datatype, shape; -1 is open."""


@dataclass
class Model:
    """`most` is Triton's max_batch_size; a `broken` one is known and has no version that could be loaded."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    run: Callable[[Arrays], Arrays]
    most: int = 0
    ready: bool = True
    broken: bool = False
    versions: tuple[str, ...] = ("1",)


def workers(number: int = 24) -> ThreadPoolExecutor:
    """Threads that are all there from the start: tests count those of this process."""
    pool, all_there = ThreadPoolExecutor(number), threading.Barrier(number + 1)
    for _ in range(number):
        pool.submit(all_there.wait, 60)
    all_there.wait(60)
    return pool


class Refusal(Exception):
    """An answer that is an error; `code` is HTTP's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Strings:
    """What goes wrong: `script` is used up call by call, then `always` holds; also which calls came with what."""

    script: deque[str] = field(default_factory=deque)
    always: str = "ok"
    token: str = ""
    asked_ready: bool = True
    extensions: tuple[str, ...] = ("binary_tensor_data", "model_configuration")
    release: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0
    calls: int = 0


class Home:
    """The models of a server, and the strings on it."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.models: dict[str, Model] = {}
        self.strings = Strings()
        self._end = end

    def model(self, name: str, version: str) -> Model:
        """Raises Refusal in Triton's words."""
        found = self.models.get(name)
        if found is None:
            raise Refusal(404, f"Request for unknown model: '{name}' is not found")
        if found.broken:
            raise Refusal(400, f"Request for unknown model: '{name}' has no available versions")
        if version and version not in found.versions:
            raise Refusal(400, f"Request for unknown model: '{name}' version {version} is not at ready state")
        return found

    def ready(self, model: Model) -> bool:
        """Whether a model is ready; some servers cannot be asked."""
        if not self.strings.asked_ready:
            raise Refusal(404, "no such path")
        return model.ready

    def next_fault(self) -> str:
        self.strings.calls += 1
        self.strings.begun.set()
        fault = self.strings.script.popleft() if self.strings.script else self.strings.always
        if fault == "hang":
            self.strings.release.wait(60)
        if fault == "die":
            threading.Thread(target=self._end, daemon=True).start()
            self.strings.release.wait(60)
        if fault.isdecimal():
            raise Refusal(int(fault), "told to")
        return fault

    def allow(self, headers: Mapping[str, str]) -> None:
        self.strings.headers.append({name.lower(): value for name, value in headers.items()})
        if self.strings.token and self.strings.headers[-1].get("authorization") != self.strings.token:
            raise Refusal(401, "who are you?")

    def answer(self, model: Model, arrays: Arrays, fault: str) -> list[tuple[str, str, Any]]:
        """Outputs as (name, datatype, array); `fault` spoils them."""
        for name, datatype, shape in model.inputs:
            have = arrays.get(name)
            if have is None or len(have.shape) != len(shape):
                raise Refusal(400, f"input '{name}' is missing, or of another rank")
            if model.most and len(have) > model.most:
                raise Refusal(400, f"inference request batch-size must be <= {model.most}")
            if any(want not in (-1, got) for want, got in zip(shape, have.shape, strict=True)):
                raise Refusal(400, f"unexpected shape for input '{name}': {list(have.shape)}, {datatype}")
        found = model.run(arrays)
        outputs = [(name, datatype, found[name]) for name, datatype, _ in model.outputs]
        if fault == "shape":
            outputs = [(name, datatype, array[..., :-1]) for name, datatype, array in outputs]
        if fault == "other":
            outputs = [(f"not-{name}", datatype, array) for name, datatype, array in outputs]
        if fault == "type":
            outputs = [(name, "FP64", array.astype(np.float64)) for name, _, array in outputs]
        return outputs


def noised(content: bytes, fault: str) -> bytes:
    """A few bytes of an answer changed, told by a seed: `noise-7`."""
    if not fault.startswith("noise-"):
        return content
    rng = np.random.default_rng(int(fault.removeprefix("noise-")))
    spoilt = bytearray(content)
    for at in rng.integers(0, len(spoilt), 3):
        spoilt[at] = int(rng.integers(0, 256))
    return bytes(spoilt)


def to_wire(array: Any, datatype: str) -> bytes:
    if datatype == "BYTES":
        packed = serialize_byte_tensor(array)
        return packed.item() if packed.size else b""
    return np.ascontiguousarray(array, triton_to_np_dtype(datatype)).tobytes()


def from_wire(content: bytes, datatype: str, shape: tuple[int, ...]) -> Any:
    if datatype == "BYTES":
        return deserialize_bytes_tensor(content).reshape(shape)
    return np.frombuffer(content, triton_to_np_dtype(datatype)).reshape(shape)
