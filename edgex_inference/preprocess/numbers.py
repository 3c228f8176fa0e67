"""Numbers and texts become one tensor: joined, shaped, normalized, encoded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan, prod
from operator import attrgetter

import msgspec
import numpy as np

from edgex_inference.contracts.bindings import InputReading
from edgex_inference.contracts.errors import DecodeError
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.models import Normalize, NumbersInput
from edgex_inference.contracts.results import Geometry
from edgex_inference.contracts.tensors import Array, Datatype, Quantization
from edgex_inference.preprocess import raw
from edgex_inference.preprocess.elements import Elements, Unfit, normalized
from edgex_inference.preprocess.feeds import Feed, Slot, rejected
from edgex_inference.preprocess.readings import numbers_of, texts_of

Shape = tuple[int | None, ...]
Prepared = tuple[Array, Array | None, Geometry | None]
"""a tensor, its real values before encoding where they are kept, and where a picture lies in its source"""

_FLOATS = frozenset(("Float32", "Float64"))
_name_of, _type_of, _value_of = attrgetter("resource_name"), attrgetter("value_type"), attrgetter("value")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersStep:
    """Fills one input from numbers or texts; `shape` is without the batch axis, None is an open extent."""

    name: str
    tensor: str
    feeds: tuple[Feed, ...]
    shape: Shape
    batched: bool
    elements: Elements
    normalize: Normalize | None = None
    keep: bool = False
    plain: tuple[str, ...] = ()
    """the resources in order, when each is wanted whole and as it is"""

    @property
    def untyped(self) -> tuple[str, ...]:
        """The Binary resources whose profile does not say of which element type the bytes are."""
        return tuple(
            feed.resource
            for feed in self.feeds
            if feed.kind is ValueType.BINARY and not feed.reading.pointer and feed.declared is not None
            and raw.declared(feed.declared.media_type, "").dtype is None
        )  # fmt: skip

    def __call__(self, device: str, readings: Mapping[str, Reading]) -> Prepared:
        """The tensor of one sample; raises DecodeError."""
        parts = self._parts(device, readings)
        try:
            joined = _in_shape(join(parts), self.shape)
        except Unfit as error:
            names = ", ".join(str(feed) for feed in self.feeds)
            raise DecodeError(device, names, f"input {self.name}: {error}", reason=error.reason) from None
        try:
            return self._finished(joined)
        except Unfit as error:
            culprit = self._culprit(parts, error.at)
            raise DecodeError(device, str(culprit), error.detail, reason=error.reason) from None

    def many(self, events: Sequence[Event]) -> tuple[Array, Array | None] | None:
        """The tensor of a burst and its real values where they are kept, both [events, …]; None: try one by one.

        For events that are nothing but the wanted readings in their order, each a float as text, as sensors are.
        """
        if not (self.plain and self.batched):
            return None
        texts: list[str | int | float | bool | None] = []
        for event in events:
            readings = event.readings
            if tuple(map(_name_of, readings)) != self.plain or not _FLOATS.issuperset(
                map(_type_of, readings)
            ):
                return None
            texts += map(_value_of, readings)
        try:
            shape, _ = fitted((len(self.plain),), self.shape)
            flat = msgspec.convert(texts, list[float], strict=False)
            numbers = np.array(flat).reshape(len(events), *shape)
            if self.normalize is not None:
                numbers = normalized(numbers, self.normalize, rows=1)
            return self.elements.encode(numbers), numbers.astype(np.float32) if self.keep else None
        except (msgspec.ValidationError, Unfit):
            return None

    def _parts(self, device: str, readings: Mapping[str, Reading]) -> Sequence[Array | float]:
        floats = self._all_floats(readings)
        if floats is not None:
            return floats
        parts: list[Array | float] = []
        for feed in self.feeds:
            try:
                parts.append(self._part(readings[feed.resource], feed))
            except Unfit as error:
                raise DecodeError(device, str(feed), error.detail, reason=error.reason) from None
        return parts

    def _part(self, reading: Reading, feed: Feed) -> Array | float:
        if self.elements.datatype is Datatype.BYTES:
            return texts_of(reading, feed)
        quantized = self.elements.quantization is not None
        default = np.dtype("<f4") if quantized else self.elements.datatype.numpy.newbyteorder("<")
        try:
            return numbers_of(reading, feed, default)
        except Unfit as error:
            if self.elements.nan and error.missing:
                return nan
            raise

    def _all_floats(self, readings: Mapping[str, Reading]) -> list[float] | None:
        """Many float texts at once, a tenth of the cost of one by one; None: the slow way finds out why."""
        texts = []
        for resource in self.plain:
            reading = readings[resource]
            if reading.value_type not in _FLOATS:
                return None
            texts.append(reading.value)
        if not texts:
            return None
        try:
            return msgspec.convert(texts, list[float], strict=False)
        except msgspec.ValidationError:
            return None

    def _finished(self, numbers: Array) -> Prepared:
        if self.elements.datatype is Datatype.BYTES:
            return (numbers[None] if self.batched else numbers), None, None
        if self.normalize is not None:
            numbers = normalized(numbers, self.normalize)
        tensor = self.elements.encode(numbers)
        kept = numbers.astype(np.float32) if self.keep else None
        if not self.batched:
            return tensor, kept, None
        return tensor[None], None if kept is None else kept[None], None

    def _culprit(self, parts: Sequence[Array | float], at: int) -> Feed:
        """The feed that the element `at` of the finished tensor came from."""
        owners = [np.full(np.shape(part), i) for i, part in enumerate(parts)]
        return self.feeds[int(_in_shape(join(owners), self.shape).flat[at])]


def join(parts: Sequence[Array | float]) -> Array:
    """n scalars → [n], one array as it is, n arrays of equal shape → [n, …], scalars among arrays → flat.

    Raises Unfit (`length`) for arrays of different lengths.
    """
    if np.ndarray not in set(map(type, parts)):
        numbers = np.array(parts)
        return numbers if numbers.dtype.kind in "iufb" else numbers.astype(np.float64)
    arrays = [np.asarray(part) for part in parts]
    if len(arrays) == 1:
        return arrays[0] if arrays[0].ndim else arrays[0].reshape(1)
    shapes = [array.shape for array in arrays]
    if all(shape == shapes[0] for shape in shapes):
        return np.stack(arrays)
    if () in shapes:
        return np.concatenate([array.ravel() for array in arrays])
    lengths = ", ".join(str(array.size) for array in arrays)
    raise Unfit("length", f"arrays of different lengths ({lengths}) make no tensor")


def fitted(have: tuple[int, ...], want: Shape) -> tuple[tuple[int, ...], bool]:
    """The shape that an array of shape `have` takes to be a `want`, and whether it is turned over first.

    Turned over: [n, L] for a model that wants [L, n], extents of 1 aside. Raises Unfit (`length`) when it cannot fit.
    """
    if len(have) == len(want) and all(w in (None, h) for h, w in zip(have, want, strict=True)):
        return have, False
    core = tuple(extent for extent in want if extent != 1)
    turned = len(have) == len(core) == 2 and core[0] in (None, have[1]) and core[1] in (None, have[0])
    if turned and not all(w in (None, h) for h, w in zip(have, core, strict=True)):
        have_turned = iter(have[::-1])
        return tuple(1 if extent == 1 else next(have_turned) for extent in want), True
    known = prod(extent for extent in want if extent is not None)
    count, unknown = prod(have), want.count(None)
    if count == known and unknown == 0:
        return tuple(extent or 0 for extent in want), False
    if unknown == 1 and known and count % known == 0:
        return tuple(count // known if extent is None else extent for extent in want), False
    raise Unfit("length", f"{count} numbers of shape {said(have)}, the model takes {said(want)}")


def said(shape: Shape) -> str:
    """A shape as a person reads it: [?, 4]."""
    return "[" + ", ".join("?" if extent is None else str(extent) for extent in shape) + "]"


def _in_shape(numbers: Array, want: Shape) -> Array:
    if numbers.shape == want:
        return numbers
    shape, turned = fitted(numbers.shape, want)
    return (numbers.T if turned else numbers).reshape(shape)


def numbers_step(entry: NumbersInput, slot: Slot) -> NumbersStep:
    """The step for this input; raises ModelRejected for what can never fit."""
    binding = slot.binding
    normalize = binding.normalize or entry.normalize
    texts = slot.spec.datatype is Datatype.BYTES
    plain = not texts and all(feed.reading == InputReading(resource=feed.resource) for feed in slot.feeds)
    step = NumbersStep(
        name=entry.name,
        tensor=slot.spec.name,
        feeds=slot.feeds,
        shape=_target(entry, slot),
        batched=slot.batched,
        elements=_elements(entry, slot),
        normalize=normalize,
        keep=slot.keep,
        plain=tuple(feed.resource for feed in slot.feeds) if plain else (),
    )
    for feed in slot.feeds:
        _check_type(feed, entry, slot, texts)
    if normalize is not None and not texts:
        _check_normalize(normalize, entry, slot, step.shape)
    _check_count(entry, slot, step.shape)
    return step


def _elements(entry: NumbersInput, slot: Slot) -> Elements:
    allowed = entry.nan == "allow"
    if allowed and slot.spec.datatype.numpy.kind != "f":
        reason = f"whole numbers have no NaN, and the model declares {slot.spec}"
        raise rejected(slot.binding, entry, reason, card=("nan",))
    quantization = _quantization(entry, slot)
    return Elements(datatype=slot.spec.datatype, quantization=quantization, nan=allowed)


def _quantization(entry: NumbersInput, slot: Slot) -> Quantization | None:
    found = entry.quantization if slot.spec.datatype.numpy.kind in "iu" else None
    if found is not None and not found.scale > 0:
        reason = f"quantization scale {found.scale} is not above 0"
        raise rejected(slot.binding, entry, reason, card=("quantization",))
    return found


def _target(entry: NumbersInput, slot: Slot) -> Shape:
    """The declared shape, its open extents closed by the card's."""
    declared, card = slot.shape, entry.shape
    if card is None:
        return declared
    if len(card) == len(declared) and all(d in (None, c) for d, c in zip(declared, card, strict=True)):
        return card
    if None not in declared and len(card) != len(declared) and prod(card) == prod(d or 0 for d in declared):
        return declared
    raise rejected(
        slot.binding, entry,
        f"the card says shape {said(card)}, the model declares {slot.spec}"
        f"{' with the batch axis' if slot.batched else ''}",
        card=("shape",),
    )  # fmt: skip


def _check_type(feed: Feed, entry: NumbersInput, slot: Slot, texts: bool) -> None:
    kind = feed.kind
    if kind is None or feed.reading.pointer:
        return
    if texts != (kind in (ValueType.STRING, ValueType.STRING_ARRAY)) and kind is not ValueType.OBJECT_ARRAY:
        needed = "String or StringArray" if texts else "numbers"
        reason = f"resource {feed.resource} is {kind}, the model's {slot.spec} needs {needed}"
        raise rejected(slot.binding, entry, f"{reason}; name another resource in `inputs`")
    if kind is ValueType.OBJECT:
        reason = f"resource {feed.resource} is an Object; say which field, e.g. field: /x"
        raise rejected(slot.binding, entry, reason)
    if kind is ValueType.BINARY and feed.declared is not None:
        essence = feed.declared.media_type.partition(";")[0].strip()
        if essence.lower().startswith("image/"):
            reason = (
                f"resource {feed.resource} is a picture ({essence}), the model's {slot.spec} needs numbers"
            )
            raise rejected(slot.binding, entry, f"{reason}; name another resource in `inputs`")


def _check_normalize(normalize: Normalize, entry: NumbersInput, slot: Slot, shape: Shape) -> None:
    if 0 in normalize.std or not all(map(isfinite, normalize.mean + normalize.std)):
        reason = "std of 0, or a number that is not finite"
        raise rejected(slot.binding, entry, reason, card=("normalize",), block=("normalize",))
    closed = [extent for extent in shape if extent is not None]
    try:
        if len(closed) == len(shape):
            normalized(np.zeros(closed), normalize)
    except Unfit as error:
        reason = f"{error}; give one value, or as many as the last axis has"
        raise rejected(slot.binding, entry, reason, card=("normalize",), block=("normalize",)) from None


def _check_count(entry: NumbersInput, slot: Slot, shape: Shape) -> None:
    """What the declared resources give, as far as their types tell, must have a way into the tensor."""
    known = [_declared_shape(feed, entry, slot) for feed in slot.feeds]
    shapes = [extents for extents in known if extents is not None]
    arrays = all(
        feed.kind is not None and feed.kind.is_array and not feed.reading.pointer for feed in slot.feeds
    )
    room = prod(extent or 0 for extent in shape) if None not in shape else None
    try:
        if len(shapes) == len(known):
            have = join([np.zeros(extents) for extents in shapes]).shape
            fitted(have, shape)
        elif room is not None and (len(known) > room or (arrays and room % len(known))):
            raise Unfit("length", f"{len(known)} readings, the model takes {said(shape)}")
    except Unfit as error:
        feeds = ", ".join(str(feed) for feed in slot.feeds)
        reason = f"{error} (the model declares {slot.spec}, the binding gives {feeds})"
        raise rejected(slot.binding, entry, f"{reason}; change `inputs` of the binding") from None


def _declared_shape(feed: Feed, entry: NumbersInput, slot: Slot) -> tuple[int, ...] | None:
    kind = feed.kind
    if kind is None or kind.is_array or feed.reading.pointer:
        return None
    if kind is not ValueType.BINARY or feed.declared is None:
        return None if kind is ValueType.OBJECT_ARRAY else ()
    try:
        return raw.declared(feed.declared.media_type, "").shape
    except ValueError as error:
        raise rejected(slot.binding, entry, f"resource {feed.resource}: {error}") from None
