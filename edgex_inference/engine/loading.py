"""How a lane gets its session: the device looked for, the files compared, compiled where need be, and loaded."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from edgex_inference.contracts.accelerator import LoadRequest, Session
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.engine.catalog import Candidate
from edgex_inference.engine.compiling.artefacts import Artefacts, Held
from edgex_inference.engine.compiling.orders import Order, order
from edgex_inference.engine.files import companions, is_inside
from edgex_inference.engine.formats.mishaps import instead
from edgex_inference.engine.store import verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be loaded where: one file of a model, and how the plug-in is asked for it."""

    candidate: Candidate
    request: LoadRequest
    card: ModelCard
    build: Build


class Loading:
    """Loads one file of a model as often as a lane asks; everything here blocks, and belongs into a thread.

    Files that the plug-in cannot run as they are get compiled; others are loaded as an artefact where one was made
    ahead. The artefact in use is held until `close`.
    """

    def __init__(self, job: Job, load: Callable[[LoadRequest], Session], artefacts: Artefacts) -> None:
        self._job, self._load, self._artefacts = job, load, artefacts
        self._lock = threading.Lock()
        self._held: Held | None = None
        self._new = ""
        self._closed = False

    @property
    def compiles(self) -> bool:
        """Whether the file must be compiled before it can be loaded."""
        accelerator = self._job.candidate.accelerator
        return not accelerator.fileless and self._job.build.format not in accelerator.formats

    def prepare(self, progress: Callable[[float | None, str], None]) -> None:
        """Makes the artefact, unless it is there; raises ModelRejected or AcceleratorUnavailable."""
        self._look()
        try:
            wanted = self._order()
            held = self._artefacts.get(wanted, progress)
            self._new = wanted.key if held.fresh else ""
            self._keep(held)
        except ModelRejected as error:
            raise self._named(error) from error

    def __call__(self) -> Session:
        """The session; raises ModelRejected or AcceleratorUnavailable."""
        self._look()
        if self._job.candidate.accelerator.fileless:
            return self._load(self._job.request)
        try:
            wanted = self._wanted()
            if wanted is None:
                return self._load(replace(self._job.request, beside=self._beside()))
            return self._of_artefact(wanted)
        except ModelRejected as error:
            raise self._named(error) from error

    def close(self) -> None:
        """Lets go of the artefact; legal more than once."""
        self._closed = True
        self._keep(None)

    def _look(self) -> None:
        self._job.candidate.check()
        if not self._job.candidate.accelerator.fileless:
            verify(self._job.card, self._job.build)

    def _wanted(self) -> Order | None:
        """The artefact that the session is to come from; None where the file is loaded as it is."""
        if self.compiles:
            return self._order()
        accelerator = self._job.candidate.accelerator
        if accelerator.compile is None or self._job.build.format not in accelerator.compiles:
            return None
        wanted = self._order() if self._artefacts.keeps(accelerator.name) else None
        return wanted if wanted is not None and self._artefacts.has(wanted) else None

    def _of_artefact(self, wanted: Order) -> Session:
        """Loads the artefact; one that was not made just now, and that the runtime refuses, is made again once."""
        held = self._temporary() or self._artefacts.get(wanted)
        self._keep(held)
        new, self._new = self._new, ""
        try:
            return self._load(held.request(self._job.request))
        except ModelRejected as error:
            if held.fresh or new == wanted.key:
                raise
            self._artefacts.discard(wanted, error.reason)
        held = self._artefacts.get(wanted)
        self._keep(held)
        return self._load(held.request(self._job.request))

    def _temporary(self) -> Held | None:
        """What `prepare` made for this process alone: asked for again, it would be made again."""
        held = self._held
        return held if held is not None and held.temporary is not None and held.sound else None

    def _keep(self, held: Held | None) -> None:
        with self._lock:
            before, self._held = self._held, held
            if self._closed and held is not None:
                self._held = None
                held.close()
        if before is not None and before is not held:
            before.close()

    def _order(self) -> Order:
        try:
            request = replace(self._job.request, beside=self._beside())
            return order(self._job.candidate, request, self._job.card, self._job.build)
        except OSError as error:
            reason = f"{self._job.build.path.name} cannot be read: {error.strerror or error}"
            raise ModelRejected(self._job.card.name, reason) from error

    def _beside(self) -> tuple[str, ...]:
        """The weights that the graph names, of those that are a part of the model."""
        build = self._job.build
        try:
            return tuple(name for name in companions(build.path, build.format) if is_inside(name))
        except OSError:  # for the runtime to say
            return ()

    def _named(self, error: ModelRejected) -> ModelRejected:
        """The refusal of a file in the name of its model, at the card's line that names the file."""
        build = self._job.build
        reason = f"{build.path.name}: {instead(build.path, build.format) or error.reason}"
        index = self._job.card.builds.index(self._job.build)
        return ModelRejected(self._job.card.name, reason, card=("files", index, "path"))
