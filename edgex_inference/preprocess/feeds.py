"""Which readings feed which input of a model: found at load, so that no message can surprise."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from edgex_inference.contracts.bindings import Binding, InputReading, Resource
from edgex_inference.contracts.errors import ModelRejected, Steps
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import ImageInput, InputCard, NumbersInput
from edgex_inference.contracts.tensors import TensorSpec
from edgex_inference.contracts.values import value_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One reading of a binding; `declared` is None where no profile says what the resource is."""

    reading: InputReading
    declared: Resource | None = None

    @property
    def resource(self) -> str:
        """The resource's name."""
        return self.reading.resource

    @property
    def kind(self) -> ValueType | None:
        """The declared value type, None when unknown."""
        try:
            return None if self.declared is None else value_type(self.declared.value_type)
        except ValueError:
            return None

    def __str__(self) -> str:
        return self.reading.resource + (f" at {self.reading.pointer}" if self.reading.pointer else "")

    def is_called(self, name: str) -> bool:
        """Whether a card's name means this reading: its resource, its field, or both."""
        pointer = self.reading.pointer
        if not pointer:
            return self.resource == name
        field = pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        return name in (field, self.resource + pointer)


def rejected(
    binding: Binding, entry: InputCard | None, reason: str, *, card: Steps = (), block: Steps = ()
) -> ModelRejected:
    """The error of this room at load: it names the model and the input, and the key that mends it.

    `card` are the steps below the input's entry of the card; without any key the binding's `inputs` are meant.
    """
    model = binding.model.name if binding.model is not None else binding.name
    if entry is not None and card:
        card = ("inputs", entry.name, *card)
    elif entry is not None:
        reason = f"input {entry.name}: {reason}"
    return ModelRejected(model, reason, card=card, block=block or (() if card else ("inputs",)))


def assign(
    binding: Binding, inputs: Sequence[InputCard], resources: Mapping[str, Resource]
) -> tuple[tuple[Feed, ...], ...]:
    """The feeds of each input of the card, in the order of their elements.

    One input takes all readings of the binding, in the order of the card's `names` where it has some. Of several, each
    takes the readings of its `names`, else the one called like the input; pictures take the Binary readings left, and a
    last one without names takes the rest. Where a binding's own `inputs` are as many as the names and none of them is
    called like one, they are taken in their own order. A binding without `inputs` whose card has names: the block's
    resource when it is an array, fields of it when it is an Object, else the resources of these names. Raises
    ModelRejected.
    """
    offered = _offered(binding, inputs, resources)
    for feed in offered:
        if resources and feed.resource not in resources:
            known = ", ".join(sorted(resources))
            raise rejected(
                binding, None, f"profile {binding.profile} has no resource {feed.resource} (it has {known})"
            )
    if len(inputs) == 1:
        return (_only(binding, inputs[0], offered),)
    return _shared(binding, inputs, offered)


def _offered(
    binding: Binding, inputs: Sequence[InputCard], resources: Mapping[str, Resource]
) -> tuple[Feed, ...]:
    readings: Iterable[InputReading] = binding.readings
    names = _names(inputs)
    if not binding.inputs and len(names) > 1:
        block = Feed(reading=binding.readings[0], declared=resources.get(binding.resource))
        if block.kind in (ValueType.OBJECT, ValueType.OBJECT_ARRAY):
            readings = (InputReading(resource=binding.resource, pointer=_pointer(name)) for name in names)
        elif binding.resource in names or len(inputs) > 1 or not _may_be_many(block):
            readings = (InputReading(resource=name) for name in names)
    return tuple(Feed(reading=reading, declared=resources.get(reading.resource)) for reading in readings)


def _names(inputs: Sequence[InputCard]) -> tuple[str, ...]:
    return tuple(name for entry in inputs if isinstance(entry, NumbersInput) for name in entry.names)


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _may_be_many(feed: Feed) -> bool:
    """Whether one reading may hold several numbers, so that the card's names are those of its elements."""
    kind = feed.kind
    return kind is None or kind.is_array or kind in (
        ValueType.BINARY, ValueType.OBJECT, ValueType.OBJECT_ARRAY
    )  # fmt: skip


def _only(binding: Binding, entry: InputCard, offered: tuple[Feed, ...]) -> tuple[Feed, ...]:
    if isinstance(entry, ImageInput):
        if len(offered) != 1:
            named = ", ".join(str(feed) for feed in offered)
            raise rejected(
                binding, entry, f"one picture is needed, the binding names {len(offered)} readings ({named})"
            )
        return offered
    if not entry.names or len(offered) == len(entry.names) == 1:
        return offered
    if len(offered) == 1 and _may_be_many(offered[0]):
        return offered
    if _are_foreign(binding, offered, entry.names):
        return offered
    feeds = _by_names(binding, entry, offered)
    _refuse_leftovers(binding, offered, feeds)
    return feeds


def _are_foreign(binding: Binding, offered: Sequence[Feed], names: Sequence[str]) -> bool:
    """Whether readings that a binding lists have names of their own throughout: then their order says what they are."""
    called = any(feed.is_called(name) for feed in offered for name in names)
    return bool(binding.inputs) and len(offered) == len(names) and not called


def _shared(
    binding: Binding, inputs: Sequence[InputCard], offered: tuple[Feed, ...]
) -> tuple[tuple[Feed, ...], ...]:
    found: dict[str, tuple[Feed, ...]] = {}
    left = list(offered)

    def take(entry: InputCard, feeds: Iterable[Feed]) -> None:
        found[entry.name] = tuple(feeds)
        left[:] = [feed for feed in left if feed not in found[entry.name]]

    if all(isinstance(entry, NumbersInput) and entry.names for entry in inputs) and _are_foreign(
        binding, offered, _names(inputs)
    ):
        rest = iter(offered)
        return tuple(tuple(islice(rest, len(_names([entry])))) for entry in inputs)
    for entry in inputs:
        if isinstance(entry, NumbersInput) and entry.names:
            take(entry, _by_names(binding, entry, offered))
    for entry in inputs:
        if entry.name not in found and (called := _called(entry, left)):
            take(entry, called)
    for entry in inputs:
        if entry.name not in found and isinstance(entry, ImageInput):
            take(entry, [feed for feed in left if feed.kind in (None, ValueType.BINARY)][:1])
    open_ = [entry for entry in inputs if entry.name not in found]
    if len(open_) == 1:
        take(open_[0], left)
    for entry in inputs:
        if not found.get(entry.name):
            reason = "no reading feeds it; say `names` in the model card, or add the reading to `inputs`"
            raise rejected(binding, entry, reason)
    _refuse_leftovers(binding, offered, [feed for feeds in found.values() for feed in feeds])
    return tuple(found[entry.name] for entry in inputs)


def _called(entry: InputCard, left: Sequence[Feed]) -> list[Feed]:
    called = (entry.name, entry.tensor)
    return [feed for feed in left if any(name and feed.is_called(name) for name in called)]


def _by_names(binding: Binding, entry: NumbersInput, offered: tuple[Feed, ...]) -> tuple[Feed, ...]:
    feeds = []
    for name in entry.names:
        called = [feed for feed in offered if feed.is_called(name)]
        if len(called) != 1:
            names = ", ".join(str(feed) for feed in offered)
            reason = f"{len(called)} readings are called {name}" if called else f"no reading is called {name}"
            reason += f" (the binding names {names}; the card's names are {', '.join(entry.names)})"
            ways = "name it in `inputs` of the binding"
            if not called:
                ways += ", or use none of the card's names: as many readings are then taken in their order"
            raise rejected(binding, entry, f"{reason}; {ways}")
        feeds.append(called[0])
    return tuple(feeds)


def _refuse_leftovers(binding: Binding, offered: Sequence[Feed], used: Sequence[Feed]) -> None:
    unused = [str(feed) for feed in offered if feed not in used]
    if unused:
        reason = f"the model has no input for {', '.join(unused)}; take it out of `inputs`"
        raise rejected(binding, None, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One input of the session, what feeds it, and whether its axis 0 is a batch axis."""

    binding: Binding
    spec: TensorSpec
    feeds: tuple[Feed, ...]
    batched: bool
    keep: bool = False
    """whether the real values are kept beside the tensor"""

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The declared shape without the batch axis."""
        return self.spec.shape[1:] if self.batched else self.spec.shape
