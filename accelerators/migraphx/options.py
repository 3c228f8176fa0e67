"""What a binding may say to MIGraphX."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`.

    `batch` is how many rows a run has where the model leaves them open: MIGraphX compiles for one length, and the
    service fills a run up. `programs` is how many runs may be in flight, each with a program of its own. `library` is
    the path of another libmigraphx_c.
    """

    batch: int = 1
    programs: int = 1
    fast_math: bool = False
    exhaustive_tune: bool = False
    library: str = ""

    def __post_init__(self) -> None:
        for name in ("batch", "programs"):
            if not 1 <= getattr(self, name) <= 4096:
                raise ValueError(f"{name} must be 1 to 4096, not {getattr(self, name)}")
