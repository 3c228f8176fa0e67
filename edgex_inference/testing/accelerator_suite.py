"""What every part of the accelerator's contract suite stands on: the plug-in, its models, loading and checking."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgex_inference.contracts.accelerator import Accelerator, Format, LoadRequest, Session
from edgex_inference.contracts.tensors import Array
from edgex_inference.engine.options import decode
from edgex_inference.testing.kinds import Capability, Kind


class AcceleratorSuite(ABC):
    """A plug-in under test; `cycles` is how often the growth test loads and closes, `growth` the bytes it may cost.

    `quantized` is how far an answer of a file in int8 may be off, in steps of the answer.
    """

    plugin: ClassVar[Accelerator]
    module: ClassVar[str]
    vendor: ClassVar[str | None] = None
    format: ClassVar[Format]
    device: ClassVar[str | None] = None
    options: ClassVar[Mapping[str, object]] = {}
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability)
    tolerance: ClassVar[float] = 1e-5
    quantized: ClassVar[float] = 1.5
    cycles: ClassVar[int] = 20
    growth: ClassVar[int] = 12 << 20

    @abstractmethod
    def model(self, kind: Kind, folder: Path) -> Path:
        """Writes the model of this kind into the folder and gives its path."""

    # Tools

    def _request(self, path: Path, **keys: Any) -> LoadRequest:
        """What is asked of the plug-in; `keys` are fields of the request."""
        asked = {"format": self.format, "device": self.device, "options": decode(self.plugin, self.options)}
        return LoadRequest(path=path, **{**asked, **keys})

    def _ready(self, request: LoadRequest) -> LoadRequest:
        """The request as `load` takes it: what must be compiled is."""
        if request.format not in self.plugin.compiles - self.plugin.formats:
            return request
        assert self.plugin.compile is not None
        usable = request.cache is not None and not request.cache.is_file()  # the service makes the folder
        folder = request.cache if request.cache is not None and usable else request.path.parent / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
        made = self.plugin.compile(replace(request, cache=folder))
        beside = tuple(one.name for one in made.beside)
        return replace(request, path=made.path, format=made.format, beside=beside)

    def _load(
        self,
        path: Path,
        *,
        device: str | None = None,
        format_: Format | None = None,
        cache: Path | None = None,
        **keys: Any,
    ) -> Session:
        assert self.plugin.load is not None
        request = self._request(
            path, device=device or self.device, format=format_ or self.format, cache=cache, **keys
        )
        return self.plugin.load(self._ready(request))

    @contextmanager
    def _session(self, kind: Kind, folder: Path, **keys: Any) -> Iterator[Session]:
        session = self._load(self.model(kind, folder), **keys)
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
