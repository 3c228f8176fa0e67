"""A stand-in for VART: a runner computes scale · x + offset; hangs at 1000, fails at 2000, ends badly at 3000."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np


class Tensor:
    def __init__(self, name: str, dims: Sequence[int], dtype: str, fix_point: int | None) -> None:
        self.name, self.dims, self.dtype, self._fix_point = name, list(dims), dtype, fix_point

    def has_attr(self, name: str) -> bool:
        return name == "fix_point" and self._fix_point is not None

    def get_attr(self, name: str) -> int:
        assert self._fix_point is not None
        return self._fix_point


class Runner:
    def __init__(self, program: dict[str, Any]) -> None:
        self._program, self._jobs = program, 0
        self._lock = threading.Lock()

    @staticmethod
    def create_runner(subgraph: Any, mode: str) -> "Runner":
        program = subgraph.program
        if "fingerprint" in program:
            raise RuntimeError(f"fingerprint is not match with the DPU: {program['fingerprint']}")
        if program.get("away"):
            raise RuntimeError("Cannot open /dev/dri/renderD128: No such file or directory")
        return Runner(program)

    def get_input_tensors(self) -> list[Tensor]:
        return [Tensor("x", self._program["shape"], self._program["dtype"], self._program.get("fix_in"))]

    def get_output_tensors(self) -> list[Tensor]:
        return [Tensor("y", self._program["shape"], self._program["dtype"], self._program.get("fix_out"))]

    def execute_async(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[int, int]:
        assert self._lock.acquire(blocking=False), "one run at a time for each runner"
        try:
            (x,), (y,) = inputs, outputs
            most = float(x.max())
            if most == 1000:
                threading.Event().wait()
            if most == 2000:
                raise RuntimeError("DPU timeout: cu_idx=0")
            if most == 3000:
                return 1, 7
            time.sleep(self._program.get("wait", 0) / 1000)
            y[...] = np.asarray(self._program["scale"] * x + self._program["offset"]).astype(y.dtype)
            self._jobs += 1
            return self._jobs, 0
        finally:
            self._lock.release()

    def wait(self, job: tuple[int, int]) -> int:
        return job[1]
