"""What a Kaldi model file holds: its generation, its components, and for nnet3 the lines that wire them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Array
from edgex_inference.importers.kaldi.items import BinarySource, Item, Malformed, Scalar, Source, TextSource

_BINARY = b"\x00B"
_BEGIN = re.compile(rb"<(Nnet3?)>\s")
_MOST = 100_000
"""Components, Kaldi's own limit; and lines of an nnet3's description."""
_MOST_TEXT = 8 << 20
_MOST_WITHIN = 64
"""Networks of nnet1 beside each other, or in one another."""
_MOST_VALUES = 4096
"""Values behind one token."""


@dataclass(frozen=True, slots=True)
class Component:
    """A component and what stands behind each of its tokens; `""` holds what stands before the first.

    `within` are the networks of nnet1's ParallelComponent.
    """

    name: str
    kind: str
    fields: dict[str, list[Item]] = field(default_factory=dict)
    within: tuple[tuple["Component", ...], ...] = ()

    def __contains__(self, token: str) -> bool:
        return bool(self.fields.get(token))

    @property
    def fed(self) -> int:
        """How many columns a component of nnet1 says that it is fed."""
        found = self.item("dims", 1)
        return found.integer if isinstance(found, Scalar) else 0

    def item(self, token: str, index: int = 0) -> Item:
        found = self.fields.get(token, [])
        if index >= len(found):
            raise Malformed(f"has no <{token}>" if token else "ends too early")
        return found[index]

    def integer(self, token: str, default: int | None = None) -> int:
        if default is not None and token not in self:
            return default
        found = self.item(token)
        if not isinstance(found, Scalar):
            raise Malformed(f"<{token}> has an array where a number belongs")
        return found.integer

    def number(self, token: str, default: float) -> float:
        if token not in self:
            return default
        found = self.item(token)
        if not isinstance(found, Scalar):
            raise Malformed(f"<{token}> has an array where a number belongs")
        return found.number

    def flag(self, token: str, default: bool) -> bool:
        if token not in self:
            return default
        found = self.item(token)
        return found.flag if isinstance(found, Scalar) else default

    def array(self, token: str, axes: int, index: int = 0) -> Array:
        """A matrix (2 axes) or a vector, float32; raises Malformed for another, or for numbers that are none."""
        found = self.item(token, index)
        if isinstance(found, Scalar):
            raise Malformed(f"<{token}> has a number where an array belongs")
        if axes == 2 and found.ndim == 1 and not found.size:
            found = found.reshape(0, 0)
        if found.ndim != axes:
            raise Malformed(f"<{token}> has {found.ndim} axes where {axes} belong")
        found = found.astype(np.float32)
        if not np.isfinite(found).all():
            raise Malformed(f"<{token}> holds numbers that are not finite")
        return found

    def integers(self, token: str, index: int = 0) -> Array:
        """A list of integers, or of pairs of them."""
        found = self.item(token, index)
        if isinstance(found, Scalar):
            return np.zeros(0, np.int64)  # an empty list looks like the number 0
        return found.astype(np.int64)


@dataclass(frozen=True, slots=True)
class KaldiFile:
    """`generation` is nnet1, nnet2 or nnet3; `lines` are nnet3's nodes, `components` are in the file's order."""

    path: Path
    generation: str
    components: tuple[Component, ...]
    lines: tuple[str, ...] = ()


def read(path: Path) -> KaldiFile:
    """Raises ModelRejected, naming the file and the place; OSError when it cannot be read."""
    data = path.read_bytes()
    if not data:
        raise ModelRejected(path, "the file is empty")
    found = _BEGIN.search(data)
    if found is None:
        raise ModelRejected(path, "is no Kaldi network: it has neither <Nnet> (nnet1, nnet2) nor <Nnet3>")
    binary = data.startswith(_BINARY)
    source: Source = (BinarySource if binary else TextSource)(data, found.end())
    if found[1] == b"Nnet3":
        # The line breaks after the token belong to the description.
        return _nnet3(path, (BinarySource if binary else TextSource)(data, found.end(1) + 2))
    if data[found.end() :].lstrip().startswith(b"<NumComponents>"):
        return _nnet2(path, source)
    return _nnet1(path, source)


_SAY = "say --frame-subsampling-factor"


def subsampling(path: Path) -> int:
    """What Kaldi's recipes keep beside a chain model: of so many frames one is computed; 1 where nothing is said.

    Raises ModelRejected for a file that says something else.
    """
    beside = path.with_name("frame_subsampling_factor")
    try:
        text = beside.read_bytes()[:80].strip()
    except FileNotFoundError:
        return 1
    except OSError as error:
        reason = f"has {beside.name} beside it, which cannot be read: {error.strerror}; {_SAY}"
        raise ModelRejected(path, reason) from error
    if not text.isdigit() or not int(text):
        said = text.decode("ascii", "replace")
        raise ModelRejected(
            path, f"has {beside.name} beside it, which says {said!r} and no number from 1 on; {_SAY}"
        )
    return int(text)


def _nnet1(path: Path, source: Source) -> KaldiFile:
    """`<Type> out in … <!EndOfComponent>`, the end mark being optional in old files."""
    found = list[Component]()
    try:
        _layers(source, found, ())
    except Malformed as error:
        raise _broken(path, found, error) from None
    return KaldiFile(path, "nnet1", tuple(found))


def _layers(source: Source, found: list[Component], outer: tuple[int, ...]) -> None:
    """The components up to `</Nnet>`, of a network that is the so-many-th of a component within others."""
    kind = source.token()
    while kind != "</Nnet>":
        if kind is None or len(found) == _MOST:
            raise Malformed("ends before </Nnet>" if kind is None else f"has more than {_MOST} components")
        name = ".".join(map(str, (*outer, len(found) + 1)))
        component = Component(name, _NNET1.get(kind.lower(), _bare(kind)))
        component.fields["dims"] = [source.scalar(), source.scalar()]
        if component.kind == PARALLEL:
            component = replace(component, within=_nested(source, (*outer, len(found) + 1)))
            kind = source.token()
        else:
            kind = _fill(source, component, _ends_nnet1)
        found.append(component)
        if kind == "<!EndOfComponent>":
            kind = source.token()


def _nested(source: Source, outer: tuple[int, ...]) -> tuple[tuple[Component, ...], ...]:
    _expect(source, "<NestedNnetCount>")
    count = source.scalar().integer
    if not 0 < count <= _MOST_WITHIN or len(outer) // 2 > _MOST_WITHIN:
        raise Malformed(f"has {count} networks in a component that is {len(outer) // 2} deep in others")
    networks = list[tuple[Component, ...]]()
    for number in range(count):
        _expect(source, "<NestedNnet>")
        source.scalar()
        _expect(source, "<Nnet>")
        found = list[Component]()
        _layers(source, found, (*outer, number + 1))
        networks.append(tuple(found))
    _expect(source, f"</{PARALLEL}>")
    return tuple(networks)


def _ends_nnet1(token: str) -> bool:
    return token in ("<!EndOfComponent>", "</Nnet>") or token.lower() in _NNET1


PARALLEL = "ParallelComponent"
NNET1_KINDS = frozenset(
    ("AffineTransform", "LinearTransform", "ConvolutionalComponent", "LstmProjected", "LstmProjectedStreams",
     "BlstmProjected", "BlstmProjectedStreams", "RecurrentComponent", "Softmax", "HiddenSoftmax", "BlockSoftmax",
     "Sigmoid", "Tanh", "ParametricRelu", "Dropout", "LengthNormComponent", "Rbm", "Splice", "Copy", "AddShift",
     "Rescale", "KlHmm", "AveragePoolingComponent", "MaxPoolingComponent", "SentenceAveragingComponent",
     "SimpleSentenceAveragingComponent", "FramePoolingComponent", "ParallelComponent", "MultiBasisComponent")
)  # fmt: skip
"""All of nnet1's, those that cannot be brought over too: they tell where a component ends."""
_NNET1 = {f"<{kind.lower()}>": kind for kind in NNET1_KINDS}
"""By their tokens, of which Kaldi does not mind the case: it wrote small letters once."""


def _nnet2(path: Path, source: Source) -> KaldiFile:
    found = list[Component]()
    try:
        _expect(source, "<NumComponents>")
        count = source.scalar().integer
        _expect(source, "<Components>")
        if not 0 < count <= _MOST:
            raise Malformed(f"says that it has {count} components")
        for index in range(count):
            found.append(_component(source, f"{index + 1}"))
        _expect(source, "</Components>")
    except Malformed as error:
        raise _broken(path, found, error) from None
    return KaldiFile(path, "nnet2", tuple(found))


def _nnet3(path: Path, source: Source) -> KaldiFile:
    found = list[Component]()
    try:
        lines = tuple(_lines(source))
        _expect(source, "<NumComponents>")
        count = source.scalar().integer
        if not 0 <= count <= _MOST:
            raise Malformed(f"says that it has {count} components")
        for _ in range(count):
            _expect(source, "<ComponentName>")
            found.append(_component(source, source.token() or ""))
        _expect(source, "</Nnet3>")
    except Malformed as error:
        raise _broken(path, found, error) from None
    return KaldiFile(path, "nnet3", tuple(found), lines)


def _lines(source: Source) -> Iterator[str]:
    """An empty line ends them; one may stand before the first."""
    size = 0
    for index in range(_MOST):
        line = source.line()
        size += len(line)
        if size > _MOST_TEXT:
            raise Malformed("describes its nodes in more than 8 MiB")
        if line:
            yield line
        elif index:
            return
    raise Malformed(f"describes more than {_MOST} nodes")


def _component(source: Source, name: str) -> Component:
    kind = source.token()
    if kind is None or not kind.startswith("<"):
        raise Malformed(f"has {kind!r} where a component begins")
    component = Component(name, _bare(kind))
    _fill(source, component, lambda token: token == f"</{component.kind}>")
    return component


def _fill(source: Source, component: Component, ends: Callable[[str], bool]) -> str | None:
    """Reads tokens and what stands behind them until one that ends the component, and gives that one."""
    key = ""
    while True:
        values = component.fields.setdefault(key, [])
        while not source.at_token():
            values.append(source.item())
            if len(values) > _MOST_VALUES:
                raise Malformed(f"has more than {_MOST_VALUES} values behind <{key}>")
        token = source.token()
        if token is None:
            raise Malformed(f"ends within component {component.name!r} ({component.kind})")
        if ends(token):
            return token
        key = _bare(token)


def _expect(source: Source, token: str) -> None:
    found = source.token()
    if found != token:
        raise Malformed(f"has {str(found)[:40]!r} where {token} belongs")


def _bare(token: str) -> str:
    return token.strip("<>")


def _broken(path: Path, found: Sequence[Component], error: Malformed) -> ModelRejected:
    after = f" after component {found[-1].name!r} ({found[-1].kind})" if found else ""
    return ModelRejected(path, f"is no Kaldi network, or a truncated one: {error}{after}")
