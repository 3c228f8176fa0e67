"""Orders for the fake accelerator's compiler, and what comes of them."""

from importlib.metadata import EntryPoint
from pathlib import Path

from edgex_inference.contracts.accelerator import LoadRequest
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.engine.compiling.artefacts import Artefacts, Held
from edgex_inference.engine.compiling.orders import Order, order
from edgex_inference.testing.fake_accelerator import FAKE_SOURCE, FakeOptions

CATALOG = Catalog(
    [EntryPoint(name="fake", value="edgex_inference.testing.fake_accelerator:PLUGIN", group=GROUP)]
)


def ordered(path: Path, device: str = "CPU", name: str = "m", **changes: object) -> Order:
    choice = AcceleratorChoice(name="fake", device=device)
    (candidate,) = CATALOG.candidates(choice, [FAKE_SOURCE])
    build = Build(path=path, format=FAKE_SOURCE)
    card = ModelCard(name=name, version="1", task=Task.RAW, folder=path.parent, builds=(build,))
    keys = {"options": FakeOptions(), **changes}
    request = LoadRequest(path=path, format=FAKE_SOURCE, device=device, **keys)  # type: ignore[arg-type]
    return order(candidate, request, card, build)


def got(store: Artefacts, wanted: Order, **keys: bool) -> Held:
    held = store.get(wanted, **keys)
    held.close()
    return held
