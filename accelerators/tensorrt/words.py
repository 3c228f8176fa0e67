"""What TensorRT says, kept instead of printed, and its errors in our words."""

import logging
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import ModuleType
from typing import Any

log = logging.getLogger(__name__)

_KEPT = 20
_LONGEST = 400
_PLACE = re.compile(r"\.? ?In \w+ at \S+:\d+")
_HEAD = re.compile(r"^.*?\bError Code \d+: [\w ]*?(?= ?\()|^.*?\(\w+\): [A-Z_]+: |^\[?\d+\]?:? ")
_ASSERTION = re.compile(r"(?:Serialization assertion|Assertion failed:) .*?(?: failed\.|: (?=[A-Z])|$)")
_QUOTED = re.compile(r'&& "(.*)"$')
_NOISE = re.compile(
    r"While parsing node number|--- (?:Begin|End) node ---|catchCudaError::\d+|^Invalid Node - \S*$|In function \w+:$"
)
_FOREIGN = "Plugin not found"
_QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
_CURE = (
    "TensorRT takes symmetric quantization only: quantize the model again with signed int8 for weights and "
    "activations, zero points of 0 and biases left in float (in ONNX Runtime's quantize_static: QuantType.QInt8, "
    "ActivationSymmetric and WeightSymmetric true, QuantizeBias false)"
)


class Listener:
    """The errors that TensorRT told whoever asked for something; it tells them in the thread that asked."""

    def __init__(self) -> None:
        self._hearing: ContextVar[list[str] | None] = ContextVar("hearing", default=None)
        self._strays: deque[str] = deque(maxlen=_KEPT)

    def hear(self, text: str, *, error: bool) -> None:
        """Keeps an error; the rest goes into the log at DEBUG."""
        log.debug("%s", text)
        if error:
            said = self._hearing.get()
            (self._strays if said is None else said).append(text)

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """A list that fills with the errors of what is done meanwhile."""
        said: list[str] = []
        token = self._hearing.set(said)
        try:
            yield said
        finally:
            self._hearing.reset(token)

    def strays(self) -> list[str]:
        """What TensorRT's own threads told since this was last asked: nobody knows what for."""
        found = list(self._strays)
        self._strays.clear()
        return found


@lru_cache(maxsize=4)
def logger(trt: ModuleType) -> tuple[Any, Listener]:
    """The one logger of a library in this process: it wants the same for every builder, parser and runtime."""
    listener = Listener()
    loud = (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        """Called from native code: must not raise."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            listener.hear(msg, error=severity in loud)

    return Logger(), listener


def sentence(said: Sequence[str], otherwise: str) -> str:
    """The first error that says something, which is mostly the cause; in one line, without source places."""
    text = next((plain for line in said for plain in _plain(line)), otherwise)
    return text if len(text) <= _LONGEST else f"{text[:200]} … {text[-190:]}"


def refusal(parser: Any) -> str:
    """What the parser has against a model: the first node that it does not take, its operator, and why."""
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    if not errors:
        return ""
    first = errors[0]
    operator, why = first.node_operator(), sentence([first.desc()], "TensorRT does not say why")
    if not operator:
        return f"is no ONNX model that TensorRT reads: {why}"
    if _FOREIGN in why:
        why = "TensorRT has no such operator, and no plug-in of that name is loaded"
    if operator in _QUANTIZING:
        why = f"{why}; {_CURE}"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"the node {first.node_name() or 'without a name'} ({operator}): {why}{more}"


def _plain(text: str) -> Iterator[str]:
    """The lines of a message that mean something to a user."""
    for raw in text.splitlines():
        if _NOISE.search(raw):
            continue
        line = _PLACE.sub("", " ".join(raw.split()))
        quoted = _QUOTED.search(line)
        line = quoted[1] if quoted else _ASSERTION.sub("", _HEAD.sub("", line)).strip()
        while line.startswith("(") and line.endswith(")"):
            line = line[1:-1].strip()
        if line:
            yield line
