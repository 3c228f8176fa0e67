"""Resizing against answers recorded from OpenCV 5, and its bounds."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgex_inference.preprocess.resample import Method, Span, resize

SOURCE = (np.arange(63, dtype=np.int64) ** 2 * 37 % 256).astype(np.uint8).reshape(7, 9)
RECORDED: dict[tuple[Method, int, int], list[list[int]]] = {
    ("bilinear", 4, 3): [[101, 160, 108, 61], [85, 35, 13, 17], [157, 52, 80, 211]],
    ("area", 4, 3): [[96, 141, 109, 80], [123, 153, 131, 89], [134, 77, 101, 191]],
    ("bicubic", 4, 3): [[104, 170, 107, 42], [78, 18, 0, 9], [174, 26, 65, 228]],
}
ENLARGED = [  # bilinear to 13x10, rows 0, 5 and 9
    [0, 20, 62, 139, 104, 78, 80, 133, 116, 49, 28, 41, 64],
    [88, 110, 135, 153, 113, 113, 171, 112, 111, 142, 61, 56, 81],
    [116, 82, 55, 63, 116, 119, 52, 36, 49, 89, 176, 179, 148],
]


def resized(
    source: npt.NDArray[np.uint8], width: int, height: int, method: Method = "bilinear"
) -> npt.NDArray[np.uint8]:
    rows, columns = source.shape[:2]
    across, down = Span(start=0, length=columns, out=width), Span(start=0, length=rows, out=height)
    return resize(source.reshape(rows, columns, -1), across, down, method)


@pytest.mark.parametrize("method", ["bilinear", "area", "bicubic"])
def test_shrinking_gives_the_recorded_answers(method: Method) -> None:
    assert resized(SOURCE, 4, 3, method)[..., 0].tolist() == RECORDED[method, 4, 3]


def test_enlarging_gives_the_recorded_answers_bit_by_bit() -> None:
    assert resized(SOURCE, 13, 10)[[0, 5, 9], :, 0].tolist() == ENLARGED


@pytest.mark.parametrize("method", ["bilinear", "area", "nearest", "bicubic"])
@pytest.mark.parametrize("size", [(4, 3), (13, 10), (9, 7), (1, 1), (4, 10)])
def test_four_channels_are_four_pictures(method: Method, size: tuple[int, int]) -> None:
    channels = [SOURCE, SOURCE[::-1], SOURCE[:, ::-1], 255 - SOURCE]
    together = resized(np.ascontiguousarray(np.stack(channels, axis=-1)), *size, method)
    for i, channel in enumerate(channels):
        alone = resized(np.ascontiguousarray(channel), *size, method)
        np.testing.assert_array_equal(together[..., i], alone[..., 0])


@pytest.mark.parametrize("size", [(4, 3), (13, 10), (5, 20)])
def test_nearest_is_pillows(size: tuple[int, int]) -> None:
    want = np.asarray(Image.fromarray(SOURCE).resize(size, Image.Resampling.NEAREST))
    np.testing.assert_array_equal(resized(SOURCE, *size, "nearest")[..., 0], want)


@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(1, 90), st.integers(1, 90), st.integers(0, 255),
    st.sampled_from(["bilinear", "area", "nearest", "bicubic"]),
)  # fmt: skip
def test_a_flat_picture_stays_flat(
    rows: int, columns: int, height: int, width: int, level: int, method: Method
) -> None:
    flat = np.full((rows, columns), level, np.uint8)
    assert np.all(resized(flat, width, height, method) == level)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_bilinear_is_its_definition_within_a_level(rows: int, columns: int, height: int, width: int) -> None:
    source = np.random.default_rng(rows * columns).integers(0, 256, (rows, columns), dtype=np.uint8)

    def positions(
        size: int, out: int
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        at = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
        first = np.floor(at).astype(np.intp)
        return first, np.minimum(first + 1, size - 1), at - first

    left, right, x = positions(columns, width)
    top, bottom, y = positions(rows, height)
    wide = source[:, left] * (1 - x) + source[:, right] * x
    want = wide[top] * (1 - y)[:, None] + wide[bottom] * y[:, None]
    assert np.abs(resized(source, width, height)[..., 0] - want).max() <= 1.01


@pytest.mark.parametrize("method", ["bilinear", "area", "nearest", "bicubic"])
def test_a_part_never_reads_beyond_itself(method: Method) -> None:
    source = np.zeros((40, 50, 1), np.uint8)
    source[10:20, 15:35] = 200
    for size in (3, 10, 47):
        across, down = Span(start=15, length=20, out=size), Span(start=10, length=10, out=size)
        assert np.all(resize(source, across, down, method) == 200)
    whole = Span(start=15, length=20, out=20), Span(start=10, length=10, out=10)
    np.testing.assert_array_equal(resize(source, *whole, method), source[10:20, 15:35])
