"""What a binding may say to Vitis AI's runtime."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`.

    `runners` is how many runs may be in flight: each has a runner of its own, as VART wants it. `mode` is the library
    of the runner that the compiler wrote into the file: `run` is the DPU, `sim` and `ref` are its stand-ins.
    """

    runners: int = 1
    mode: Literal["run", "sim", "ref"] = "run"

    def __post_init__(self) -> None:
        if not 1 <= self.runners <= 64:
            raise ValueError(f"runners must be 1 to 64, not {self.runners}")
