"""All loaded sessions: bindings with the same model on the same device share one lane; the last one out closes it."""

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgex_inference.config.places import listed
from edgex_inference.config.schema import DeviceLimits
from edgex_inference.contracts.accelerator import Accelerator, LoadRequest, Session
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.engine.cards.complete import complete
from edgex_inference.engine.cards.extents import extents_of
from edgex_inference.engine.catalog import Candidate
from edgex_inference.engine.compiling.artefacts import MOST, Artefacts
from edgex_inference.engine.compiling.forge import Forge
from edgex_inference.engine.files import mark
from edgex_inference.engine.isolated import session as isolated
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.loading import Job, Loading
from edgex_inference.engine.options import decode
from edgex_inference.engine.room import Place, Room, place_of
from edgex_inference.engine.terms import LaneSettings

Load = Callable[[LoadRequest], Session]


def _no_secret(_name: str) -> Mapping[str, str]:
    return {}


@dataclass(slots=True, eq=False)
class _Berth:
    """A lane, how many use it, and the loading that all of them wait for."""

    key: Hashable
    lane: Lane
    loading: "asyncio.Task[Session]"
    load: Loading
    place: Place | None = None
    users: int = 0


class Fleet:
    """Lanes by model file, accelerator, device, precision, batch and options; reference counted.

    `cache` is the folder for compiled models, `most` the bytes of them that are kept there, `threads` the number
    inside a run where nobody says one, `limits` what the models on a device may take, `secrets` gives the values of a
    secret by its SecretName.
    """

    def __init__(
        self,
        *,
        cache: Path | None = None,
        most: int = MOST,
        threads: int | None = None,
        settings: LaneSettings | None = None,
        limits: Mapping[str, DeviceLimits] | None = None,
        secrets: Callable[[str], Mapping[str, str]] = _no_secret,
    ) -> None:
        self._cache, self._threads, self._settings, self._secrets = cache, threads, settings, secrets
        self._room = Room(limits or {})
        self._artefacts = Artefacts(cache, most=most)
        self._forge = Forge(deadline=(settings or LaneSettings()).compile_timeout)
        self._berths: dict[Hashable, _Berth] = {}

    @property
    def threads(self) -> int | None:
        """The number inside a run where nobody says one."""
        return self._threads

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that are in use."""
        return tuple(berth.lane for berth in self._berths.values())

    @property
    def compiling(self) -> Sequence[str]:
        """What is being compiled and how far it is, in words."""
        return self._forge.busy

    async def acquire(
        self, candidate: Candidate, choice: AcceleratorChoice, card: ModelCard
    ) -> tuple[Lane, Build]:
        """A lane with the first file of the model that the accelerator reads, and what its tensors mean.

        Loads the model unless it is loaded already; each success needs one `release`. Raises ModelRejected or
        AcceleratorUnavailable.
        """
        build = build_for(candidate.accelerator, card.builds, choice.precision or card.precision)
        if build is None:
            have = listed(sorted({one.format for one in card.builds}), last="and")
            reads = listed(sorted(candidate.accelerator.readable), last="and")
            raise ModelRejected(
                card.name, f"has files of format {have}; {candidate.accelerator.name} reads {reads}"
            )
        request = await asyncio.to_thread(self.request, candidate, choice, card, build)
        key = (_key(candidate, request), _isolation(candidate, choice))
        limited = self._room.limited(candidate)
        place = await asyncio.to_thread(place_of, candidate, card, build) if limited else None
        berth = self._berths.get(key)
        if berth is None or berth.lane.state == "closed":
            job = Job(candidate=candidate, request=request, card=card, build=build)
            load = Loading(job, self._loader(candidate, choice), self._artefacts)
            if place is not None:
                self._room.enter(key, candidate, place)
            berth = self._berth(key, f"{candidate} {card.name} {card.version}", load, choice.batch)
            berth.place = place
        berth.users += 1
        try:
            session = await asyncio.shield(berth.loading)
            return berth.lane, complete(card, build, session)
        except BaseException:
            await self._leave(berth)
            raise

    async def release(self, lane: Lane) -> None:
        """Gives a lane back; with its last user it drains and closes. Releasing once too often does nothing."""
        berth = next((one for one in self._berths.values() if one.lane is lane), None)
        if berth is not None:
            await self._leave(berth)

    async def close(self, *, drain: float = 0.0) -> None:
        """Closes every lane; what waits gets `drain` seconds."""
        berths, self._berths = list(self._berths.values()), {}
        for berth in berths:
            berth.loading.cancel()
        await asyncio.gather(*(berth.lane.close(drain=drain) for berth in berths))
        for berth in berths:
            berth.load.close()

    def request(
        self, candidate: Candidate, choice: AcceleratorChoice, card: ModelCard, build: Build
    ) -> LoadRequest:
        """How a plug-in is asked to load, or to compile, a file of a model; may read the file's head, and blocks.

        Of a quantized file int8 needs no asking: what it leaves in floating point is f32.
        """
        precision = choice.precision or card.precision or "f32"
        own = next(iter(candidate.accelerator.formats)) if candidate.accelerator.fileless else build.format
        return LoadRequest(
            path=build.path,
            format=own,
            device=candidate.device,
            options=decode(candidate.accelerator, choice.options),
            threads=choice.threads or self._threads,
            precision="f32" if build.precision == precision == "int8" else precision,
            shapes=extents_of(build),
            batch=choice.batch,
            cache=self._cache,
            name=card.name,
        )

    def _loader(self, candidate: Candidate, choice: AcceleratorChoice) -> Load:
        """The plug-in's own `load`, or that of a worker process."""
        load = candidate.accelerator.load
        if load is None:
            raise AcceleratorUnavailable(candidate.accelerator.name, candidate.accelerator.declared)
        if _isolation(candidate, choice) != "none":
            deadline = (self._settings or LaneSettings()).load_timeout
            load = partial(isolated.load, candidate.value, str(candidate), deadline=deadline)
        return partial(self._with_secret, load)

    def _with_secret(self, load: Load, request: LoadRequest) -> Session:
        """Looked up at each opening: it may have come, or be another one, since."""
        name = getattr(request.options, "secret", "")
        return load(replace(request, secret=self._secrets(name)) if name else request)

    def _berth(self, key: Hashable, name: str, load: Loading, rows: int | None) -> _Berth:
        lane = Lane(name, load, settings=replace(self._settings or LaneSettings(), rows=rows))
        loading = asyncio.create_task(self._load(lane, load), name=f"loading {lane.name}")
        loading.add_done_callback(_seen)
        berth = self._berths[key] = _Berth(key=key, lane=lane, loading=loading, load=load)
        return berth

    async def _load(self, lane: Lane, load: Loading) -> Session:
        """Compiles first where that is due: it may take longer than a lane waits for its session."""
        if load.compiles:
            await self._forge.work(lane.name, load.prepare)
        return await lane.open()

    async def _leave(self, berth: _Berth) -> None:
        berth.users -= 1
        if berth.users > 0:
            return
        if self._berths.get(berth.key) is berth:
            del self._berths[berth.key]
        berth.loading.cancel()
        try:
            await berth.lane.close(drain=1.0)
        finally:
            self._room.leave(berth.key, berth.place)
            berth.load.close()


def _isolation(candidate: Candidate, choice: AcceleratorChoice) -> str:
    return choice.isolation or candidate.accelerator.isolation


def _seen(loading: "asyncio.Task[Session]") -> None:
    """Takes note of a failure, so that nobody is blamed for not having looked when all who waited were cancelled."""
    if not loading.cancelled():
        loading.exception()


def _key(candidate: Candidate, request: LoadRequest) -> Hashable:
    """What makes two sessions the same; a model of which a file was replaced is another one."""
    path = request.path.resolve()
    return (
        candidate.accelerator.name,
        candidate.device,
        path,
        mark(path),
        request.precision,
        request.threads,
        request.batch,
        tuple(request.shapes.items()),
        repr(request.options),
    )


def build_for(
    accelerator: Accelerator, builds: Sequence[Build], precision: str | None = None
) -> Build | None:
    """The first file that it reads as it is, else the first that it can compile; None where there is neither.

    Who reads no file at all is given the first.

    Where int8 is asked for, quantized files come first; where not, last.
    """
    ordered = sorted(builds, key=lambda one: (one.precision == "int8") != (precision == "int8"))
    direct = (one for one in ordered if one.format in accelerator.formats)
    found = next(direct, None) or next((one for one in ordered if one.format in accelerator.readable), None)
    return next(iter(ordered), None) if found is None and accelerator.fileless else found
