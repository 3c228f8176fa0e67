"""A Binary reading becomes a picture tensor: decode, crop, resize, color, range, layout."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgex_inference.contracts.errors import DecodeError
from edgex_inference.contracts.events import Reading, ValueType
from edgex_inference.contracts.models import ImageInput
from edgex_inference.contracts.tensors import Array, Datatype
from edgex_inference.preprocess import codecs, headers, raw
from edgex_inference.preprocess.elements import Elements, Unfit
from edgex_inference.preprocess.feeds import Feed, Slot, rejected
from edgex_inference.preprocess.framing import Framing, Placement, placement
from edgex_inference.preprocess.numbers import Prepared
from edgex_inference.preprocess.readings import value_of
from edgex_inference.preprocess.resample import Method, Pixels, Span, resize

PADDING = 114
"""gray of a letterbox's margins: what the YOLO family, which made letterboxes common, is trained with"""

Color = Literal["rgb", "bgr", "gray"]
_ORDER: dict[Color, tuple[int, ...]] = {"rgb": (0, 1, 2), "bgr": (2, 1, 0), "gray": (0,)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tone:
    """What pixel values become: x = p · gain + bias for floats, a table of 256 for every other element type.

    `gain` and `bias` are float32 [channels], `table` [channels, 256], None for 32-bit floats.
    """

    gain: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    table: Array | None = None

    @classmethod
    def of(cls, elements: Elements, gain: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]) -> "Tone":
        """Raises Unfit (`range`) when a pixel's value does not fit the element type."""
        table = None
        if elements.datatype is not Datatype.FP32:
            real = np.arange(256) * gain[:, None] + bias[:, None]
            table = elements.encode(real)
        return cls(gain=gain.astype(np.float32), bias=bias.astype(np.float32), table=table)

    def fill(self, out: Array, channel: int, pixels: Pixels) -> None:
        """Writes one channel of a picture into a plane of the tensor."""
        if self.table is None:
            np.multiply(pixels, self.gain[channel], out=out)
            if self.bias[channel]:
                out += self.bias[channel]
        elif self.table.dtype == np.uint8 and np.array_equal(self.table[channel], _PLAIN):
            out[...] = pixels
        else:
            out[...] = self.table[channel].take(pixels)

    def margin(self, channel: int) -> float:
        """The value of a margin's pixel."""
        if self.table is None:
            return float(self.gain[channel] * np.float32(PADDING) + self.bias[channel])
        return float(self.table[channel][PADDING])


_PLAIN = np.arange(256, dtype=np.uint8)
_LARGEST_KEPT = 24 * 1024 * 1024
"""bytes; glibc learns no more than 32 MiB"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureStep:
    """Fills one picture input; `leading` are the axes of length 1 in front of channels, height and width.

    The bytes decide between JPEG, PNG, WebP and BMP whatever the media type says. Bytes that are
    `application/octet-stream` with a `shape` of height, width and channels, or that are no picture and have exactly the
    model's own size, are raw 8-bit pixels.
    """

    name: str
    tensor: str
    feed: Feed
    framing: Framing
    method: Method
    color: Color
    layout: Literal["NCHW", "NHWC"]
    leading: int
    datatype: Datatype
    tone: Tone
    real: Tone | None = None
    """keeps the real values beside an encoded tensor"""
    max_pixels: int = 64_000_000

    def __call__(self, device: str, readings: Mapping[str, Reading]) -> Prepared:
        """The tensor of one sample and its geometry; raises DecodeError."""
        try:
            picture = self._decoded(readings[self.feed.resource])
        except Unfit as error:
            raise DecodeError(device, str(self.feed), error.detail, reason=error.reason) from error
        where = placement(self.framing, picture.width, picture.height)
        pixels = self._placed(picture, where)
        tensor = self._tensor(pixels, where, self.tone, self.datatype)
        real = None
        if self.real is not None:
            same = self.datatype is Datatype.FP32
            real = tensor if same else self._tensor(pixels, where, self.real, Datatype.FP32)
        return tensor, real, where.geometry

    def _decoded(self, reading: Reading) -> codecs.Picture:
        data = value_of(reading, self.feed.reading.pointer)
        if not isinstance(data, bytes):
            raise Unfit("type", f"a {reading.value_type} reading where a Binary picture is needed")
        if not data:
            raise Unfit("empty", "the binary value is empty")
        plain = self._raw(data, reading)
        if plain is not None:
            return plain
        kind = headers.sniff(data)
        if kind is None:
            start = data[:8].hex(" ")
            detail = f"no JPEG, PNG, WebP or BMP (media type {reading.media_type or 'missing'!r}, starts with {start})"
            raise Unfit("media", detail)
        wanted = codecs.Wanted(gray=self.color == "gray", max_pixels=self.max_pixels, eighths=self._eighths)
        return codecs.decode(data, kind, wanted)

    def _raw(self, data: bytes, reading: Reading) -> codecs.Picture | None:
        profile = self.feed.declared.media_type if self.feed.declared is not None else ""
        try:
            declared = raw.declared(profile, reading.media_type)
        except ValueError as error:
            raise Unfit("media", str(error)) from error
        width, height = self.framing.size
        shape = declared.shape if declared.essence == raw.OCTETS else None
        own = (height, width, len(_ORDER[self.color]))
        if shape is None and len(data) == height * width * own[2] and headers.sniff(data) is None:
            shape = own
        if shape is None:
            return None
        if len(shape) != 3 or shape[2] not in (1, 3, 4) or (declared.dtype or np.dtype("u1")) != np.uint8:
            raise Unfit(
                "media", f"raw pixels are uint8 of shape HEIGHTxWIDTHx3, not {declared.dtype} of {shape}"
            )
        if shape[0] * shape[1] > self.max_pixels:
            raise Unfit("bomb", f"a picture of {shape[1]}x{shape[0]} has more than {self.max_pixels} pixels")
        pixels = raw.array(data, np.dtype(np.uint8), shape)
        return codecs.from_raw(pixels, color=declared.color, gray=self.color == "gray")

    def _eighths(self, width: int, height: int) -> int:
        return placement(self.framing, width, height).eighths

    def _placed(self, picture: codecs.Picture, where: Placement) -> Pixels:
        """The region at its size in the model's picture; a reduced picture stands for the whole source."""
        height, width = picture.pixels.shape[:2]
        x_scale, y_scale = width / picture.width, height / picture.height
        x, y, wide, high = where.region
        across = Span(start=x * x_scale, length=wide * x_scale, out=where.place[2])
        down = Span(start=y * y_scale, length=high * y_scale, out=where.place[3])
        return resize(picture.pixels, across, down, self.method)

    def _tensor(self, pixels: Pixels, where: Placement, tone: Tone, datatype: Datatype) -> Array:
        width, height = self.framing.size
        order = _ORDER[self.color]
        first = self.layout == "NCHW"
        shape = (len(order), height, width) if first else (height, width, len(order))
        tensor = np.empty((1,) * self.leading + shape, datatype.numpy)
        planes = tensor.reshape(shape)
        left, top, wide, high = where.place
        for channel, source in enumerate(order):
            plane = planes[channel] if first else planes[..., channel]
            if (wide, high) != (width, height):
                plane[...] = tone.margin(channel)
            part = plane[top : top + high, left : left + wide]
            tone.fill(part, channel, pixels[..., source if pixels.shape[2] > 1 else 0])
        return tensor


def picture_step(entry: ImageInput, slot: Slot, max_pixels: int) -> PictureStep:
    """The step for this picture input; raises ModelRejected for what can never fit."""
    (feed,) = slot.feeds
    if feed.kind not in (None, ValueType.BINARY) and not feed.reading.pointer:
        reason = f"resource {feed.resource} is {feed.kind}, the model's {slot.spec} needs a Binary picture"
        raise rejected(slot.binding, entry, f"{reason}; name another resource in `inputs`")
    for key, default in (("scale", 1.0), ("offset", 0.0)):
        if getattr(feed.reading, key) != default:
            at = ("inputs", slot.binding.inputs.index(feed.reading), key)
            reason = "does nothing for a picture: remove it; `normalize` changes what pixels become"
            raise rejected(slot.binding, None, reason, block=at)
    if feed.declared is not None:
        try:
            raw.declared(feed.declared.media_type, "")
        except ValueError as error:
            raise rejected(slot.binding, entry, f"resource {feed.resource}: {error}") from None
    _keep_pages()
    layout, size = _laid_out(entry, slot)
    tone, real = _tones(entry, slot)
    return PictureStep(
        name=entry.name,
        tensor=slot.spec.name,
        feed=feed,
        framing=Framing(size=size, fit=entry.fit, roi=slot.binding.roi, reduce=entry.decode == "reduced"),
        method=entry.resize,
        color=entry.color,
        layout=layout,
        leading=len(slot.spec.shape) - 3,
        datatype=slot.spec.datatype,
        tone=tone,
        real=real,
        max_pixels=max_pixels,
    )


def _keep_pages() -> None:
    """Teaches glibc to keep freed memory of a picture's size, of which it learns from the largest block it frees.

    Else each picture's pages go back to the system and are faulted in anew: half of the time of a 640x480 JPEG.
    """
    np.empty(_LARGEST_KEPT, np.uint8)


def _laid_out(entry: ImageInput, slot: Slot) -> tuple[Literal["NCHW", "NHWC"], tuple[int, int]]:
    """Layout and width × height, from the card where it says so, else from the model's shape."""
    shape = slot.spec.shape
    channels = len(_ORDER[entry.color])
    if len(shape) not in (3, 4) or (len(shape) == 4 and not slot.batched and shape[0] not in (1, None)):
        reason = f"the model declares {slot.spec}; a picture has 3 axes and a batch axis"
        raise rejected(slot.binding, entry, reason)
    last = shape[-3:]
    layout = entry.layout or ("NHWC" if last[2] == channels and last[0] != channels else "NCHW")
    have, height, width = last if layout == "NCHW" else (last[2], last[0], last[1])
    if have not in (None, channels):
        reason = (
            f"color {entry.color} in layout {layout} has {channels} channels, the model declares {slot.spec}"
        )
        raise rejected(slot.binding, entry, reason, card=("layout" if entry.layout else "color",))
    wide, high = entry.size or (width, height)
    if wide is None or high is None:
        reason = f"the model leaves the size open ({slot.spec}); say `size: [width, height]` in the card"
        raise rejected(slot.binding, entry, reason, card=("size",))
    if width not in (None, wide) or height not in (None, high):
        reason = f"the card says size [{wide}, {high}] (width, height), the model declares {slot.spec}"
        raise rejected(slot.binding, entry, reason, card=("size",))
    return layout, (wide, high)


def _tones(entry: ImageInput, slot: Slot) -> tuple[Tone, Tone | None]:
    low, high = entry.range
    channels = len(_ORDER[entry.color])
    normalize = slot.binding.normalize or entry
    mean, std = np.array(normalize.mean, float), np.array(normalize.std, float)
    if len(mean) not in (1, channels) or len(std) not in (1, channels) or not std.all():
        said = f"mean {_spelled(normalize.mean)} and std {_spelled(normalize.std)}"
        reason = f"{said} need 1 or {channels} values each, std other than 0"
        raise rejected(slot.binding, entry, reason, card=("mean",), block=("normalize",))
    gain = np.broadcast_to((high - low) / 255 / std, channels)
    bias = np.broadcast_to((low - mean) / std, channels)
    try:
        tone = Tone.of(_elements(entry, slot), gain, bias)
    except Unfit as error:
        reason = (
            f"{error}; pixels become {low:g} to {high:g} before mean and std: correct it or `quantization`"
        )
        raise rejected(slot.binding, entry, reason, card=("range",)) from None
    if tone.table is not None and any(len(np.unique(row)) < 3 for row in tone.table):
        reason = f"range [{low:g}, {high:g}] leaves fewer than 3 values of {slot.spec.datatype}"
        reason += "; say `range: [0, 255]` or `quantization`"
        raise rejected(slot.binding, entry, reason, card=("range",))
    return tone, Tone.of(Elements(datatype=Datatype.FP32), gain, bias) if slot.keep else None


def _spelled(numbers: Iterable[float]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"


def _elements(entry: ImageInput, slot: Slot) -> Elements:
    datatype = slot.spec.datatype
    if datatype.numpy.kind not in "iuf":
        raise rejected(slot.binding, entry, f"the model declares {slot.spec}; pictures are numbers")
    quantization = entry.quantization if datatype.numpy.kind in "iu" else None
    if quantization is not None and not quantization.scale > 0:
        reason = f"quantization scale {quantization.scale} is not above 0"
        raise rejected(slot.binding, entry, reason, card=("quantization",))
    return Elements(datatype=datatype, quantization=quantization)
