"""What a binding may say to LiteRT."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`.

    One thread a run is the default, and as many interpreters as that leaves cores for: several runs share the cores,
    which gives more answers a second than one run on all of them. Each interpreter has its own packed weights.
    """

    threads: int | None = None
    interpreters: int | None = None
    kernels: Literal["xnnpack", "builtin", "reference"] = "xnnpack"

    def __post_init__(self) -> None:
        for name in ("threads", "interpreters"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"must be 1 or more, not {number}")
