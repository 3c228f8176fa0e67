"""What a binding may say to the Edge TPU's library."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`.

    `library` is the path of another libedgetpu, `delegate` goes to it as it is, under its own names (`Performance`,
    `Usb.AlwaysDfu` …); `threads` are for the operators that the compiler left to the CPU.
    """

    library: str = ""
    threads: int | None = None
    delegate: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"must be 1 or more, not {self.threads}")
