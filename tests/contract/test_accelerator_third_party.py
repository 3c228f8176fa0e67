"""The accelerator contract on a plug-in that lives in a package of its own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "third_party_accelerator"))

from acme_accelerator import PLUGIN

from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind


class TestAcme(AcceleratorContract):
    plugin = PLUGIN
    module = "acme_accelerator"
    format = next(iter(PLUGIN.formats))
    capabilities = frozenset({Capability.BATCHES})

    def model(self, kind: Kind, folder: Path) -> Path:
        path = folder / f"{kind.name}.acme"
        path.write_text("garbage" if kind is Kind.BROKEN else "2 1 any" if kind is Kind.ANY else "2 1 1")
        return path
