"""The results of a whole burst as messages in one go, where nothing about them is unusual."""

from collections.abc import Callable, Sequence
from functools import partial

from edgex_inference.contracts.events import Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.results import Result
from edgex_inference.edgex import forms, ids, values
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.forms import Form, escaped
from edgex_inference.pipeline.intake import Item
from edgex_inference.pipeline.planning.plan import Plan
from edgex_inference.pipeline.publishing import outputs
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.publishing.outputs import Column
from edgex_inference.pipeline.state import DeviceState
from edgex_inference.postprocess import decide
from edgex_inference.postprocess import values as result_values

_OBJECTS = (ValueType.OBJECT, ValueType.OBJECT_ARRAY, ValueType.BINARY)
_REALS = (ValueType.FLOAT32, ValueType.FLOAT64)
_TEXTS = (ValueType.STRING, ValueType.STRING_ARRAY)

_MOST_PLACES = 16_384
"""Devices whose topic is kept at hand."""

Texts = Sequence[str] | None
"""A column of a burst as it stands in JSON; None where a value is missing or does not fit."""

Writer = Callable[[Sequence[Result], Sequence[float]], Texts]
"""results and their latencies in seconds → the column"""


class Press:
    """Prints for one plan; says the same as `outputs.write` and `Sender.messages` do, at a fraction of the cost.

    It leaves a burst to them, untouched, wherever an output has no value or one that does not fit.
    """

    def __init__(self, plan: Plan, sender: Sender) -> None:
        self._plan, self._sender = plan, sender
        self._writers = tuple(_writer(column, plan) for column in plan.columns)
        self._dialect: Dialect | None = None
        self._forms: tuple[Form, ...] = ()
        self._places: dict[str, tuple[str, str]] = {}

    @classmethod
    def of(cls, plan: Plan, sender: Sender) -> "Press | None":
        """None for a plan that publishes by policy, or Objects."""
        publish = plan.binding.publish
        plain = publish.when == "always" and not publish.min_interval and publish.keep_alive is None
        simple = all(one.type not in _OBJECTS and one.value != "isUnknown" for one in plan.columns)
        return cls(plan, sender) if plain and simple and plan.columns else None

    def print(
        self,
        items: Sequence[Item],
        states: Sequence[DeviceState],
        results: Sequence[Result],
        origins: Sequence[int],
        latencies: Sequence[float],
    ) -> Sequence[Sequence[Message]] | None:
        """The messages of each item; the states of its devices take their step only when there are any."""
        dialect = self._sender.dialect
        if dialect is not self._dialect:
            self._dialect, self._forms = dialect, self._new_forms(dialect)
            self._places.clear()
        if not self._forms or len(set(map(type, results))) != 1:
            return None
        columns: list[Sequence[str]] = []
        for writer in self._writers:
            texts = writer(results, latencies) if writer is not None else ()
            if texts is None:
                return None
            columns.append(texts)
        decided: dict[DeviceState, decide.DecideState] = {}
        if self._plan.decide is not None:
            words = self._decided(states, results, decided)
            columns = [texts or words for texts in columns]
        messages = self._filled(items, origins, list(zip(*columns, strict=True)))
        for state, decision in decided.items():
            state.decide = decision
        return messages

    def _filled(
        self, items: Sequence[Item], origins: Sequence[int], rows: Sequence[tuple[str, ...]]
    ) -> Sequence[Sequence[Message]]:
        traces = [item.correlation_id for item in items]
        whole = "".join(traces)
        if not (whole.isascii() and whole.isprintable()) or '"' in whole or "\\" in whole:
            traces = list(map(escaped, traces))
        blocks = ids.blocks(len(items))
        sender, found = self._sender, []
        device: str | None = None
        topic = name = ""
        single, *more = self._forms
        for at, item in enumerate(items):
            if item.event.device_name != device:
                device = item.event.device_name
                topic, name = self._places.get(device) or self._place(device)
            slots = (traces[at], name, str(origins[at]), blocks[at], *rows[at])
            messages = [single.fill(topic, slots)]
            if more:
                messages.append(more[0].fill(sender.rules_topic, slots))
            found.append(messages)
        return found

    def _place(self, device: str) -> tuple[str, str]:
        """Topic and name of a device's events; forgotten before they fill the memory, and with the dialect."""
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        found = self._places[device] = self._sender.where(self._plan.binding, device)
        return found

    def _decided(
        self,
        states: Sequence[DeviceState],
        results: Sequence[Result],
        decided: dict[DeviceState, decide.DecideState],
    ) -> Sequence[str]:
        """The column of the state; `decided` gets what each device's memory is to become."""
        wanted, words = self._plan.decide, []
        assert wanted is not None
        value_of = decide.reader(type(results[0]), wanted)
        for state, result in zip(states, results, strict=True):
            before = decided.get(state) or state.decide
            decided[state], decision = decide.step(before, value_of(result), wanted)
            words.append("true" if decision else "false")
        return words

    def _new_forms(self, dialect: Dialect) -> tuple[Form, ...]:
        plan, sender = self._plan, self._sender
        _, profile, name = sender.names(plan.binding, "any")
        readings = [_sample(column, name, profile) for column in plan.columns]
        pattern = sender.event(plan.binding, "any", readings, origin=1, tags=plan.tags)
        made = [forms.form(pattern, dialect)]
        if plan.binding.publish.rules:
            made.append(forms.form(pattern, dialect, bare=True))
        return tuple(one for one in made if one is not None) if None not in made else ()


def _sample(column: Column, device: str, profile: str) -> Reading:
    one = {"Bool": False, "String": ""}.get(column.type.element.value, 0)
    value = [one] if column.type.is_array else one
    return values.reading(
        column.name, value, column.type, device=device, profile=profile, origin=1, units=column.units
    )


def _writer(column: Column, plan: Plan) -> Writer | None:
    """What writes a column; None for the state, which is decided last."""
    if column.value == "state":
        return None
    if column.value in ("model", "accelerator"):
        said = escaped(plan.card.name if column.value == "model" else plan.accelerator)
        return lambda results, _latencies: [said] * len(results)
    if column.value == "latency":
        return lambda _results, latencies: list(map(outputs.milliseconds_text, latencies))
    return partial(_evaluated, column)


def _evaluated(column: Column, results: Sequence[Result], _latencies: Sequence[float]) -> Texts:
    value_of = result_values.compiled(type(results[0]), column.value, column.type)
    found = [value_of(result) for result in results]
    return None if None in found or [] in found else _written(found, column.type)


def _written(found: Sequence[object], kind: ValueType) -> Texts:
    try:
        if kind in _REALS:
            return values.float_texts(found, kind)
        texts = [values.format_value(value, kind) for value in found]
    except values.Unfit:
        return None
    return list(map(escaped, texts)) if kind in _TEXTS else texts
