"""Pictures: formats, EXIF, limits, broken bytes, raw pixels."""

import io
import math
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgex_inference import preprocess
from edgex_inference.contracts.bindings import Binding, ModelChoice, Resource
from edgex_inference.contracts.errors import DecodeError, SetupError
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.models import ImageInput
from edgex_inference.contracts.results import Sample
from edgex_inference.contracts.tensors import Array, Datatype, TensorSpec
from edgex_inference.preprocess import headers
from edgex_inference.preprocess.build import Preprocess, build

U8 = Datatype.UINT8
PLAIN = {"range": (0.0, 255.0)}


def ready(size: tuple[int, int], *, media_type: str = "", **more: Any) -> Preprocess:
    """Plain 8-bit pixels, [1, height, width, 3]: what the decoder gave."""
    max_pixels = more.pop("max_pixels", 64_000_000)
    card = ImageInput(name="image", size=size, **{"layout": "NHWC", "decode": "full", **PLAIN, **more})
    channels = 1 if card.color == "gray" else 3
    spec = TensorSpec(name="image", datatype=U8, shape=(1, size[1], size[0], channels))
    binding = Binding(
        profile="cam", resource="jpeg", name="People", model=ModelChoice(name="m"), outputs=()
    )  # fmt: skip
    resources = {"jpeg": Resource(name="jpeg", value_type="Binary", media_type=media_type)}
    return build(binding, [card], [spec], resources, batched=True, max_pixels=max_pixels)


def sample(
    prepare: Preprocess, data: bytes | None, media_type: str = "image/jpeg", kind: str = "Binary"
) -> Sample:
    value = "text" if kind == "String" else None
    reading = Reading(
        resource_name="jpeg", value_type=kind, value=value, binary_value=data, media_type=media_type
    )
    return prepare(
        Event(
            api_version="v3", id="1", device_name="cam-1", profile_name="cam", origin=7, readings=(reading,)
        )
    )


def pixels(prepare: Preprocess, data: bytes, media_type: str = "image/jpeg") -> Array:
    found = sample(prepare, data, media_type).tensors["image"]
    assert found.dtype == np.uint8
    return found[0]


def refused(prepare: Preprocess, data: bytes | None, media_type: str = "image/jpeg") -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        sample(prepare, data, media_type)
    assert (caught.value.device, caught.value.resource) == ("cam-1", "jpeg")
    return caught.value


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(width: int, height: int) -> Array:
    """Red grows to the right, green downwards, blue against both: every corner differs."""
    x, y = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 220, height))
    return np.stack([x, y, 230 - (x + y) / 2], axis=-1).astype(np.uint8)


PICTURE = smooth(24, 16)
JPEG = simplejpeg.encode_jpeg(PICTURE, quality=95, colorsubsampling="444")


def test_jpeg_png_webp_and_bmp_give_the_same_picture_whatever_the_media_type_says() -> None:
    image = Image.fromarray(PICTURE)
    files = {"PNG": {}, "BMP": {}, "WEBP": {"lossless": True}}
    for kind, options in files.items():
        for media_type in ("image/jpeg", "", "application/octet-stream", "text/plain"):
            found = pixels(ready((24, 16)), saved(image, kind, **options), media_type)
            np.testing.assert_array_equal(found, PICTURE, kind)
    assert np.abs(pixels(ready((24, 16)), JPEG, "image/png").astype(int) - PICTURE).max() <= 6


def test_colors_and_layouts() -> None:
    png = saved(Image.fromarray(PICTURE), "PNG")
    np.testing.assert_array_equal(pixels(ready((24, 16), color="bgr"), png), PICTURE[..., ::-1])
    gray = np.asarray(Image.fromarray(PICTURE).convert("L"))
    np.testing.assert_array_equal(pixels(ready((24, 16), color="gray"), png)[..., 0], gray)
    assert np.abs(pixels(ready((24, 16), color="gray"), JPEG)[..., 0].astype(int) - gray).max() <= 3


def alpha_png() -> bytes:
    return saved(Image.fromarray(np.dstack([PICTURE, np.full((16, 24), 7, np.uint8)]), "RGBA"), "PNG")


def palette_png(**options: Any) -> bytes:
    return saved(Image.fromarray(PICTURE).quantize(256), "PNG", **options)


def test_alpha_is_dropped_and_palettes_are_resolved() -> None:
    np.testing.assert_array_equal(pixels(ready((24, 16)), alpha_png()), PICTURE)
    want = np.asarray(Image.fromarray(PICTURE).quantize(256).convert("RGB"))
    np.testing.assert_array_equal(pixels(ready((24, 16)), palette_png()), want)
    transparent = palette_png(transparency=bytes(range(200)))
    np.testing.assert_array_equal(pixels(ready((24, 16)), transparent), want)
    assert pixels(ready((24, 16), color="gray"), transparent).shape == (16, 24, 1)


def test_gray_16_bit_and_two_level_pictures() -> None:
    gray = PICTURE[..., 0]
    for mode in ("L", "I;16"):
        source = gray if mode == "L" else gray.astype(np.uint16) * 256 + 99
        found = pixels(ready((24, 16)), saved(Image.fromarray(source), "PNG"))
        np.testing.assert_array_equal(found, np.repeat(gray[..., None], 3, axis=-1), mode)
    found = pixels(ready((24, 16)), saved(Image.fromarray(gray).convert("LA"), "PNG"))
    np.testing.assert_array_equal(found[..., 1], gray)
    bits = pixels(ready((24, 16), color="gray"), saved(Image.fromarray(gray > 100), "PNG"))
    np.testing.assert_array_equal(bits[..., 0], (gray > 100) * 255)


def test_gray_and_cmyk_jpegs() -> None:
    gray = pixels(ready((24, 16)), saved(Image.fromarray(PICTURE[..., 0]), "JPEG", quality=95))
    assert np.abs(gray.astype(int) - PICTURE[..., :1]).max() <= 3
    cmyk = pixels(ready((24, 16)), saved(Image.fromarray(PICTURE).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cmyk.astype(int) - PICTURE).max() <= 5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("decode", ["full", "reduced"])
def test_every_exif_orientation_is_turned_upright(orientation: int, kind: str, decode: str) -> None:
    upright = smooth(96, 64)
    undo: dict[int, Callable[[Array], Array]] = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](upright)))
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}}[kind]
    data = saved(stored, kind, exif=exif, **options)
    found = sample(ready((24, 16), decode=decode), data)
    assert found.geometry is not None
    assert (found.geometry.width, found.geometry.height) == (96, 64)
    near = np.asarray(Image.fromarray(upright).resize((24, 16), Image.Resampling.BOX)).astype(int)
    assert np.abs(found.tensors["image"][0].astype(int) - near).max() <= 8


@given(st.binary(max_size=80), st.sampled_from([b"", b"II*\0", b"MM\0*", b"Exif\0\0II*\0\x08\0\0\0"]))
def test_no_exif_block_is_too_broken_to_be_left_alone(rest: bytes, start: bytes) -> None:
    assert 1 <= headers.exif_orientation(start + rest) <= 8
    segment = b"Exif\0\0" + start + rest
    data = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + rest
    assert 1 <= headers.jpeg_orientation(data) <= 8


@pytest.mark.parametrize(("entry", "want"), [((3, 1, 6), 6), ((3, 1, 9), 1), ((3, 1, 0), 1), ((4, 1, 6), 1)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientations_that_do_not_exist_are_left_alone(
    entry: tuple[int, int, int], want: int, order: str
) -> None:
    start = b"II*\0" if order == "<" else b"MM\0*"
    block = start + struct.pack(order + "IHHHIHH", 8, 1, 0x0112, *entry, 0)
    assert headers.exif_orientation(block) == want
    assert headers.exif_orientation(b"Exif\0\0" + block) == want


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(bytes(100))
    return start + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


def jpeg_of(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0")
    return JPEG[: at + 5] + struct.pack(">HH", height, width) + JPEG[at + 9 :]


def bmp_of(width: int, height: int) -> bytes:
    data = saved(Image.fromarray(PICTURE), "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def webp_of(width: int, height: int) -> bytes:
    content = bytes(4) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + content


@pytest.mark.parametrize("forged", [png_header, jpeg_of, bmp_of, webp_of])
def test_a_bomb_is_refused_by_its_header(forged: Callable[[int, int], bytes]) -> None:
    error = refused(ready((24, 16), max_pixels=100_000_000), forged(16_000, 16_000))
    assert error.reason == "bomb"
    assert "16000x16000" in error.detail


def test_the_limit_on_pixels_is_exact() -> None:
    for data in (JPEG, saved(Image.fromarray(PICTURE), "PNG"), saved(Image.fromarray(PICTURE), "WEBP")):
        assert refused(ready((24, 16), max_pixels=24 * 16 - 1), data).reason == "bomb"
        pixels(ready((24, 16), max_pixels=24 * 16), data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_truncated_pictures(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    for length in (len(data) // 2, len(data) - 40, 40, 20, 12):
        assert refused(ready((24, 16)), data[:length]).reason in ("truncated", "picture", "media")
    assert refused(ready((24, 16)), data[: len(data) // 2]).reason == "truncated" or kind == "WEBP"


def test_stray_bytes_in_a_whole_jpeg_are_forgiven_and_in_a_cut_one_not() -> None:
    at = JPEG.index(b"\xff\xc4")
    stray = JPEG[:at] + b"\0\0\0" + JPEG[at:]
    assert np.abs(pixels(ready((24, 16)), stray + b"\0\0").astype(int) - PICTURE).max() <= 6
    assert refused(ready((24, 16)), stray[:-20]).reason == "truncated"


@pytest.mark.parametrize(
    ("data", "media_type", "reason"),
    [
        (b"", "image/jpeg", "empty"),
        (None, "image/jpeg", "null"),
        (b"hello, world", "image/jpeg", "media"),
        (b"\xff\xd8\xff", "image/jpeg", "truncated"),
        (b"\xff\xd8\xff\xff\xd9", "image/jpeg", "picture"),
        (bytes(24 * 16 * 3), "application/octet-stream; shape=16x25x3", "length"),
        (bytes(24 * 16 * 2), "application/octet-stream; shape=16x24x2", "media"),
        (bytes(24 * 16 * 3), "application/octet-stream; shape=16x24x3; dtype=float32", "media"),
        (bytes(24), "application/octet-stream; shape=0x24", "media"),
        (bytes(24), "application/octet-stream; shape=99999x99999x3", "bomb"),
    ],
)
def test_bytes_that_are_no_picture(data: bytes | None, media_type: str, reason: str) -> None:
    assert refused(ready((24, 16)), data, media_type).reason == reason


def test_a_text_is_no_picture() -> None:
    with pytest.raises(DecodeError, match="cam-1: resource jpeg: a String reading where a Binary"):
        sample(ready((24, 16)), None, kind="String")


def test_raw_pixels() -> None:
    raw = "application/octet-stream; shape=16x24x3"
    np.testing.assert_array_equal(pixels(ready((24, 16)), PICTURE.tobytes(), raw), PICTURE)
    np.testing.assert_array_equal(pixels(ready((24, 16), media_type=raw), PICTURE.tobytes(), ""), PICTURE)
    np.testing.assert_array_equal(
        pixels(ready((24, 16)), PICTURE.tobytes(), "application/octet-stream"), PICTURE
    )
    turned = pixels(ready((24, 16)), PICTURE[..., ::-1].tobytes(), raw + "; color=bgr")
    np.testing.assert_array_equal(turned, PICTURE)
    gray = PICTURE[..., 0].tobytes()
    found = pixels(ready((24, 16)), gray, "application/octet-stream; shape=16x24x1")
    np.testing.assert_array_equal(found[..., 2], PICTURE[..., 0])
    luma = pixels(ready((24, 16), color="gray"), PICTURE.tobytes(), raw)
    np.testing.assert_array_equal(luma[..., 0], np.asarray(Image.fromarray(PICTURE).convert("L")))


def survives(prepare: Preprocess, data: bytes) -> None:
    try:
        sample(prepare, data)
    except DecodeError as error:
        assert error.reason in {"bomb", "truncated", "picture", "media", "empty"}  # noqa: PT017  both ways are fine


FILES = [JPEG, saved(Image.fromarray(PICTURE), "JPEG", progressive=True), alpha_png(), palette_png()] + [
    saved(Image.fromarray(PICTURE), kind) for kind in ("BMP", "WEBP", "GIF")
]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    st.data(),
)
def test_broken_files_raise_nothing_but_decode_errors(
    data: bytes, changes: Sequence[tuple[int, int]], more: st.DataObject
) -> None:
    broken = bytearray(data)
    for at, value in changes:
        broken[at % len(broken)] = value
    cut = more.draw(st.integers(0, len(broken)))
    for decode in ("full", "reduced"):
        survives(ready((6, 4), decode=decode, max_pixels=1_000_000), bytes(broken[: cut or None]))


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF\0\0\0\0WEBPVP8 "]),
)
def test_random_bytes_raise_nothing_but_decode_errors(rest: bytes, start: bytes) -> None:
    survives(ready((6, 4), max_pixels=1_000_000), start + rest)


@pytest.mark.parametrize("error", [MemoryError(), SyntaxError("odd"), struct.error("short"), OverflowError()])
def test_whatever_a_library_raises_becomes_a_decode_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(simplejpeg, "decode_jpeg", fail)
    assert refused(ready((24, 16)), JPEG).reason == "picture"


def test_missing_libraries_are_a_sentence_at_load(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("codecs", "picture"):
        monkeypatch.delitem(sys.modules, f"edgex_inference.preprocess.{name}")
        monkeypatch.delattr(preprocess, name)
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    with pytest.raises(
        SetupError, match=r'binding People.*simplejpeg.*pip install "edgex-inference\[images\]"'
    ):
        ready((24, 16))


def test_a_jpeg_is_read_at_the_smallest_scale_that_covers_what_is_used() -> None:
    asked: list[int] = []
    original = simplejpeg.decode_jpeg
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(smooth(640, 480)))

    def spy(*args: Any, **options: Any) -> Array:
        asked.append(options["min_width"])
        decoded: Array = original(*args, **options)
        assert decoded.shape[1] == options["min_width"]
        return decoded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simplejpeg, "decode_jpeg", spy)
        for size, more in [
            ((320, 240), {}),
            ((320, 240), {"decode": "full"}),
            ((96, 96), {}),
            ((700, 50), {}),
        ]:
            pixels(ready(size, decode="reduced") if not more else ready(size, **more), data)
        pixels(ready((96, 96), decode="reduced", fit="letterbox"), data)
    assert asked == [320, 640, math.ceil(640 * 2 / 8), 640, math.ceil(640 * 2 / 8)]
