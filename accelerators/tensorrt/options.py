"""What a binding may say to TensorRT."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Extents = tuple[int, ...]
_LEVELS = range(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`; all but `contexts` are for making an engine.

    `library` chooses where both are installed: `auto` is TensorRT, and TensorRT-RTX for GPUs elsewhere. `profiles`
    gives, for each input with open extents, the least, the best and the most shape; for those that it leaves out only
    axis 0 may be open, from 1 to `max_batch` rows, tuned for `best_batch`; where nobody says them,
    both are the binding's `batch`. `workspace` is in MiB. `timing_cache` is a file that several builds
    share: what was timed for one need not be timed for the next.
    """

    library: Literal["auto", "tensorrt", "rtx"] = "auto"
    contexts: int = 2
    max_batch: int | None = None
    best_batch: int | None = None
    profiles: Mapping[str, tuple[Extents, Extents, Extents]] = field(default_factory=dict)
    workspace: int | None = None
    optimization_level: int | None = None
    hardware_compatibility: Literal["none", "ampere", "same"] = "none"
    timing_cache: str = ""

    def __post_init__(self) -> None:
        for name in ("contexts", "max_batch", "best_batch", "workspace"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"must be 1 or more, not {number}")
        if self.optimization_level is not None and self.optimization_level not in _LEVELS:
            raise ValueError(f"must be 0 to 5, not {self.optimization_level}")
        for name, shapes in self.profiles.items():
            least, best, most = shapes
            fits = len(least) == len(best) == len(most) and all(
                1 <= low <= middle <= high for low, middle, high in zip(least, best, most, strict=True)
            )
            if not fits:
                raise ValueError(f"{name} needs three shapes of one length: the least, the best, the most")
