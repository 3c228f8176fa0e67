"""The bindings of a book, each drawn once as the service would, answering events one by one."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgex_inference.bindings.book import Book
from edgex_inference.bindings.files import read
from edgex_inference.cli.trying.given import InputError, Wanted
from edgex_inference.config.flags import Flags
from edgex_inference.config.load import load
from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.bindings import AcceleratorChoice, Binding, Resource
from edgex_inference.contracts.errors import SetupError
from edgex_inference.opening import dialect_of, open_engine
from edgex_inference.pipeline.planning.plan import Engine, draw
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.trial import Trial

MADE_UP = "try"
"""The device of pictures and rows, where nobody names one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asked for; `binding` is a name, or `profile/name` where several profiles have it."""

    profile: Path
    binding: str
    device: str = ""
    accelerator: str = ""
    models: Path | None = None


@dataclass(slots=True)
class Attempts:
    """Open while in use: `trial` gives what answers a device's events, drawn once for equal bindings."""

    wish: Wish
    book: Book
    profile: str
    name: str
    engine: Engine
    sender: Sender
    _drawn: dict[int, Trial] = field(default_factory=dict)

    @property
    def resources(self) -> Mapping[str, Resource]:
        """What the profile declares."""
        return self.book.resources(self.profile)

    async def trial(self, device: str) -> Trial:
        """The binding as this device has it; raises SetupError when it cannot run."""
        binding = self._binding(device)
        found = self._drawn.get(id(binding))
        if found is None:
            plan = await draw(_on(binding, self.wish.accelerator), self.engine, self.book)
            found = self._drawn[id(binding)] = Trial(plan, self.sender)
        return found

    async def wanted(self) -> Wanted:
        """What the inputs must bring."""
        device = self.wish.device or MADE_UP
        plan = (await self.trial(device)).plan
        return Wanted(
            binding=plan.binding,
            resources=plan.preprocess.resources,
            declared=self.resources,
            device=device,
            forced=bool(self.wish.device),
        )

    def _binding(self, device: str) -> Binding:
        match = self.book.look_up(self.profile, device)
        for binding in match.bindings:
            if binding.name == self.name:
                if binding.unsupported:
                    keys = ", ".join(binding.unsupported)
                    raise SetupError(f"binding {self.name} cannot run: {keys} is not yet supported")
                return binding
        reasons = [one.reason for one in match.rejected if one.binding == self.name]
        raise SetupError(reasons[0] if reasons else f"device {device} has no binding {self.name}")


@asynccontextmanager
async def opened(wish: Wish) -> AsyncIterator[Attempts]:
    """Reads the profile, opens the engine, no bus; raises SetupError, InputError when nothing can be read."""
    book = Book(read([wish.profile]))
    if book.unreadable or not book.documents:
        found = [problem.message for problem in book.problems] or ["has no YAML or JSON file"]
        raise InputError(f"{wish.profile}: {found[0]}")
    profile, name = _named(book, wish)
    loaded = load(Flags(models=str(wish.models.absolute()) if wish.models else ""))
    sender = Sender(service_key=loaded.service_key, dialect=dialect_of(loaded))
    engine = open_engine(loaded)
    try:
        yield Attempts(wish=wish, book=book, profile=profile, name=name, engine=engine, sender=sender)
    finally:
        await engine.fleet.close()


def _named(book: Book, wish: Wish) -> tuple[str, str]:
    """The profile and the name of the binding that a person means."""
    own, _, name = wish.binding.rpartition("/")
    known = dict.fromkeys(_known(book, wish))
    found = [one for one in known if one[1] == name and own in ("", one[0])]
    if len(found) == 1:
        return found[0]
    if found:
        ways = listed(f"{profile}/{one}" for profile, one in found)
        raise SetupError(f"{wish.profile}: several profiles have a binding {name}: write {ways}")
    names = [one for _, one in known]
    if not names:
        mistakes = "\n".join(str(one) for one in book.problems)
        raise SetupError(mistakes or f"{wish.profile}: has no inference block")
    hint = suggest(name, names) or f"; it has {', '.join(names)}"
    raise SetupError(f"{wish.profile}: there is no binding {wish.binding!r}{hint}")


def _known(book: Book, wish: Wish) -> Iterable[tuple[str, str]]:
    yield from ((binding.profile, binding.name) for binding in book.bindings)
    yield from ((rejected.profile, rejected.binding) for rejected in book.rejected)
    devices = [book.devices[wish.device]] if wish.device in book.devices else []
    for profile in (*book.profiles, *(device.profile for device in devices)):
        for binding in book.match(profile, wish.device) if wish.device else ():
            yield profile, binding.name


def _on(binding: Binding, accelerator: str) -> Binding:
    """The binding on the accelerator that the command line names, without a fallback."""
    if not accelerator:
        return binding
    name, _, device = accelerator.partition(":")
    return replace(binding, accelerator=(AcceleratorChoice(name=name, device=device or None),))
