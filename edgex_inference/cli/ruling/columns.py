"""What a rule can be written on: the readings of a binding's events, and from where on they matter."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgex_inference.bindings.book import Book
from edgex_inference.contracts.bindings import Binding, Output
from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import ModelCard, Task
from edgex_inference.contracts.outputs import find
from edgex_inference.edgex.topics import COMPANION_SUFFIX
from edgex_inference.engine.store import Store

_COUNTS = frozenset(ValueType(f"{sign}{bits}") for sign in ("Uint", "Int") for bits in (8, 16, 32, 64))
_REALS = frozenset((ValueType.FLOAT32, ValueType.FLOAT64))
_DISCRETE = frozenset((ValueType.BOOL, ValueType.STRING, *_COUNTS))
_DECIDED = {Task.DETECTION: "count", Task.REGRESSION: "value", Task.SEGMENTATION: "area"}
_ABOUT_ITSELF = ("latency", "model", "accelerator")
"""Values that say how the result was made and not what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One reading of a binding's events; `matters` is where it is worth an alarm, as the right half of a condition."""

    name: str
    type: ValueType
    matters: str = ""

    @property
    def discrete(self) -> bool:
        return self.type in _DISCRETE

    @property
    def number(self) -> bool:
        return self.type in _COUNTS or self.type in _REALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A binding as rules see it.

    `columns` are its flat readings, those that matter most first; `telemetry` the resources of its devices that hold
    single numbers or truth values. `apart` is what a result's device name has behind that of its source.
    """

    profile: str
    binding: str
    columns: Sequence[Column]
    telemetry: Sequence[str]
    apart: str = ""

    @property
    def companion(self) -> str:
        """The profile name of its events."""
        return self.profile + COMPANION_SUFFIX


def subject(binding: Binding, book: Book, store: Store) -> Subject:
    """A binding as rules see it; what only the model's card knows is missing where the model is not at hand."""
    card = _card(binding, store)
    found = [column for output in binding.outputs if (column := _column(output, binding, card)) is not None]
    kinds = {kind.value.lower() for kind in (ValueType.BOOL, *_COUNTS, *_REALS)}
    resources = book.resources(binding.profile).values()
    return Subject(
        profile=binding.profile,
        binding=binding.name,
        columns=sorted(found, key=_rank),
        telemetry=[one.name for one in resources if one.value_type.lower() in kinds],
        apart=f"-{binding.name}" if binding.publish.as_ == "device" else "",
    )


def _rank(column: Column) -> int:
    """States before limits before counts before the rest."""
    if not column.matters:
        return 3
    return 0 if column.type is ValueType.BOOL else (2 if column.matters == "> 0" else 1)


def _card(binding: Binding, store: Store) -> ModelCard | None:
    if binding.model is None:
        return None
    try:
        return store.find(binding.model.name, binding.model.version)
    except SetupError:
        return None


def _column(output: Output, binding: Binding, card: ModelCard | None) -> Column | None:
    """None for what rules cannot read as one value, or whose type is not known without the model."""
    task = binding.model.task if binding.model is not None else None
    task = task or (card.task if card is not None else None)
    known = find(task, output.value)
    kind = output.type or (known.type if known is not None else None)
    if kind is None or output.value in _ABOUT_ITSELF:
        return None
    if kind not in _DISCRETE and kind not in _REALS:
        return None
    return Column(name=output.name, type=kind, matters=_matters(output, kind, binding, task, card))


def _matters(
    output: Output, kind: ValueType, binding: Binding, task: Task | None, card: ModelCard | None
) -> str:
    if kind is ValueType.BOOL:
        return "= true"
    if output.value == _decided(binding, task):
        limit = binding.decide.raise_at if binding.decide is not None else None
        if limit is None and card is not None and card.score is not None:
            limit = card.score.limit
        if limit is not None:
            return f">= {limit:g}"
    return "> 0" if output.value.partition(".")[0] == "count" else ""


def _decided(binding: Binding, task: Task | None) -> str:
    said = binding.decide.value if binding.decide is not None else None
    return said or (_DECIDED.get(task, "score") if task is not None else "score")
