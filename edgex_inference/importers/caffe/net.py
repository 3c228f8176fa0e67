"""What a prototxt says once the old spellings are gone: inputs and layers in order, for the test phase."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Array
from edgex_inference.importers.caffe import weights
from edgex_inference.importers.caffe.prototxt import Malformed, Message, parse

_MOST_TEXT = 8 << 20
"""Bytes: nets of thousands of layers have less than one."""
_V1 = {
    "ABSVAL": "AbsVal", "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT": "Concat", "CONVOLUTION": "Convolution",
    "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "ELTWISE": "Eltwise", "EXP": "Exp",
    "FLATTEN": "Flatten", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN", "MVN": "MVN", "POOLING": "Pooling",
    "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid", "SILENCE": "Silence", "SLICE": "Slice",
    "SOFTMAX": "Softmax", "SPLIT": "Split", "TANH": "TanH", "THRESHOLD": "Threshold", "PRELU": "PReLU",
    "RESHAPE": "Reshape", "BN": "BN", "UPSAMPLE": "Upsample",
}  # fmt: skip
Dims = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the net; `body` is what the prototxt says, `blobs` what the caffemodel holds for it."""

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    body: Message
    blobs: tuple[Array, ...] = ()


@dataclass(frozen=True, slots=True)
class Net:
    """`inputs` are the blobs that are fed, with the shapes that the prototxt declares."""

    path: Path
    size: int
    """Bytes of both files."""
    inputs: Mapping[str, Dims]
    layers: tuple[Layer, ...]


def read(prototxt: Path, caffemodel: Path | None) -> Net:
    """Raises ModelRejected, naming the file and the place; OSError when one cannot be read."""
    size = prototxt.stat().st_size
    if size > _MOST_TEXT:
        raise ModelRejected(prototxt, "is larger than 8 MiB: no prototxt is; were the two files exchanged?")
    arrays = weights.read(caffemodel) if caffemodel else {}
    try:
        text = prototxt.read_text("utf-8")
    except UnicodeDecodeError:
        raise ModelRejected(prototxt, "is no text: give the prototxt first, then the caffemodel") from None
    try:
        said = parse(text)
        bodies = [*said.messages("layer"), *said.messages("layers")]
        if not bodies:
            raise ModelRejected(prototxt, "is no prototxt of a net: it has no layers")
        layers = tuple(_layers(prototxt, bodies, arrays))
        fed = dict(_legacy_inputs(prototxt, said))
        for layer in layers:
            if layer.kind == "Input":
                fed.update(_input(prototxt, layer))
    except Malformed as error:
        raise ModelRejected(prototxt, str(error)) from None
    if not fed:
        reason = (
            "says no input (it is the net for training): use the one for deployment, which declares `input`"
        )
        raise ModelRejected(prototxt, reason)
    size += caffemodel.stat().st_size if caffemodel else 0
    return Net(prototxt, size, fed, tuple(one for one in layers if one.kind != "Input"))


def _layers(path: Path, bodies: Sequence[Message], arrays: weights.Weights) -> Iterator[Layer]:
    for index, body in enumerate(bodies):
        if not _included(body):
            continue
        name = body.text("name", f"layer {index}")
        if "layer" in body:
            raise ModelRejected(
                path, "is of Caffe's first format: run Caffe's upgrade_net_proto_text over it"
            )
        kind = body.text("type")
        kind = _V1.get(kind, kind)
        if not kind:
            raise ModelRejected(path, f"layer {name!r} has no type")
        bottoms, tops = tuple(body.texts("bottom")), tuple(body.texts("top"))
        yield Layer(name, kind, bottoms, tops, body, arrays.get(name, ()))


def _included(body: Message) -> bool:
    """Whether a net made for testing, at level 0 and without stages, has the layer."""
    include, exclude = body.messages("include"), body.messages("exclude")
    if include:
        return any(_meets(rule) for rule in include)
    return not any(_meets(rule) for rule in exclude)


def _meets(rule: Message) -> bool:
    if "phase" in rule and rule.choice("phase", ("TRAIN", "TEST")) != "TEST":
        return False
    if rule.integer("min_level", 0) > 0 or rule.integer("max_level", 0) < 0:
        return False
    return not rule.texts("stage")


def _legacy_inputs(path: Path, said: Message) -> Iterator[tuple[str, Dims]]:
    """`input` with `input_dim` (four for each) or `input_shape`, before there was a layer for it."""
    names, dims = said.texts("input"), said.integers("input_dim")
    shapes = [one.integers("dim") for one in said.messages("input_shape")]
    if dims and not shapes:
        shapes = [dims[index : index + 4] for index in range(0, len(dims), 4)]
    for index, name in enumerate(names):
        if index >= len(shapes):
            raise ModelRejected(path, f"input {name!r} has no shape: write input_shape {{dim: 1 dim: 3 …}}")
        yield name, checked(path, name, shapes[index])


def _input(path: Path, layer: Layer) -> Iterator[tuple[str, Dims]]:
    shapes = layer.body.message("input_param").messages("shape")
    for index, top in enumerate(layer.tops):
        if not shapes:
            raise ModelRejected(
                path, f"layer {layer.name!r} has no shape: write input_param {{shape {{dim: 1 …}}}}"
            )
        yield top, checked(path, top, shapes[min(index, len(shapes) - 1)].integers("dim"))


def checked(path: Path, name: str, dims: Sequence[int]) -> Dims:
    """The shape of a fed blob; raises ModelRejected where Caffe could not have it either."""
    count = 1
    for extent in dims:
        count *= extent
        if extent < 1 or count >= 1 << 31 or len(dims) > 32:
            said = "×".join(map(str, dims[:8]))
            raise ModelRejected(
                path, f"input {name!r} of {said} is no shape: every extent counts from 1, 2^31 in all"
            )
    return tuple(dims)
