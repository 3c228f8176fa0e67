"""The `inputs` and `outputs` of a model card, key by key."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.contracts.models import (
    ImageInput,
    InputCard,
    Normalize,
    NumbersInput,
    OutputCard,
)
from edgex_inference.contracts.tensors import Datatype, Quantization

T = TypeVar("T", bound=str)

DTYPES: Mapping[str, Datatype] = {
    "string" if datatype is Datatype.BYTES else str(datatype.numpy.name): datatype for datatype in Datatype
}
"""The element types as cards spell them: numpy's names, and `string`."""

SPELLED: Mapping[Datatype, str] = {datatype: name for name, datatype in DTYPES.items()}

_CHANNELS = {"rgb": 3, "bgr": 3, "gray": 1}
_IMAGE_KEYS = frozenset(("layout", "color", "size", "fit", "resize", "decode", "range", "mean", "std"))
_PARAMETERS: Mapping[str, Callable[[Cursor], object]] = {
    "stride": lambda cursor: cursor.number(low=1),
    "background": lambda cursor: cursor.integer(low=0),
    "form": lambda cursor: cursor.text(),
    "order": lambda cursor: cursor.text(),
    "coordinates": lambda cursor: cursor.text(),
    "activation": lambda cursor: cursor.text(),
    "input": lambda cursor: cursor.text(),
}
"""What roles may say besides the common keys."""


def read_inputs(cursor: Cursor) -> tuple[InputCard, ...]:
    """The inputs in the order of the card; mistakes go to the cursor's problems."""
    reader = cursor.reader()
    if reader is None:
        return ()
    found = [(name, entry.reader()) for name, entry in reader.each()]
    return tuple(_input(name, entry) for name, entry in found if entry is not None)


def read_outputs(cursor: Cursor) -> tuple[OutputCard, ...]:
    """The outputs in the order of the card; mistakes go to the cursor's problems."""
    reader = cursor.reader()
    if reader is None:
        return ()
    found = [(name, entry.reader()) for name, entry in reader.each()]
    return tuple(_output(name, entry) for name, entry in found if entry is not None)


def _input(name: str, reader: Reader) -> InputCard:
    kind = reader.at("kind").choice(("image", "vector", "tensor", "window"))
    if kind is None:
        kind = "image" if _IMAGE_KEYS & set(reader.keys) else "vector"
    card = _image(name, reader) if kind == "image" else _numbers(name, kind, reader)
    reader.close()
    return card


def _image(name: str, reader: Reader) -> ImageInput:
    channels = _CHANNELS.get(str(reader.at("color").plain()), 3)
    mean, std = _channels(reader.at("mean"), channels), _channels(reader.at("std"), channels)
    if std is not None and 0.0 in std:
        reader.at("std").say("must not be 0: values are divided by it")
    size = reader.at("size")
    extents = [extent.integer(low=1, high=16384) for extent in size.items(length=2) or ()]
    limits = reader.at("range").numbers(length=2)
    return ImageInput(
        name=name,
        tensor=reader.at("tensor").text(),
        layout=maybe(reader.at("layout"), ("NCHW", "NHWC")),
        color=word(reader.at("color"), ("rgb", "bgr", "gray")),
        size=(extents[0], extents[1]) if extents and extents[0] and extents[1] else None,
        fit=word(reader.at("fit"), ("stretch", "letterbox", "crop")),
        resize=word(reader.at("resize"), ("bilinear", "area", "nearest", "bicubic")),
        decode=word(reader.at("decode"), ("reduced", "full")),
        range=(limits[0], limits[1]) if limits else (0.0, 1.0),
        mean=mean or (0.0,),
        std=std or (1.0,),
        dtype=read_dtype(reader.at("dtype")),
        quantization=_quantization(reader.at("quantization")),
    )


def _numbers(name: str, kind: str, reader: Reader) -> NumbersInput:
    shape = reader.at("shape")
    extents = [extent.integer(low=1) for extent in shape.items() or ()]
    return NumbersInput(
        name=name,
        kind="tensor" if kind == "tensor" else "window" if kind == "window" else "vector",
        tensor=reader.at("tensor").text(),
        names=reader.at("names").texts() or (),
        shape=tuple(extent for extent in extents if extent) if shape.given else None,
        normalize=_normalize(reader.at("normalize")),
        dtype=read_dtype(reader.at("dtype")),
        quantization=_quantization(reader.at("quantization")),
        nan=word(reader.at("nan"), ("refuse", "allow")),
    )


def _output(name: str, reader: Reader) -> OutputCard:
    parameters = {}
    for key in reader.keys:
        if key in _PARAMETERS:
            parameters[key] = _PARAMETERS[key](reader.at(key))
    card = OutputCard(
        name=name,
        tensor=reader.at("tensor").text(),
        role=reader.at("role").text() or "",
        dtype=read_dtype(reader.at("dtype")),
        quantization=_quantization(reader.at("quantization")),
        parameters=parameters,
    )
    reader.asked.update(_PARAMETERS)
    reader.close()
    return card


def read_dtype(cursor: Cursor) -> Datatype | None:
    """An element type by its name."""
    name = cursor.choice(tuple(DTYPES))
    return DTYPES.get(name) if name is not None else None


def word(cursor: Cursor, words: tuple[T, ...]) -> T:
    """One of these words, the first by default."""
    return maybe(cursor, words) or words[0]


def maybe(cursor: Cursor, words: tuple[T, ...]) -> T | None:
    """One of these words, or None."""
    found = cursor.choice(words)
    return next((one for one in words if one == found), None)


def _channels(cursor: Cursor, channels: int) -> tuple[float, ...] | None:
    """One number, or one for each channel."""
    single = cursor.plain()
    if isinstance(single, int | float) and not isinstance(single, bool):
        number = cursor.number()
        return None if number is None else (number,)
    numbers = cursor.numbers()
    if numbers is not None and len(numbers) not in (1, channels):
        cursor.say(f"must have 1 or {channels} numbers, one for each channel, not {len(numbers)}")
        return None
    return numbers


def _normalize(cursor: Cursor) -> Normalize | None:
    reader = cursor.reader()
    if reader is None:
        return None
    mean, std = _some(reader.need("mean")), _some(reader.need("std"))
    if std is not None and 0.0 in std:
        reader.at("std").say("must not be 0: values are divided by it")
    if mean and std and len(mean) != len(std) and 1 not in (len(mean), len(std)):
        reader.at("std").say(f"has {len(std)} numbers, mean has {len(mean)}")
    reader.close()
    return Normalize(mean=mean, std=std) if mean and std else None


def _some(cursor: Cursor) -> tuple[float, ...] | None:
    single = cursor.plain()
    if isinstance(single, list) or single is None:
        return cursor.numbers()
    number = cursor.number()
    return None if number is None else (number,)


def _quantization(cursor: Cursor) -> Quantization | None:
    reader = cursor.reader()
    if reader is None:
        return None
    scale, zero = reader.need("scale"), reader.at("zero").integer()
    factor = scale.number()
    if factor is not None and factor <= 0:
        scale.say("must be greater than 0")
    reader.close()
    return Quantization(scale=factor, zero=zero or 0) if factor is not None and factor > 0 else None
