"""All loaded sessions: bindings with the same model on the same device share one lane; the last one out closes it."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgex_inference.config.places import listed
from edgex_inference.contracts.accelerator import LoadRequest, Session
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.engine.cards.complete import complete
from edgex_inference.engine.catalog import Candidate
from edgex_inference.engine.files import companions, is_inside, mark
from edgex_inference.engine.isolated import session as isolated
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.options import decode
from edgex_inference.engine.store import verify
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
    users: int = 0


class Fleet:
    """Lanes by model file, accelerator, device, precision and options; reference counted.

    `cache` is the folder for compiled models, `threads` the number inside a run where nobody says one, `secrets` gives
    the values of a secret by its SecretName.
    """

    def __init__(
        self,
        *,
        cache: Path | None = None,
        threads: int | None = None,
        settings: LaneSettings | None = None,
        secrets: Callable[[str], Mapping[str, str]] = _no_secret,
    ) -> None:
        self._cache, self._threads, self._settings, self._secrets = cache, threads, settings, secrets
        self._berths: dict[Hashable, _Berth] = {}

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that are in use."""
        return tuple(berth.lane for berth in self._berths.values())

    async def acquire(
        self, candidate: Candidate, choice: AcceleratorChoice, card: ModelCard
    ) -> tuple[Lane, Build]:
        """A lane with the first file of the model that the accelerator reads, and what its tensors mean.

        Loads the model unless it is loaded already; each success needs one `release`. Raises ModelRejected or
        AcceleratorUnavailable.
        """
        picked = candidate.accelerator.pick([one.format for one in card.builds])
        if picked is None:
            have = listed(sorted({one.format for one in card.builds}), last="and")
            reads = listed(sorted(candidate.accelerator.formats), last="and")
            raise ModelRejected(
                card.name, f"has files of format {have}; {candidate.accelerator.name} reads {reads}"
            )
        build = card.builds[picked]
        request = self._request(candidate, choice, card, build)
        key = (_key(candidate, request), _isolation(candidate, choice))
        berth = self._berths.get(key)
        if berth is None or berth.lane.state == "closed":
            load = self._loader(candidate, choice)
            berth = self._berth(key, candidate, request, load, (card, build))
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

    def _request(
        self, candidate: Candidate, choice: AcceleratorChoice, card: ModelCard, build: Build
    ) -> LoadRequest:
        (own, *_) = candidate.accelerator.formats
        return LoadRequest(
            path=build.path,
            format=own if candidate.accelerator.fileless else build.format,
            device=candidate.device,
            options=decode(candidate.accelerator, choice.options),
            threads=choice.threads or self._threads,
            precision=choice.precision or card.precision or "f32",
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

    def _berth(
        self,
        key: Hashable,
        candidate: Candidate,
        request: LoadRequest,
        load: Load,
        model: tuple[ModelCard, Build],
    ) -> _Berth:
        card, build = model

        def opened() -> Session:
            candidate.check()
            if candidate.accelerator.fileless:
                return load(request)
            verify(card, build)
            try:
                return load(replace(request, beside=_beside(build)))
            except ModelRejected as error:
                raise _named(error, card, build) from error

        lane = Lane(f"{candidate} {card.name} {card.version}", opened, settings=self._settings)
        loading = asyncio.create_task(lane.open(), name=f"loading {lane.name}")
        loading.add_done_callback(_seen)
        berth = self._berths[key] = _Berth(key=key, lane=lane, loading=loading)
        return berth

    async def _leave(self, berth: _Berth) -> None:
        berth.users -= 1
        if berth.users > 0:
            return
        if self._berths.get(berth.key) is berth:
            del self._berths[berth.key]
        berth.loading.cancel()
        await berth.lane.close(drain=1.0)


def _isolation(candidate: Candidate, choice: AcceleratorChoice) -> str:
    return choice.isolation or candidate.accelerator.isolation


def _beside(build: Build) -> tuple[str, ...]:
    """The weights that the graph names, of those that are a part of the model."""
    try:
        return tuple(name for name in companions(build.path, build.format) if is_inside(name))
    except OSError:  # for the runtime to say
        return ()


def _named(error: ModelRejected, card: ModelCard, build: Build) -> ModelRejected:
    """The refusal of a file in the name of its model, at the card's line that names the file."""
    reason = f"{build.path.name}: {error.reason}"
    return ModelRejected(card.name, reason, card=("files", card.builds.index(build), "path"))


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
        repr(request.options),
    )
