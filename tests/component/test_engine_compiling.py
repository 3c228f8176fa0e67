"""The fleet and models that must be compiled first: artefacts, deadlines, words on the way, processes."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine.catalog import Candidate, Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.engine.compiling import locks, provenance
from edgex_inference.engine.fleet import Fleet, build_for
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.terms import LaneSettings
from edgex_inference.testing import fake_accelerator
from edgex_inference.testing.fake_accelerator import (
    FAKE,
    FAKE_ARTEFACT,
    FAKE_SOURCE,
    control,
    write_model,
)

CATALOG = Catalog(
    [EntryPoint(name="fake", value="edgex_inference.testing.fake_accelerator:PLUGIN", group=GROUP)]
)
CHOICE = AcceleratorChoice(name="fake")
X = {"x": np.ones((1, 4), np.float32)}


def candidate(choice: AcceleratorChoice = CHOICE) -> Candidate:
    return CATALOG.candidates(choice, [FAKE_SOURCE])[0]


def card_of(path: Path, *formats: str) -> ModelCard:
    builds = tuple(Build(path=path, format=one) for one in formats or (FAKE_SOURCE,))  # type: ignore[arg-type]
    return ModelCard(name="m", version="1", task=Task.RAW, folder=path.parent, builds=builds)


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    return card_of(write_model(tmp_path / "m.fake"))


async def opened(fleet: Fleet, card: ModelCard, choice: AcceleratorChoice = CHOICE) -> Lane:
    return (await fleet.acquire(candidate(choice), choice, card))[0]


def entries(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(provenance.FILE))


async def test_a_file_that_must_be_compiled_is_once_and_then_found(tmp_path: Path, card: ModelCard) -> None:
    strings = control(card.builds[0].path)
    for _ in range(2):
        fleet = Fleet(cache=tmp_path / "cache")
        lane = await opened(fleet, card)
        assert (await lane.infer(X))["y"][0, 0] == 3.0
        await fleet.close()
    assert (strings.compiled, strings.loads) == (1, 2)
    assert len(entries(tmp_path / "cache")) == 1


async def test_without_a_cache_it_compiles_at_every_start_and_says_so(
    card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    strings = control(card.builds[0].path)
    for _ in range(2):
        fleet = Fleet()
        lane = await opened(fleet, card)
        assert (await lane.infer(X))["y"][0, 0] == 3.0
        await fleet.close()
    assert strings.compiled == 2
    assert "compiled models are not kept: Inference.CacheDir is not set" in caplog.text


async def test_a_file_that_it_also_reads_is_compiled_only_when_that_was_done_ahead(
    tmp_path: Path, card: ModelCard
) -> None:
    path = card.builds[0].path
    direct, fleet = card_of(path, FAKE), Fleet(cache=tmp_path / "cache")
    await opened(fleet, direct)
    assert control(path).compiled == 0
    await fleet.close()
    from edgex_inference.engine.compiling.artefacts import Artefacts
    from edgex_inference.engine.compiling.orders import order

    request = fleet.request(candidate(), CHOICE, direct, direct.builds[0])
    Artefacts(tmp_path / "cache").get(order(candidate(), request, direct, direct.builds[0])).close()
    (made,) = entries(tmp_path / "cache")
    fleet = Fleet(cache=tmp_path / "cache")
    lane = await opened(fleet, direct)
    assert (await lane.infer(X))["y"][0, 0] == 3.0
    assert control(path).compiled == 1
    next(made.glob("*.beans")).write_text("worms")
    other = await opened(fleet, direct, AcceleratorChoice(name="fake", threads=2))
    assert (await other.infer(X))["y"][0, 0] == 3.0
    assert control(path).compiled == 2
    await fleet.close()


async def test_the_first_file_that_it_reads_as_it_is_wins_over_one_to_be_compiled(tmp_path: Path) -> None:
    source = Build(path=tmp_path / "a", format=FAKE_SOURCE)
    plain, ready = Build(path=tmp_path / "b", format=FAKE), Build(path=tmp_path / "c", format=FAKE_ARTEFACT)
    plugin = fake_accelerator.PLUGIN
    assert build_for(plugin, [source, ready, plain]) is ready
    assert build_for(plugin, [source]) is source
    assert build_for(plugin, []) is None


async def test_an_artefact_in_the_card_is_loaded_as_it_is_and_refused_for_another_device(
    tmp_path: Path, card: ModelCard
) -> None:
    fleet = Fleet(cache=tmp_path / "cache")
    await opened(fleet, card)
    await fleet.close()
    (made,) = entries(tmp_path / "cache")
    ready = card_of(next(made.glob("*.beans")), FAKE_ARTEFACT)
    fleet = Fleet()
    lane = await opened(fleet, ready)
    assert (await lane.infer(X))["y"][0, 0] == 3.0
    with pytest.raises(ModelRejected, match="was made for CPU"):
        await opened(fleet, ready, AcceleratorChoice(name="fake", device="NPU"))
    assert control(card.builds[0].path).compiled == 1
    await fleet.close()


async def test_what_the_runtime_refuses_is_made_again_once(
    tmp_path: Path, card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    strings = control(card.builds[0].path)
    strings.compiling.extend(["stale", "stale"])
    for ends in ("fresh", "once"):
        fleet = Fleet(cache=tmp_path / "cache")
        with pytest.raises(ModelRejected, match="was made for none"):
            await opened(fleet, card)
        await fleet.close()
        assert strings.compiled == {"fresh": 1, "once": 2}[ends]
    fleet = Fleet(cache=tmp_path / "cache")
    lane = await opened(fleet, card)
    assert (await lane.infer(X))["y"][0, 0] == 3.0
    assert strings.compiled == 3
    assert "is of no use (was made for none): it is taken away" in caplog.text
    await fleet.close()


def _until(holds: Callable[[], bool]) -> None:
    """Looks again and again, in a thread."""
    while not holds():
        pass


async def test_compiling_may_take_longer_than_loading_and_says_how_far_it_is(
    tmp_path: Path, card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    strings = control(card.builds[0].path)
    strings.compiling.append("hang")
    fleet = Fleet(cache=tmp_path / "cache", settings=LaneSettings(load_timeout=20.0, compile_timeout=600.0))
    fleet._forge._each = 0.01
    acquiring = asyncio.create_task(fleet.acquire(candidate(), CHOICE, card))
    await asyncio.to_thread(strings.started.wait, 60)
    await asyncio.to_thread(_until, lambda: "counting beans, 25%" in caplog.text)
    (told,) = fleet.compiling
    assert told.startswith("compiling fake:CPU m 1 for ")
    assert told.endswith("s: counting beans, 25%")
    strings.release.set()
    lane, _ = await acquiring
    assert (await lane.infer(X))["y"][0, 0] == 3.0
    assert fleet.compiling == []
    assert "compiled m 1 for fake:CPU in " in caplog.text
    await fleet.close()


async def test_compiling_has_a_deadline_of_its_own_and_what_comes_later_is_found(
    tmp_path: Path, card: ModelCard
) -> None:
    strings = control(card.builds[0].path)
    strings.compiling.append("hang")
    fleet = Fleet(cache=tmp_path / "cache", settings=LaneSettings(compile_timeout=0.05))
    with pytest.raises(AcceleratorUnavailable, match=r"compiling did not end within 0\.05 s; it goes on"):
        await opened(fleet, card)
    assert (fleet.compiling, fleet.lanes) == ([], ())
    strings.release.set()
    fleet = Fleet(cache=tmp_path / "cache")
    lane = await opened(fleet, card)
    assert (await lane.infer(X))["y"][0, 0] == 3.0
    assert strings.compiled == 1
    await fleet.close()


async def test_a_compiler_that_refuses_is_the_models_fault_at_its_line(
    tmp_path: Path, card: ModelCard
) -> None:
    control(card.builds[0].path).compiling.append("broken")
    with pytest.raises(ModelRejected, match=r"m\.fake: the compiler found no beans") as refused:
        await opened(Fleet(cache=tmp_path / "cache"), card)
    assert refused.value.card == ("files", 0, "path")


async def test_a_session_in_use_holds_its_artefact_and_a_lost_one_comes_back_from_it(
    tmp_path: Path, card: ModelCard
) -> None:
    strings = control(card.builds[0].path)
    fleet = Fleet(cache=tmp_path / "cache", most=1, settings=LaneSettings(backoff=0.001, backoff_most=0.001))
    lane = await opened(fleet, card)
    other = card_of(write_model(tmp_path / "other" / "m.fake", scale=5))
    second = await opened(fleet, other, AcceleratorChoice(name="fake", threads=2))
    assert len(entries(tmp_path / "cache")) == 2
    ready = asyncio.Event()
    lane.watchers.add(lambda lane: ready.set() if lane.state == "ready" else None)
    strings.script.append("lose")
    await asyncio.gather(lane.infer(X), return_exceptions=True)
    await ready.wait()
    assert (await lane.infer(X))["y"][0, 0] == 3.0
    assert strings.compiled == 1
    assert locks.take(using(tmp_path, other), alone=True) is None
    await fleet.release(second)
    lock = locks.take(using(tmp_path, other), alone=True)
    assert lock is not None
    lock.close()
    await fleet.close()
    lock = locks.take(using(tmp_path, card), alone=True)
    assert lock is not None
    lock.close()


def using(folder: Path, card: ModelCard) -> Path:
    """The lock of those who use the artefact of this model."""
    source = str(card.builds[0].path)
    (made,) = [one for one in entries(folder / "cache") if source in next(one.glob("*.beans")).read_text()]
    return made.with_name(f"{made.name}.using")


SCRIPT = """
import asyncio, logging, sys
from pathlib import Path
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
sys.path.insert(0, sys.argv[3])
from test_engine_compiling import card_of, opened
from edgex_inference.engine.fleet import Fleet
async def main():
    fleet = Fleet(cache=Path(sys.argv[2]))
    await opened(fleet, card_of(Path(sys.argv[1])))
    await fleet.close()
    print("ready", flush=True)
asyncio.run(main())
"""


class Start:
    """A process that starts the fleet on a model."""

    def __init__(self, model: Path, cache: Path) -> None:
        command = [sys.executable, "-c", SCRIPT, str(model), str(cache), str(Path(__file__).parent)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.said: list[str] = []

    def until(self, words: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if words in line:
                return
        raise AssertionError(f"never said {words!r}: {self.said}")

    def end(self) -> int:
        assert self.process.stdout is not None
        self.process.kill()
        self.process.stdout.close()
        return self.process.wait()


@pytest.fixture
def starts() -> Iterator[list[Start]]:
    found: list[Start] = []
    yield found
    for one in found:
        one.end()


def test_processes_that_start_together_compile_once(tmp_path: Path, starts: list[Start]) -> None:
    gate, diary = tmp_path / "gate", tmp_path / "diary"
    model = write_model(tmp_path / "m" / "m.fake", gate=str(gate), diary=str(diary))
    first = Start(model, tmp_path / "cache")
    starts.append(first)
    first.until("compiling m 1 for fake:CPU")
    others = [Start(model, tmp_path / "cache") for _ in range(2)]
    starts.extend(others)
    for one in others:
        one.until(f"waiting for process {first.process.pid}, which compiles it")
    gate.touch()
    for one in starts:
        one.until("ready")
        assert one.process.wait(60) == 0
    assert diary.read_text().split() == [str(first.process.pid)]


def test_a_process_that_is_killed_while_it_compiles_is_in_nobodys_way(
    tmp_path: Path, starts: list[Start]
) -> None:
    gate, diary = tmp_path / "gate", tmp_path / "diary"
    model = write_model(tmp_path / "m" / "m.fake", gate=str(gate), diary=str(diary))
    first, second = Start(model, tmp_path / "cache"), Start(model, tmp_path / "cache")
    starts.extend((first, second))
    while not (diary.exists() and diary.read_text().endswith("\n")):  # it is there before anything is in it
        assert first.process.poll() is None
    maker = first if diary.read_text().split() == [str(first.process.pid)] else second
    other = second if maker is first else first
    other.until("waiting for process")
    maker.end()
    gate.touch()
    other.until("ready")
    assert other.process.wait(60) == 0
    assert len(diary.read_text().split()) == 2
    left = [one.name for one in (tmp_path / "cache").rglob(".*-*")]
    assert left == []
