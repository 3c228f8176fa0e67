"""From a number to a state with hysteresis: a pure step for each result."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgex_inference.contracts.bindings import Decide
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import ModelCard, Task
from edgex_inference.contracts.outputs import find
from edgex_inference.contracts.results import Result
from edgex_inference.postprocess.prospect import Prospect
from edgex_inference.postprocess.values import compiled

_VALUES = {Task.DETECTION: "count", Task.REGRESSION: "value", Task.SEGMENTATION: "area"}
_COUNTABLE = frozenset((ValueType.FLOAT32, ValueType.UINT16, ValueType.INT32, ValueType.BOOL))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideState:
    """One device's state, and how many results in a row speak for the other one."""

    active: bool = False
    streak: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A binding's `decide` with every default filled in; `raise_at` None only beside `unknown_below`."""

    value: str
    raise_at: float | None
    clear_below: float | None
    raise_after: int = 1
    clear_after: int = 1
    unknown_below: float | None = None


def resolve(decide: Decide | None, card: ModelCard, prospect: Prospect, *, state: bool = False) -> Resolved:
    """The thresholds that hold: `value` is the task's own number, `clear` equals `raise`, both counts are 1.

    For an anomaly `raise` is the card's `score.limit`; an isolation forest without one has 0, its border. `state`
    says that an output wants the state, for which `raise` must be known. Raises ModelRejected, also for a value that
    the model, given its `prospect`, never gives.
    """
    said, task = decide or Decide(), card.task
    value = said.value or _VALUES.get(task, "score")
    if task is Task.RAW and said.value is None:
        reason = "is missing: name the tensor to decide on, like scores.0"
        raise ModelRejected(card.name, reason, block=("decide", "value"))
    _check(value, card, prospect)
    raise_at = said.raise_at if said.raise_at is not None else _limit(value, card)
    if raise_at is None and (state or said.unknown_below is None):
        reason = (
            "is missing: neither the binding nor the card's score.limit says from where on the state is true"
        )
        raise ModelRejected(card.name, reason, block=("decide", "raise"))
    clear_below = said.clear_below if said.clear_below is not None else raise_at
    if raise_at is not None and clear_below is not None and clear_below > raise_at:
        reason = f"{clear_below:g} is above decide.raise {raise_at:g}"
        raise ModelRejected(card.name, reason, block=("decide", "clear"))
    return Resolved(
        value=value,
        raise_at=raise_at,
        clear_below=clear_below,
        raise_after=max(1, said.raise_after),
        clear_after=max(1, said.clear_after),
        unknown_below=said.unknown_below,
    )


def value_of(result: Result, decide: Resolved) -> float | None:
    """The number that is decided on; None where the result has none."""
    return reader(type(result), decide)(result)


def reader(result: type[Result], decide: Resolved) -> Callable[[Result], float | None]:
    """`value_of` for results of one type."""
    value_of = compiled(result, decide.value, ValueType.FLOAT32)

    def read(result: Result) -> float | None:
        value = value_of(result)
        return float(value) if isinstance(value, (bool, int, float)) else None

    return read


def step(state: DecideState, value: float | None, decide: Resolved) -> tuple[DecideState, bool]:
    """The state after one more result, and whether it is true.

    True after `raise_after` results in a row that are at least `raise_at`, false after `clear_after` in a row below
    `clear_below`. A value that is missing or no number leaves everything as it was: it ends no row.
    """
    if decide.raise_at is None or decide.clear_below is None or value is None or value != value:
        return state, state.active
    against = value < decide.clear_below if state.active else value >= decide.raise_at
    if not against:
        return (replace(state, streak=0) if state.streak else state), state.active
    streak = state.streak + 1
    if streak < (decide.clear_after if state.active else decide.raise_after):
        return replace(state, streak=streak), state.active
    return DecideState(active=not state.active), not state.active


def _check(value: str, card: ModelCard, prospect: Prospect) -> None:
    known = find(card.task, value)
    whole = known is None or known.whole
    reason = "" if whole else prospect.objection(card.task, value)
    if not reason:
        kinds = () if known is None else (known.type,) if known.type else prospect.raw(value)[1]
        if not _COUNTABLE & set(kinds):
            reason = f"{value!r} is no number that task {card.task} gives"
    if reason:
        raise ModelRejected(card.name, reason, block=("decide", "value"))


def _limit(value: str, card: ModelCard) -> float | None:
    if card.task is not Task.ANOMALY or value != "score":
        return None
    if card.score is not None and card.score.limit is not None:
        return card.score.limit
    return 0.0 if any(build.decoder == "isolation-forest" for build in card.builds) else None
