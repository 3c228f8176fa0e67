"""What every part of the accelerator's contract suite stands on: the plug-in, its models, loading and checking."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from edgex_inference.contracts.accelerator import Accelerator, Format, LoadRequest, Session
from edgex_inference.contracts.tensors import Array
from edgex_inference.engine.options import decode
from edgex_inference.testing.kinds import Capability, Kind


class AcceleratorSuite(ABC):
    """A plug-in under test; `cycles` is how often the growth test loads and closes, `growth` the bytes it may cost."""

    plugin: ClassVar[Accelerator]
    module: ClassVar[str]
    vendor: ClassVar[str | None] = None
    format: ClassVar[Format]
    device: ClassVar[str | None] = None
    options: ClassVar[Mapping[str, object]] = {}
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability)
    tolerance: ClassVar[float] = 1e-5
    cycles: ClassVar[int] = 20
    growth: ClassVar[int] = 12 << 20

    @abstractmethod
    def model(self, kind: Kind, folder: Path) -> Path:
        """Writes the model of this kind into the folder and gives its path."""

    # Tools

    def _load(
        self,
        path: Path,
        *,
        device: str | None = None,
        format_: Format | None = None,
        cache: Path | None = None,
    ) -> Session:
        assert self.plugin.load is not None
        request = LoadRequest(
            path=path,
            format=format_ or self.format,
            device=device or self.device,
            options=decode(self.plugin, self.options),
            cache=cache,
        )
        if request.format in self.plugin.compiles - self.plugin.formats:
            assert self.plugin.compile is not None
            usable = (
                cache is not None and not cache.is_file()
            )  # the service makes the folder that it compiles into
            folder = cache if cache is not None and usable else path.parent / "compiled"
            made = self.plugin.compile(replace(request, cache=folder))
            request = replace(request, path=made.path, format=made.format)
        return self.plugin.load(request)

    @contextmanager
    def _session(self, kind: Kind, folder: Path) -> Iterator[Session]:
        session = self._load(self.model(kind, folder))
        try:
            yield session
        finally:
            session.close()

    def _check_affine(self, session: Session, x: Array) -> None:
        y = session.infer({"x": x})["y"]
        assert y.dtype == np.float32
        assert y.shape == x.shape
        assert np.allclose(y, 2 * x + 1, atol=self.tolerance)


def numbers(rows: int, seed: int) -> Array:
    """Normal random numbers [rows, 4]."""
    return np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)
