"""The accelerator contract on AWS Neuron's plug-in, over stand-ins of its stack: no chip was at hand."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accelerators.neuron import PLUGIN
from accelerators.neuron import session as neuron
from edgex_inference.contracts.accelerator import NEURON
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind

STAND_INS = Path(__file__).parents[1] / "simulators" / "neuron"


def _written(path: Path, said: dict[str, Any] | None, **program: Any) -> None:
    spec = importlib.util.spec_from_file_location("stand_in_torch", STAND_INS / "torch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path.parent.mkdir(parents=True, exist_ok=True)
    module.write(path, said, **program)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The stand-ins, and a machine with two chips."""
    held = {name: sys.modules.pop(name, None) for name in ("torch", "torch_neuronx")}
    nodes = tmp_path_factory.mktemp("dev")
    for number in range(2):
        (nodes / f"neuron{number}").touch()
    monkeypatch.syspath_prepend(STAND_INS)
    monkeypatch.setattr(neuron, "_NODES", nodes)
    monkeypatch.setattr(neuron, "distribution_version", lambda name: "2.8.0.2.10")
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", "0")
    yield
    for name, module in held.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


class TestNeuron(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.neuron", "torch"
    format = NEURON
    capabilities = frozenset({Capability.FIXED_BATCHES, Capability.REPLACED})

    def model(self, kind: Kind, folder: Path) -> Path:
        path = folder / f"{(Kind.ONE if kind is Kind.OTHER else kind).name.lower()}.pt"
        shape = "FP32[3, 4]" if kind is Kind.FIXED else "FP32[1, 4]"
        says = {Kind.OTHER: {"scale": 3, "offset": -1}, Kind.SLOW: {"wait": 20}}
        _written(path, {"inputs": {"x": shape}, "outputs": {"y": shape}}, **says.get(kind, {}))
        if kind is Kind.BROKEN:
            path.write_bytes(path.read_bytes()[:-40])
        return path
