"""The accelerator contract on Vitis AI's plug-in, over stand-ins of XIR and VART: no DPU was at hand."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accelerators.vitisai import PLUGIN
from edgex_inference.contracts.accelerator import XMODEL
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind
from tests.simulators import xmodels

STAND_INS = Path(__file__).parents[1] / "simulators" / "vitisai"


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(STAND_INS)
    yield
    for name in ("vart", "xir"):
        sys.modules.pop(name, None)


class TestVitisAi(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.vitisai", "vart"
    format = XMODEL
    capabilities = frozenset({Capability.FIXED_BATCHES, Capability.REPLACED})

    def model(self, kind: Kind, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{(Kind.ONE if kind is Kind.OTHER else kind).name.lower()}.xmodel"
        says = {
            Kind.OTHER: {"scale": 3, "offset": -1},
            Kind.SLOW: {"wait": 20},
            Kind.FIXED: {"shape": [3, 4]},
        }
        xmodels.write(path, **says.get(kind, {}))
        if kind is Kind.BROKEN:
            path.write_bytes(path.read_bytes()[:-40] + b"\xff" * 7)
        return path
