"""The accelerator contract on models of another machine: a server in this process, over REST and over gRPC."""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from accelerators.remote import PLUGIN
from edgex_inference.contracts.accelerator import REMOTE
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind


@pytest.fixture(autouse=True)
def _runtime(needs: Callable[..., None]) -> None:
    needs("urllib3", "grpc", "tritonclient")


@pytest.fixture(scope="module")
def package() -> Any:
    sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
    import open_inference

    return open_inference


def _slow(arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    time.sleep(0.02)
    return {"y": 2 * arrays["x"] + 1}


def _model(package: Any, kind: Kind) -> Any:
    """The model of this kind, as the server has it."""
    rows = {Kind.ANY: -1, Kind.MIXED: -1, Kind.INTEGERS: -1, Kind.TWO: -1, Kind.FIXED: 3}.get(kind, 1)
    rows = -1 if kind in (Kind.OPEN, Kind.TYPES, Kind.TEXTS) else rows
    words = {Kind.INTEGERS: "INT64", Kind.HALVES: "FP16", Kind.SHORTS: "INT16", Kind.WORDS: "UINT16"}
    datatype = words.get(kind, "FP32")
    width = {Kind.INTEGERS: 2, Kind.SUM: 64, Kind.TWO: 3, Kind.TYPES: 3, Kind.OPEN: -1}.get(kind, 4)
    inputs, outputs = [("x", datatype, (rows, width))], [("y", datatype, (rows, width))]
    if kind is Kind.SUM:
        outputs = [("y", "FP32", (1, 1))]
    if kind is Kind.TWO:
        inputs = [(name, "FP32", (rows, width)) for name in ("a", "b")]
        outputs = [(name, "FP32", (rows, width)) for name in ("total", "difference")]
    if kind is Kind.TYPES:
        inputs = [("a", "FP32", (rows, width)), ("n", "INT64", (rows, width))]
        outputs = [("shifted", "FP32", (rows, width)), ("doubled", "INT64", (rows, width))]
    if kind is Kind.TEXTS:
        inputs, outputs = [("x", "BYTES", (rows,))], [("y", "BYTES", (rows,))]
    runs: Mapping[Kind, Callable[..., Mapping[str, Any]]] = {
        Kind.MIXED: lambda a: {"y": 2 * a["x"] + 1 + a["x"].sum(axis=0)},
        Kind.SUM: lambda a: {"y": a["x"] @ np.ones((64, 1), np.float32)},
        Kind.CLAMPED: lambda a: {"y": np.fmin(np.fmax(2 * a["x"] + 1, 0), 6)},
        Kind.OTHER: lambda a: {"y": 3 * a["x"] - 1},
        Kind.TWO: lambda a: {"total": a["a"] + a["b"], "difference": a["a"] - a["b"]},
        Kind.SLOW: _slow,
        Kind.TEXTS: lambda a: {"y": a["x"]},
        Kind.TYPES: lambda a: {"shifted": (a["a"] + a["n"]).astype(np.float32), "doubled": 2 * a["n"]},
    }
    run = runs.get(kind, lambda a: {"y": 2 * a["x"] + 1})
    return package.Model(inputs, outputs, run, broken=kind is Kind.BROKEN)


class RemoteContract(AcceleratorContract):
    """What is common to both transports; a model's path is only a name here."""

    plugin = PLUGIN
    module = "accelerators.remote"
    format = REMOTE
    # BF16 is taken; what is quantized, and how many nodes there are, a server does not say.
    capabilities = frozenset(Capability) - {Capability.QUANTIZED, Capability.COUNTS, Capability.NAMES_TYPES}
    transport: ClassVar[str]
    said: ClassVar[Mapping[str, object]] = {}
    extensions: ClassVar[tuple[str, ...] | None] = None

    @pytest.fixture(autouse=True)
    def _server(self, package: Any) -> Iterator[None]:
        self.server = package.OpenInference(transport=self.transport)
        if self.extensions is not None:
            self.server.strings.extensions = self.extensions
        self.options = {"url": self.server.url, **self.said}  # type: ignore[misc]
        self.package = package
        yield
        self.server.die()

    def test_f32_is_computed_in_f32(self, tmp_path: Path) -> None:
        """A server tells nobody in what it computes, so nothing is claimed."""
        with self._session(Kind.SUM, tmp_path) as session:
            assert session.traits.precision == "native"
            x = np.random.default_rng(7).normal(size=(1, 64)).astype(np.float32)
            assert np.allclose(session.infer({"x": x})["y"], x.sum(dtype=np.float64), atol=1e-4)

    @pytest.mark.parametrize("precision", ["native", "f16", "bf16", "int8"])
    def test_a_precision_is_held_or_refused(self, tmp_path: Path, precision: str) -> None:
        path = self.model(Kind.SUM, tmp_path)
        if precision == "native":
            self._load(path, precision=precision).close()
            return
        with pytest.raises(ModelRejected, match=f"the server's, not {precision}"):
            self._load(path, precision=precision)

    def model(self, kind: Kind, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        plain = Kind.ONE if kind is Kind.OTHER else kind
        path = folder / f"{hashlib.sha256(str(folder / plain.name).encode()).hexdigest()[:12]}.remote"
        path.write_text("")
        self.server.models[path.stem] = _model(self.package, kind)
        return path


class TestRest(RemoteContract):
    vendor = "urllib3"
    transport = "http"


class TestRestWithJson(RemoteContract):
    vendor = "urllib3"
    transport = "http"
    extensions = ()


class TestRestWithGzip(RemoteContract):
    vendor = "urllib3"
    transport = "http"
    said: ClassVar[Mapping[str, object]] = {"compression": "gzip", "parallel": 1}


class TestRpc(RemoteContract):
    vendor = "grpc"
    transport = "grpc"


class TestRpcWithGzip(RemoteContract):
    vendor = "grpc"
    transport = "grpc"
    said: ClassVar[Mapping[str, object]] = {"compression": "gzip", "parallel": 8}
