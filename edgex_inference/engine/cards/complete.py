"""A card and the file it describes: what the card leaves out comes from the file, and they must not disagree."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Literal, TypeVar

from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.accelerator import Session
from edgex_inference.contracts.errors import ModelRejected, Steps
from edgex_inference.contracts.models import (
    Build,
    ImageInput,
    InputCard,
    ModelCard,
    NumbersInput,
    OutputCard,
)
from edgex_inference.contracts.tensors import Datatype, Quantization, TensorSpec
from edgex_inference.engine.cards import exporter
from edgex_inference.engine.cards.tensors import SPELLED

Entry = TypeVar("Entry", InputCard, OutputCard)
_CHANNELS = {"rgb": 3, "bgr": 3, "gray": 1}
_ROUNDED = 0.01
"""Share by which a person may have rounded a scale; the file's own is taken."""


def complete(card: ModelCard, build: Build, session: Session) -> Build:
    """The build with every tensor, layout, size, shape and dtype filled in; raises ModelRejected naming both sides."""
    inputs = build.inputs or tuple(_guess(spec, session) for spec in session.inputs)
    outputs = build.outputs or tuple(OutputCard(name=spec.name) for spec in session.outputs)
    ins = _matched(card, "inputs", [(one.name, one.tensor) for one in inputs], session.inputs)
    outs = _matched(card, "outputs", [(one.name, one.tensor) for one in outputs], session.outputs)
    labels = exporter.labels(session)
    return replace(
        build,
        inputs=tuple(_input(card, one, spec, session) for one, spec in zip(inputs, ins, strict=True)),
        outputs=tuple(_output(card, one, spec) for one, spec in zip(outputs, outs, strict=True)),
        decoder=build.decoder or exporter.decoder(card, session, labels),
        labels=labels if card.labels is None else None,
    )


def _guess(spec: TensorSpec, session: Session) -> InputCard:
    """What an input is that the card does not mention: pictures have four axes and one or three channels."""
    if _layout_of(spec, (1, 3)) is not None and spec.datatype in (
        Datatype.FP32,
        Datatype.FP16,
        Datatype.UINT8,
    ):
        return ImageInput(name=spec.name)
    return NumbersInput(name=spec.name, kind="vector" if len(_sample_shape(spec, session)) == 1 else "tensor")


def _matched(
    card: ModelCard, what: str, wanted: Sequence[tuple[str, str | None]], specs: Sequence[TensorSpec]
) -> Sequence[TensorSpec]:
    """The tensor of each entry: by `tensor`, by its own name, or the only one that is left."""
    by_name = {spec.name: spec for spec in specs}
    found: dict[str, TensorSpec] = {}
    for name, tensor in wanted:
        if tensor is not None and tensor not in by_name:
            there = listed(by_name, last="and")
            reason = f"the card says {tensor!r}, the file has {there}{suggest(tensor, by_name)}"
            raise ModelRejected(card.name, reason, card=(what, name, "tensor"))
        spec = by_name.get(tensor or name)
        if spec is not None:
            found[name] = spec
    open_names = [name for name, _ in wanted if name not in found]
    used = {spec.name for spec in found.values()}
    left = [spec for spec in specs if spec.name not in used]
    if len(open_names) == 1 and len(left) == 1:
        found[open_names[0]] = left[0]
    elif open_names:
        there = listed(by_name, last="and")
        reason = f"the file has {there}: say which one with `tensor`"
        raise ModelRejected(card.name, reason, card=(what, open_names[0]))
    if len({spec.name for spec in found.values()}) != len(wanted):
        raise ModelRejected(card.name, "two entries name the same tensor of the file", card=(what,))
    return [found[name] for name, _ in wanted]


def _input(card: ModelCard, entry: InputCard, spec: TensorSpec, session: Session) -> InputCard:
    dtype = _dtype(card, ("inputs", entry.name), entry, spec)
    entry = replace(entry, quantization=_quantization(card, ("inputs", entry.name), entry, spec))
    if isinstance(entry, ImageInput):
        return replace(_image(card, entry, spec, session), tensor=spec.name, dtype=dtype)
    shape = _sample_shape(spec, session)
    known = tuple(extent for extent in shape if extent is not None)
    _check_names(card, entry, known if len(known) == len(shape) else entry.shape)
    if entry.shape is None:
        return replace(
            entry, tensor=spec.name, dtype=dtype, shape=known if len(known) == len(shape) else None
        )
    if not _fits(entry.shape, shape) and not _fits(entry.shape, spec.shape):
        reason = f"the card says {list(entry.shape)}, the file says {spec}"
        raise ModelRejected(card.name, reason, card=("inputs", entry.name, "shape"))
    return replace(entry, tensor=spec.name, dtype=dtype)


def _check_names(card: ModelCard, entry: NumbersInput, shape: tuple[int, ...] | None) -> None:
    """Each name stands for equally many numbers of the tensor."""
    if shape is not None and entry.names and prod(shape) % len(entry.names):
        reason = f"{len(entry.names)} names for the {prod(shape)} numbers of shape {list(shape)}"
        raise ModelRejected(card.name, reason, card=("inputs", entry.name, "names"))


def _output(card: ModelCard, entry: OutputCard, spec: TensorSpec) -> OutputCard:
    path = ("outputs", entry.name)
    dtype, quantization = _dtype(card, path, entry, spec), _quantization(card, path, entry, spec)
    return replace(entry, tensor=spec.name, dtype=dtype, quantization=quantization)


def _dtype(card: ModelCard, path: Steps, entry: InputCard | OutputCard, spec: TensorSpec) -> Datatype:
    if entry.dtype is not None and entry.dtype is not spec.datatype:
        reason = f"the card says {SPELLED[entry.dtype]}, the file says {SPELLED[spec.datatype]} ({spec})"
        raise ModelRejected(card.name, reason, card=(*path, "dtype"))
    if entry.quantization is not None and spec.datatype.numpy.kind not in "iu":
        reason = f"the file says {spec}, which holds no whole numbers: remove it"
        raise ModelRejected(card.name, reason, card=(*path, "quantization"))
    return spec.datatype


def _quantization(
    card: ModelCard, path: Steps, entry: InputCard | OutputCard, spec: TensorSpec
) -> Quantization | None:
    """What whole numbers stand for: as the file says it, else as the card does."""
    said, found = entry.quantization, spec.quantization
    if said is None or found is None:
        return found or said
    if said.zero != found.zero or abs(said.scale - found.scale) > _ROUNDED * found.scale:
        reason = (
            f"the card says scale {said.scale:.6g} and zero {said.zero}, "
            f"the file says scale {found.scale:.6g} and zero {found.zero}: remove it"
        )
        raise ModelRejected(card.name, reason, card=(*path, "quantization"))
    return found


def _image(card: ModelCard, entry: ImageInput, spec: TensorSpec, session: Session) -> ImageInput:
    path = ("inputs", entry.name)
    channels = _CHANNELS[entry.color]
    layout = _layout_of(spec, (channels,), entry.layout)
    if layout is None and entry.color == "rgb" and len(entry.mean) == len(entry.std) == 1:
        layout = _layout_of(spec, (1,), entry.layout)
        entry = replace(entry, color="gray") if layout is not None else entry
    if layout is None:
        said = f"{entry.layout or 'a picture'} of {channels} channels ({entry.color})"
        key = "layout" if entry.layout is not None else "color"
        raise ModelRejected(card.name, f"the card says {said}, the file says {spec}", card=(*path, key))
    height, width = spec.shape[2:] if layout == "NCHW" else spec.shape[1:3]
    size = entry.size
    if size is None:
        meant = exporter.size(session) if height is None and width is None else None
        width, height = meant or (width, height)
        if height is not None and width is not None:
            size = (width, height)
    elif width not in (None, size[0]) or height not in (None, size[1]):
        reason = f"the card says {list(size)} (width, height), the file says {spec}"
        raise ModelRejected(card.name, reason, card=(*path, "size"))
    return replace(entry, layout=layout, size=size)


def _layout_of(
    spec: TensorSpec, channels: tuple[int, ...], said: Literal["NCHW", "NHWC"] | None = None
) -> Literal["NCHW", "NHWC"] | None:
    """The layout of a picture tensor with one of these numbers of channels, or None."""
    if len(spec.shape) != 4:
        return None
    if said != "NHWC" and spec.shape[1] in channels:
        return "NCHW"
    if said != "NCHW" and spec.shape[3] in channels:
        return "NHWC"
    return said if said is not None and spec.shape[1 if said == "NCHW" else 3] is None else None


def _sample_shape(spec: TensorSpec, session: Session) -> tuple[int | None, ...]:
    """The shape of one sample, without a batch axis where there is one."""
    has_batch = session.traits.batch.kind != "none" or (len(spec.shape) > 1 and spec.shape[0] in (1, None))
    return spec.shape[1:] if has_batch else spec.shape


def _fits(said: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(said) == len(shape) and all(b in (None, a) for a, b in zip(said, shape, strict=True))
