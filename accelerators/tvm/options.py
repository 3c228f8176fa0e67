"""What a binding, or whoever compiles, may say to TVM."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`; those up to `linker` are about compiling and count nothing for a compiled library.

    `mcpu` and `mattr` are LLVM's names (`cortex-a72`, `+dotprod`); this machine's own processor unless said, and
    nothing beyond the architecture for another one. One virtual machine for each core is the default: several runs
    share the cores, for untuned code runs in one thread anyway.
    """

    mcpu: str | None = None
    mattr: tuple[str, ...] = ()
    linker: str | None = None
    machines: int | None = None

    def __post_init__(self) -> None:
        if self.machines is not None and self.machines < 1:
            raise ValueError(f"must be 1 or more, not {self.machines}")
