"""The room's one entry: a binding, a card and a session become the function from event to sample."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from edgex_inference.contracts.bindings import Binding, Resource
from edgex_inference.contracts.errors import DecodeError, SetupError
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.models import ImageInput, InputCard, NumbersInput
from edgex_inference.contracts.results import Sample, Stack
from edgex_inference.contracts.tensors import TensorSpec
from edgex_inference.preprocess.feeds import Slot, assign, rejected
from edgex_inference.preprocess.numbers import NumbersStep, Prepared, numbers_step
from edgex_inference.preprocess.readings import pick

_origin_of = attrgetter("origin")

Prepare = Callable[[str, Mapping[str, Reading]], Prepared]
"""device name and the wanted readings → one tensor"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Fills one input of the model: its name on the card, its tensor, and how."""

    name: str
    tensor: str
    prepare: Prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """Event → Sample; pure and safe to call from several threads.

    `pixels`: it decodes pictures (milliseconds), so run it where that stalls nobody. `resources`: the readings needed.
    """

    steps: tuple[Step, ...]
    resources: frozenset[str]
    pixels: bool

    def __call__(self, event: Event) -> Sample:
        """The tensors as the session declares them, a batch axis of length 1.

        Raises DecodeError, its `reason` one of missing, duplicate, null, parse, type, field, length, nan, range, empty,
        media, bomb, truncated, picture.
        """
        readings = pick(event, self.resources)
        tensors, numbers, geometry = {}, {}, None
        for step in self.steps:
            tensors[step.tensor], kept, placed = step.prepare(event.device_name, readings)
            geometry = geometry or placed
            if kept is not None:
                numbers[step.name] = kept
        origin = max(reading.origin for reading in readings.values()) or event.origin
        return Sample(tensors=tensors, geometry=geometry, origin=origin, numbers=numbers or None)

    def many(self, events: Sequence[Event]) -> Sequence[Sample | DecodeError]:
        """The samples of a burst, or for each event what is wrong with it alone."""
        stack = self.stacked(events) if len(events) > 1 else None
        return [self._tried(event) for event in events] if stack is None else stack.samples()

    def stacked(self, events: Sequence[Event]) -> Stack | None:
        """The samples of a burst as one; None where something about them is unusual, and for pictures."""
        step = self.steps[0]
        numbers = step.prepare if isinstance(step.prepare, NumbersStep) and len(self.steps) == 1 else None
        found = numbers.many(events) if numbers is not None else None
        if found is None:
            return None
        tensors, kept = found
        return Stack(
            tensors={step.tensor: tensors},
            origins=[max(map(_origin_of, event.readings)) or event.origin for event in events],
            numbers=None if kept is None else {step.name: kept},
        )

    def _tried(self, event: Event) -> Sample | DecodeError:
        try:
            return self(event)
        except DecodeError as error:
            return error

    def check_bytes(self, binding: Binding, stated: Sequence[InputCard]) -> None:
        """Raises ModelRejected where neither the profile nor the card itself (`stated`) says what bytes mean."""
        known = {entry.name: entry for entry in stated if isinstance(entry, NumbersInput)}
        for step in self.steps:
            entry = known.get(step.name)
            if not isinstance(step.prepare, NumbersStep) or (entry and entry.dtype and entry.shape):
                continue
            for resource in step.prepare.untyped:
                reason = (
                    f"input {step.name}: resource {resource} is Binary, and nothing says of which numbers: declare "
                    "its mediaType as application/octet-stream; dtype=float32, or dtype and shape in the card"
                )
                raise rejected(binding, None, reason)


def build(
    binding: Binding,
    inputs: Sequence[InputCard],
    specs: Sequence[TensorSpec],
    resources: Mapping[str, Resource],
    *,
    batched: bool,
    max_pixels: int = 64_000_000,
    keep_numbers: bool = False,
) -> Preprocess:
    """What turns the events of a binding into samples of a session with the inputs `specs`.

    `inputs` are the card's; `resources` the profile's by name, empty where no profile is at hand; `batched` says that
    axis 0 of the session's inputs is a batch axis; a picture of more than `max_pixels` is refused before it is decoded;
    `keep_numbers` keeps the real-valued inputs in `Sample.numbers`. Raises ModelRejected for what can never fit, and
    SetupError when the picture libraries are not installed.
    """
    if not inputs:
        raise rejected(binding, None, "the model card describes no input")
    found = [_spec(binding, entry, inputs, specs) for entry in inputs]
    unfed = [str(spec) for spec in specs if spec not in found]
    if unfed:
        raise rejected(binding, None, f"the model card describes no input for {', '.join(unfed)}")
    pixels = any(isinstance(entry, ImageInput) for entry in inputs)
    if binding.roi is not None and not pixels:
        raise rejected(binding, None, "the model takes no picture: remove it", block=("roi",))
    feeds = assign(binding, inputs, resources)
    steps = []
    for entry, spec, fed in zip(inputs, found, feeds, strict=True):
        slot = Slot(binding=binding, spec=spec, feeds=fed, batched=batched, keep=keep_numbers)
        prepare = _prepare(entry, slot, max_pixels)
        steps.append(Step(name=entry.name, tensor=spec.name, prepare=prepare))
    return Preprocess(
        steps=tuple(steps),
        resources=frozenset(feed.resource for fed in feeds for feed in fed),
        pixels=pixels,
    )


def _prepare(entry: InputCard, slot: Slot, max_pixels: int) -> Prepare:
    if isinstance(entry, NumbersInput):
        return numbers_step(entry, slot)
    try:
        from edgex_inference.preprocess.picture import picture_step
    except ImportError as error:
        raise SetupError(
            f"binding {slot.binding.name}: input {entry.name} takes pictures, and {error.name or error} is missing: "
            'pip install "edgex-inference[images]"'
        ) from error
    return picture_step(entry, slot, max_pixels)


def _spec(
    binding: Binding, entry: InputCard, inputs: Sequence[InputCard], specs: Sequence[TensorSpec]
) -> TensorSpec:
    """The session's input that an entry of the card describes."""
    wanted = entry.tensor or entry.name
    for spec in specs:
        if spec.name == wanted:
            break
    else:
        if entry.tensor is not None or len(inputs) > 1 or len(specs) > 1 or not specs:
            has = ", ".join(str(spec) for spec in specs)
            reason = f"the model has no input {wanted} (it has {has}); say `tensor: <name in the file>`"
            raise rejected(binding, entry, reason, card=("tensor",))
        spec = specs[0]
    if entry.dtype is not None and entry.dtype is not spec.datatype:
        reason = f"the card says {entry.dtype}, the model declares {spec}"
        raise rejected(binding, entry, reason, card=("dtype",))
    return spec
