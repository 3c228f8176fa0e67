"""A model that does not load in time, for a command that takes whoever reads it."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edgex_inference.cli.models.loading import open_anywhere
from edgex_inference.contracts.accelerator import LoadRequest, Session
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine.catalog import Candidate, Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.engine.store import Store
from edgex_inference.engine.terms import LaneSettings
from edgex_inference.pipeline.planning.plan import Engine
from edgex_inference.testing.fake_accelerator import FAKE, PLUGIN, load, write_model


class _Given(Catalog):
    """Two candidates: one that never ends loading, and one that has no difficulty."""

    def __init__(self, first: str, never: threading.Event) -> None:
        super().__init__([])
        self._first, self._never = first, never

    def candidates(self, *_: object, **__: object) -> Sequence[Candidate]:
        slow = Candidate(
            accelerator=replace(PLUGIN, name="slow", load=self._hang), device=self._first, check=bool
        )
        return slow, Candidate(accelerator=PLUGIN, device="CPU", check=bool)

    def _hang(self, request: LoadRequest) -> Session:
        self._never.wait(60)
        return load(replace(request, device="CPU"))


@pytest.fixture
def never() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def given(tmp_path: Path, first: str, never: threading.Event) -> tuple[Engine, ModelCard]:
    build = Build(path=write_model(tmp_path / "m.fake"), format=FAKE)
    card = ModelCard(name="m", version="1", task=Task.RAW, folder=tmp_path, builds=(build,))
    fleet = Fleet(settings=LaneSettings(load_timeout=0.5))
    return Engine(catalog=_Given(first, never), store=Store([tmp_path]), fleet=fleet), card


async def test_what_a_processor_does_not_load_in_time_nobody_else_is_asked_for(
    tmp_path: Path, never: threading.Event
) -> None:
    engine, card = given(tmp_path, "CPU", never)
    with pytest.raises(
        ModelRejected, match=r"^model 'm': loading did not end within 0\.5 s on slow:CPU"
    ) as caught:
        await open_anywhere(engine, card)
    assert "a first run included: look for" in caught.value.reason
    never.set()
    await engine.fleet.close()


async def test_a_device_that_hangs_is_passed_over(tmp_path: Path, never: threading.Event) -> None:
    engine, card = given(tmp_path, "GPU", never)
    opened = await open_anywhere(engine, card)
    assert str(opened.candidate) == "fake:CPU"
    never.set()
    await engine.fleet.close()
