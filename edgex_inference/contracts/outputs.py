"""What `outputs.<name>.value` can say for each task, and which EdgeX types can carry it.

A form is the value with its parameter left open: `count.<label>`, `top<k>`, `value.<i>`.
"""

import re
from dataclasses import dataclass
from functools import cache

from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Task

_T = ValueType
_INTEGERS = tuple(_T(f"{sign}{bits}") for sign in ("Uint", "Int") for bits in (8, 16, 32, 64))
_REALS = (_T.FLOAT32, _T.FLOAT64)
_REAL_ARRAYS = (_T.FLOAT32_ARRAY, _T.FLOAT64_ARRAY)
_NUMBERS = (*_INTEGERS, *_REALS)

_CARRIERS: dict[ValueType, tuple[ValueType, ...]] = {
    _T.BOOL: (_T.BOOL,),
    _T.STRING: (_T.STRING,),
    _T.UINT16: _NUMBERS,
    _T.INT32: _NUMBERS,
    _T.INT64: (_T.INT64, _T.UINT64),
    _T.FLOAT32: _REALS,
    _T.STRING_ARRAY: (_T.STRING_ARRAY,),
    _T.FLOAT32_ARRAY: _REAL_ARRAYS,
    _T.OBJECT: (_T.OBJECT,),
}
"""Default type → every type that can carry such a value without changing its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputValue:
    """One legal value: its form, its default type (None: depends on the model), the types that can carry it.

    `needs` is the key of the binding without which the value does not exist, `whole` that it belongs to the whole
    binding, so that a cascade puts no step in front of it; `built` False: known, but no release gives it yet.
    """

    form: str
    type: ValueType | None
    types: tuple[ValueType, ...]
    needs: str = ""
    whole: bool = False
    built: bool = True

    @property
    def pattern(self) -> str:
        """The regular expression that a value as written matches as a whole."""
        return _pattern(self.form).pattern

    def matches(self, value: str) -> bool:
        """Whether a value as written has this form."""
        return _pattern(self.form).fullmatch(value) is not None


def legal(task: Task | None) -> tuple[OutputValue, ...]:
    """Every value of a task, the ones that each task has at the end; of all tasks when it is None."""
    if task is not None:
        return (*_TASKS[task], *_EVERY)
    return (*(value for task in Task if task is not Task.RAW for value in _TASKS[task]), *_EVERY)


def find(task: Task | None, value: str) -> OutputValue | None:
    """The legal value that this one is, or None; of a raw model every other word is a tensor's name."""
    for known in (*_EVERY, *(_TASKS[task] if task is not None else legal(None))):
        if known.matches(value):
            return known
    return None


def default_type(task: Task, value: str) -> ValueType | None:
    """The type of a value whose output names none; None: it depends on the model, or the value is not legal."""
    known = find(task, value)
    return known.type if known is not None else None


def element_carriers(element: ValueType) -> tuple[ValueType, ...]:
    """The types that can carry an element of a tensor, given the element's own type."""
    if element in (_T.BOOL, _T.STRING):
        return (element,)
    return _NUMBERS if element in _INTEGERS else _REALS


def array_carriers(element: ValueType) -> tuple[ValueType, ...]:
    """The types that can carry a whole tensor of such elements."""
    return tuple(map(_array, element_carriers(element)))


def _array(element: ValueType) -> ValueType:
    return _T(f"{element}Array")


def parameter(value: str) -> tuple[str, str]:
    """A value as word and parameter: `count.person` → `count`, `person`; `top3` → `top`, `3`; `label` → `label`, ``."""
    if found := re.fullmatch(r"top([1-9][0-9]*)", value):
        return "top", found[1]
    word, _, rest = value.partition(".")
    return word, rest


@cache
def _pattern(form: str) -> re.Pattern[str]:
    text = re.escape(form)
    for name, expression in (("<k>", "[1-9][0-9]{0,3}"), ("<i>", "0|[1-9][0-9]{0,8}")):
        text = text.replace(name, f"({expression})")
    return re.compile(re.sub(r"<[a-z ]+>", "(.+)", text.replace(r"\ ", " ")))


def _value(
    form: str, default: ValueType | None = None, *, needs: str = "", whole: bool = False, built: bool = True
) -> OutputValue:
    types = _CARRIERS[default] if default is not None else tuple(ValueType)
    return OutputValue(form=form, type=default, types=types, needs=needs, whole=whole, built=built)


_ELEMENTS = (*_NUMBERS, _T.BOOL, _T.STRING)
_EVERY = (
    _value("state", _T.BOOL, needs="decide", whole=True),
    _value("latency", _T.FLOAT32, whole=True),
    _value("model", _T.STRING, whole=True),
    _value("accelerator", _T.STRING, whole=True),
    _value("completeness", _T.FLOAT32, needs="window", whole=True, built=False),
    _value("windowStart", _T.INT64, needs="window", whole=True, built=False),
    _value("windowEnd", _T.INT64, needs="window", whole=True, built=False),
    _value("snapshotUrl", _T.STRING, needs="snapshot", whole=True, built=False),
)
_CLASSES = (
    _value("label", _T.STRING),
    _value("score", _T.FLOAT32),
    _value("index", _T.INT32),
    _value("top<k>", _T.STRING_ARRAY),
    _value("scores", _T.FLOAT32_ARRAY),
    _value("isUnknown", _T.BOOL, needs="decide.unknownBelow", whole=True),
)
_TASKS: dict[Task, tuple[OutputValue, ...]] = {
    Task.CLASSIFICATION: _CLASSES,
    Task.AUDIO: _CLASSES,
    Task.DETECTION: (
        _value("count", _T.UINT16),
        _value("count.<label>", _T.UINT16),
        _value("labels", _T.STRING_ARRAY),
        _value("maxScore", _T.FLOAT32),
        _value("present", _T.BOOL),
        _value("detections", _T.OBJECT),
        _value("tracks", needs="track", built=False),
        _value("zoneEntered", _T.STRING, needs="zones", built=False),
        _value("zoneLeft", _T.STRING, needs="zones", built=False),
        _value("inZone.<zone>", needs="zones", built=False),
        _value("dwell", _T.FLOAT32, needs="zones", built=False),
        _value("crossed.<line>", needs="lines", built=False),
    ),
    Task.ANOMALY: (
        _value("score", _T.FLOAT32),
        OutputValue(form="contributions", type=_T.FLOAT32_ARRAY, types=(*_REAL_ARRAYS, _T.OBJECT)),
        _value("heatmapUrl", _T.STRING, built=False),
    ),
    Task.REGRESSION: (
        _value("value", _T.FLOAT32),
        _value("value.<i>", _T.FLOAT32),
        _value("values", _T.FLOAT32_ARRAY),
    ),
    Task.SEGMENTATION: (
        _value("share.<label>", _T.FLOAT32),
        _value("area", _T.FLOAT32),
    ),
    Task.POSE: (_value("keypoints", _T.OBJECT, built=False),),
    Task.OCR: (
        _value("text", _T.STRING, built=False),
        _value("matched", _T.BOOL, needs="postprocess.pattern", built=False),
        _value("score", _T.FLOAT32, built=False),
    ),
    Task.EMBEDDING: (_value("vector", _T.FLOAT32_ARRAY),),
    Task.RAW: (OutputValue(form="<tensor name>", type=None, types=(*_ELEMENTS, *map(_array, _ELEMENTS))),),
}
BUILT_TASKS = frozenset(Task) - {Task.POSE, Task.OCR, Task.AUDIO}
"""The tasks whose results this release gives."""
