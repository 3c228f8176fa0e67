"""Compressed pictures become pixels; the only room that knows the picture libraries.

simplejpeg decodes JPEG, Pillow the rest and the JPEGs that simplejpeg leaves (CMYK, odd subsampling, stray bytes).
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from edgex_inference.preprocess import headers
from edgex_inference.preprocess.elements import Unfit
from edgex_inference.preprocess.resample import Pixels

_OPENERS: dict[headers.Kind, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
}
"""Opened by class rather than by Image.open: no guessing among its 40 formats, no global limit on pixels."""
_SMALLEST_REDUCED = 8
"""below this many pixels two JPEG scales may give the same size, so such pictures are decoded in full"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """`pixels` uint8 [h, w, 4] as R, G, B, unused or [h, w, 1] gray, upright, perhaps at a reduced scale.

    `width` and `height` are the upright source's own.
    """

    pixels: Pixels
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How to decode: `eighths` says, for the upright width and height, which JPEG scale m/8 is enough."""

    gray: bool
    max_pixels: int
    eighths: Callable[[int, int], int]


def decode(data: bytes, kind: headers.Kind, wanted: Wanted) -> Picture:
    """Decodes and turns upright by EXIF; alpha is dropped, not blended, as image loaders in training do.

    16-bit samples keep their high byte, palettes are resolved, of animations the first frame is taken.
    Raises Unfit: `bomb` (more pixels than allowed, found in the header), `truncated`, `picture` (corrupt).
    """
    try:
        return _jpeg(data, wanted) if kind == "jpeg" else _other(data, kind, wanted)
    except Unfit:
        raise
    except Exception as error:
        text = str(error) or type(error).__name__
        cut = any(word in text.lower() for word in ("truncated", "premature end"))
        if cut or (kind == "jpeg" and headers.jpeg_is_cut(data)):
            raise Unfit("truncated", f"broken {kind} picture: it ends too early") from error
        raise Unfit("picture", f"broken {kind} picture: {text}") from error


def from_raw(pixels: Pixels, *, color: str, gray: bool) -> Picture:
    """A picture of uint8 [h, w, 1 | 3 | 4] with channels in the order of `color`."""
    height, width, channels = pixels.shape
    if channels == 1:
        return Picture(pixels=pixels, width=width, height=height)
    ordered = pixels[..., :3] if color == "rgb" else pixels[..., 2::-1]
    image = Image.fromarray(np.ascontiguousarray(ordered))
    return Picture(pixels=_pixels(image, gray), width=width, height=height)


def _jpeg(data: bytes, wanted: Wanted) -> Picture:
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except ValueError:
        return _other(data, "jpeg", wanted)
    if space in ("CMYK", "YCCK"):
        return _other(data, "jpeg", wanted)
    _limit(width, height, wanted.max_pixels)
    turn = headers.jpeg_orientation(data)
    upright = (width, height) if turn < 5 else (height, width)
    eighths = wanted.eighths(*upright) if min(upright) >= _SMALLEST_REDUCED else 8
    space = "GRAY" if wanted.gray or space == "Gray" else "RGBX"
    wide, high = math.ceil(width * eighths / 8), math.ceil(height * eighths / 8)
    try:
        pixels = simplejpeg.decode_jpeg(data, space, min_width=wide, min_height=high, min_factor=1)
    except ValueError as error:
        if "extraneous bytes" not in str(error):
            raise
        return _other(
            data, "jpeg", wanted
        )  # some cameras put stray bytes between segments, which Pillow forgives
    return Picture(pixels=_upright(pixels, turn), width=upright[0], height=upright[1])


def _other(data: bytes, kind: headers.Kind, wanted: Wanted) -> Picture:
    if kind == "webp":  # its decoder allocates the whole canvas when it opens the file
        size = headers.webp_size(data)
        if size is None:
            raise Unfit("truncated", "broken webp picture: the header is incomplete")
        _limit(*size, wanted.max_pixels)
    with _OPENERS[kind](io.BytesIO(data)) as image:
        _limit(image.width, image.height, wanted.max_pixels)
        image.load()
        exif = image.info.get("exif", b"")
        turn = headers.exif_orientation(exif) if isinstance(exif, bytes) else 1
        pixels = _upright(_pixels(image, wanted.gray), turn)
    return Picture(pixels=pixels, width=pixels.shape[1], height=pixels.shape[0])


def _limit(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise Unfit("bomb", f"a picture of {width}x{height} has more than the {most} pixels allowed")
    if width < 1 or height < 1:
        raise Unfit("picture", f"a picture of {width}x{height} has no pixels")


def _pixels(image: Image.Image, gray: bool) -> Pixels:
    """uint8 [h, w, 1] for gray pictures and gray models, else [h, w, 4]."""
    if image.mode.startswith("I"):
        return (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)[..., None]
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))[..., None]
    if image.mode in (
        "P",
        "PA",
    ):  # a palette may have alpha; by way of RGBA Pillow drops it without a warning
        image = image.convert("RGBA")
    image = image.convert("RGB")
    return np.asarray(image.convert("L"))[..., None] if gray else np.asarray(image.convert("RGBA"))


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    if orientation == 1:
        return pixels
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1) if orientation in (3, 4, 7, 8) else slice(None)
    columns = slice(None, None, -1) if orientation in (2, 3, 6, 7) else slice(None)
    return np.ascontiguousarray(pixels[rows, columns])
