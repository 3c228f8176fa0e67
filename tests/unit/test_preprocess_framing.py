"""Where a picture lies in the model's picture and back, what its pixels become, and the known answer on real faces."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgex_inference.contracts.bindings import Binding, InputReading, ModelChoice, Resource
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.events import Event, Reading
from edgex_inference.contracts.models import ImageInput, InputCard, Normalize, NumbersInput
from edgex_inference.contracts.results import Geometry, Sample
from edgex_inference.contracts.tensors import Array, Datatype, Quantization, TensorSpec
from edgex_inference.preprocess.build import Preprocess, build
from edgex_inference.preprocess.framing import Fit, Framing, placement

F32, U8, I8 = Datatype.FP32, Datatype.UINT8, Datatype.INT8
ROIS = [None, (0.25, 0.5, 1.0, 1.0), (0.1, 0.2, 0.65, 0.7)]


def prepared(
    card: InputCard,
    shape: tuple[int | None, ...],
    datatype: Datatype = F32,
    *,
    batched: bool = True,
    **more: Any,
) -> Preprocess:
    kind, keep = more.pop("kind", "Binary"), more.pop("keep_numbers", False)
    binding = Binding(
        profile="cam", resource="jpeg", name="People", model=ModelChoice(name="person-detect"), outputs=(), **more
    )  # fmt: skip
    resources = {"jpeg": Resource(name="jpeg", value_type=kind, media_type=more.pop("media_type", ""))}
    spec = TensorSpec(name="image", datatype=datatype, shape=shape)
    return build(binding, [card], [spec], resources, batched=batched, keep_numbers=keep)


def image(**more: Any) -> ImageInput:
    return ImageInput(name="image", **{"decode": "full", **more})


def shown(prepare: Preprocess, picture: Array | bytes) -> Sample:
    data = picture
    if isinstance(picture, np.ndarray):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        data = buffer.getvalue()
    assert isinstance(data, bytes)
    reading = Reading(resource_name="jpeg", value_type="Binary", binary_value=data, media_type="image/png")
    return prepare(
        Event(
            api_version="v3", id="1", device_name="cam-1", profile_name="cam", origin=9, readings=(reading,)
        )
    )


def marked(width: int, height: int, x: float, y: float) -> Array:
    """Black with a white square of a twelfth of the width around a point in 0..1."""
    picture = np.zeros((height, width, 3), np.uint8)
    half = max(width // 24, 2)
    column, row = int(x * width), int(y * height)
    picture[max(row - half, 0) : row + half, max(column - half, 0) : column + half] = 255
    return picture


@pytest.mark.parametrize("roi", ROIS)
@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(64, 64), (96, 40), (30, 90)])
@pytest.mark.parametrize("source", [(200, 120), (90, 150)])
def test_a_marked_spot_lands_where_the_geometry_says(
    roi: tuple[float, float, float, float] | None, fit: Fit, size: tuple[int, int], source: tuple[int, int]
) -> None:
    prepare = prepared(
        image(size=size, fit=fit, color="gray", layout="NHWC", range=(0.0, 255.0)),
        (1, size[1], size[0], 1),
        U8,
        roi=roi,
    )
    x, y = (0.5, 0.5) if roi is None else ((roi[0] + roi[2]) / 2, (roi[1] + roi[3]) / 2)
    sample = shown(prepare, marked(*source, x, y))
    found = np.argwhere(sample.tensors["image"][0, ..., 0] > 127)
    assert len(found)
    rows, columns = found.mean(axis=0) + 0.5
    geometry = sample.geometry
    assert geometry is not None
    assert (geometry.width, geometry.height) == source
    seen_x = columns / size[0] * geometry.scale[0] + geometry.shift[0]
    seen_y = rows / size[1] * geometry.scale[1] + geometry.shift[1]
    assert abs(seen_x - x) < 1.5 / min(*source, *size)
    assert abs(seen_y - y) < 1.5 / min(*source, *size)


@given(
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)), st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.sampled_from(["stretch", "letterbox", "crop"]), st.sampled_from(ROIS), st.floats(0, 1), st.floats(0, 1),
)  # fmt: skip
def test_a_point_goes_forth_and_back(
    source: tuple[int, int],
    size: tuple[int, int],
    fit: Fit,
    roi: tuple[float, float, float, float] | None,
    x: float,
    y: float,
) -> None:
    (width, height), (wide, high) = source, size
    where = placement(Framing(size=(wide, high), fit=fit, roi=roi), width, height)
    left, top, region_width, region_height = where.region
    column, row, place_width, place_height = where.place
    assert left >= 0
    assert top >= 0
    assert left + region_width <= width + 1e-6
    assert top + region_height <= height + 1e-6
    forth = (
        (column + x * place_width) / wide,
        (row + y * place_height) / high,
    )
    back = [forth[i] * where.geometry.scale[i] + where.geometry.shift[i] for i in (0, 1)]
    assert back[0] == pytest.approx((left + x * region_width) / width, abs=1e-6)
    assert back[1] == pytest.approx((top + y * region_height) / height, abs=1e-6)
    assert 1 <= where.eighths <= 8
    covers = (
        region_width * where.eighths / 8 >= place_width - 1e-6
        and region_height * where.eighths / 8 >= place_height - 1e-6
    )
    assert covers or where.eighths == 8
    smaller = (where.eighths - 1) / 8
    assert (
        where.eighths == 1 or region_width * smaller < place_width or region_height * smaller < place_height
    )


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
def test_a_reduced_jpeg_lies_where_the_full_one_does(fit: Fit) -> None:
    buffer = io.BytesIO()
    Image.fromarray(marked(640, 480, 0.4, 0.6)).save(buffer, "JPEG", quality=95)
    tensors = []
    for decode in ("full", "reduced"):
        card = image(size=(100, 60), fit=fit, color="gray", layout="NHWC", range=(0.0, 255.0), decode=decode)
        sample = shown(prepared(card, (1, 60, 100, 1), U8, roi=(0.1, 0.2, 0.9, 1.0)), buffer.getvalue())
        tensors.append(np.argwhere(sample.tensors["image"][0, ..., 0] > 200).mean(axis=0))
    np.testing.assert_allclose(tensors[0], tensors[1], atol=0.6)


def test_letterbox_margins_are_gray_and_the_whole_picture_is_in() -> None:
    card = image(size=(40, 40), fit="letterbox", range=(0.0, 1.0), mean=(0.5,), std=(0.25,))
    sample = shown(prepared(card, (1, 3, 40, 40)), np.full((50, 100, 3), 255, np.uint8))
    tensor = sample.tensors["image"]
    np.testing.assert_allclose(tensor[0, :, :10], (114 / 255 - 0.5) / 0.25, rtol=1e-5)
    np.testing.assert_allclose(tensor[0, :, 10:30], 2, rtol=1e-5)
    assert sample.geometry == Geometry(
        width=100, height=50, scale=(1, 2), shift=(0, -0.5), seen=(0, 0.25, 1, 0.75)
    )


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("datatype", [F32, Datatype.FP16, Datatype.FP64])
def test_pixels_become_what_the_card_says(layout: str, color: str, datatype: Datatype) -> None:
    low, high, mean, std = -1.0, 3.0, np.array([0.1, 0.2, 0.3]), np.array([0.5, 2.0, 0.25])
    source = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    card = image(size=(5, 6), layout=layout, color=color, range=(low, high), mean=tuple(mean), std=tuple(std))
    shape = (1, 3, 6, 5) if layout == "NCHW" else (1, 6, 5, 3)
    found = shown(prepared(card, shape, datatype), source).tensors["image"]
    assert found.shape == shape
    assert found.dtype == datatype.numpy
    ordered = source if color == "rgb" else source[..., ::-1]
    want = (ordered / 255 * (high - low) + low - mean) / std
    got = found[0].transpose(1, 2, 0) if layout == "NCHW" else found[0]
    np.testing.assert_allclose(got, want, rtol=1e-3 if datatype is Datatype.FP16 else 1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("datatype", "card", "want"),
    [
        (U8, {"range": (0.0, 255.0)}, lambda p: p),
        (U8, {"quantization": Quantization(scale=1 / 255, zero=0)}, lambda p: p),
        (I8, {"range": (0.0, 255.0), "quantization": Quantization(scale=1.0, zero=-128)}, lambda p: p - 128),
        (I8, {"range": (0.0, 255.0), "mean": (128.0,)}, lambda p: p - 128),
        (
            U8,
            {"quantization": Quantization(scale=0.0078, zero=128)},
            lambda p: np.minimum(np.rint(p / 255 / 0.0078) + 128, 255),
        ),
        (Datatype.INT32, {"range": (0.0, 510.0)}, lambda p: 2 * p),
    ],
)
def test_integer_models(datatype: Datatype, card: dict[str, Any], want: Any) -> None:
    source = np.arange(192, dtype=np.int64).reshape(8, 8, 3)
    prepare = prepared(image(size=(8, 8), layout="NHWC", **card), (1, 8, 8, 3), datatype, keep_numbers=True)
    sample = shown(prepare, source.astype(np.uint8))
    np.testing.assert_array_equal(sample.tensors["image"][0], want(source))
    assert sample.numbers is not None
    low, high = card.get("range", (0.0, 1.0))
    real = source / 255 * (high - low) + low - card.get("mean", (0,))[0]
    np.testing.assert_allclose(sample.numbers["image"][0], real, rtol=1e-5)


def test_normalize_of_the_binding_and_models_without_batch_axis() -> None:
    own = Normalize(mean=(1.0,), std=(2.0,))
    prepare = prepared(image(size=(4, 4), range=(0.0, 255.0)), (3, 4, 4), batched=False, normalize=own)
    found = shown(prepare, np.full((4, 4, 3), 11, np.uint8)).tensors["image"]
    np.testing.assert_array_equal(found, np.full((3, 4, 4), 5, np.float32))
    assert shown(
        prepared(image(size=(4, 4)), (1, 3, 4, 4), batched=False), found[0].astype(np.uint8)
    ).tensors["image"].shape == (1, 3, 4, 4)


@pytest.mark.parametrize(
    ("shape", "first"), [((None, 3, None, None), 3), ((None, 4, 6, 3), 4), ((None, None, None, 3), 4)]
)
def test_layout_and_size_come_from_the_model_where_the_card_is_silent(
    shape: tuple[int | None, ...], first: int
) -> None:
    size = None if shape[1] == 4 else (6, 4)
    prepare = prepared(image(size=size), shape)
    assert shown(prepare, np.zeros((9, 9, 3), np.uint8)).tensors["image"].shape[1] == first


@pytest.mark.parametrize(
    ("card", "shape", "more", "says"),
    [
        (
            {"size": (320, 240)},
            (1, 3, 320, 240),
            {},
            ("[320, 240] (width, height)", "[1, 3, 320, 240]", "size"),
        ),
        (
            {"size": (320, 240), "layout": "NHWC"},
            (1, 3, 240, 320),
            {},
            ("layout NHWC", "[1, 3, 240, 320]", "layout"),
        ),
        ({"color": "gray"}, (1, 3, 8, 8), {}, ("gray", "1 channels", "color")),
        ({}, (1, 3, None, None), {}, ("leaves the size open", "size: [width, height]")),
        ({"size": (8, 8)}, (1, 100), {}, ("image FP32[1, 100]", "axes")),
        ({"size": (8, 8)}, (2, 3, 8, 8), {"batched": False}, ("image FP32[2, 3, 8, 8]",)),
        ({"mean": (0.1, 0.2)}, (1, 3, 8, 8), {}, ("1 or 3 values",)),
        ({"std": (0.0,)}, (1, 3, 8, 8), {}, ("std other than 0",)),
        ({"dtype": U8}, (1, 3, 8, 8), {}, ("card says UINT8", "FP32")),
        ({}, (1, 3, 8, 8), {"datatype": U8}, ("fewer than 3 values of UINT8", "range: [0, 255]")),
        (
            {"range": (0.0, 255.0)},
            (1, 3, 8, 8),
            {"datatype": I8},
            ("128.0 does not fit INT8", "quantization"),
        ),
        ({}, (1, 3, 8, 8), {"datatype": Datatype.BYTES}, ("pictures are numbers",)),
        ({}, (1, 3, 8, 8), {"kind": "Float32"}, ("jpeg is Float32", "Binary picture")),
        (
            {},
            (1, 3, 8, 8),
            {"inputs": (InputReading(resource="a"), InputReading(resource="b"))},
            ("no resource a",),
        ),
    ],
)
def test_what_can_never_fit_is_found_at_load(
    card: dict[str, Any], shape: tuple[int | None, ...], more: dict[str, Any], says: tuple[str, ...]
) -> None:
    with pytest.raises(ModelRejected) as caught:
        prepared(image(**card), shape, **more)
    assert "person-detect" in str(caught.value)
    assert str(caught.value).startswith("model 'person-detect': inputs")
    for words in says:
        assert words in str(caught.value)


def test_bytes_of_a_burst_become_a_tensor() -> None:
    burst = np.arange(6, dtype=">f4")
    media = "application/octet-stream; dtype=float32; shape=2x3; endian=big"
    prepare = prepared(NumbersInput(name="image", kind="tensor"), (None, 2, 3))
    reading = Reading(
        resource_name="jpeg", value_type="Binary", binary_value=burst.tobytes(), media_type=media
    )
    event = Event(
        api_version="v3", id="1", device_name="d", profile_name="cam", origin=9, readings=(reading,)
    )
    np.testing.assert_array_equal(prepare(event).tensors["image"], burst.astype(np.float32).reshape(1, 2, 3))


def test_a_picture_beside_numbers() -> None:
    cards: list[InputCard] = [image(size=(4, 4), layout="NCHW"), NumbersInput(name="speed", names=("v",))]
    specs = [
        TensorSpec(name=n, datatype=F32, shape=s) for n, s in (("image", (1, 3, 4, 4)), ("speed", (1, 1)))
    ]
    inputs = (InputReading(resource="v"), InputReading(resource="jpeg"))
    binding = Binding(profile="p", resource="jpeg", name="b", model=None, outputs=(), inputs=inputs)
    prepare = build(binding, cards, specs, {}, batched=True)
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), 255, np.uint8)).save(buffer, "BMP")
    readings = (
        Reading(resource_name="jpeg", value_type="Binary", binary_value=buffer.getvalue(), origin=3),
        Reading(resource_name="v", value_type="Float32", value="2.5", origin=4),
    )
    sample = prepare(
        Event(api_version="v3", id="1", device_name="d", profile_name="p", origin=1, readings=readings)
    )
    assert (sample.tensors["speed"].tolist(), sample.origin, prepare.pixels) == ([[2.5]], 4, True)
    np.testing.assert_allclose(sample.tensors["image"], 1, rtol=1e-6)


def test_the_face_detector_finds_28_faces(testdata: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="the known answer needs ONNX Runtime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    model = testdata / "models/face-rfb320/version-RFB-320.onnx"
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    card = image(size=(320, 240), range=(0.0, 255.0), mean=(127.0,) * 3, std=(128.0,) * 3)
    tensor = shown(prepared(card, (1, 3, 240, 320)), (testdata / "images/faces.jpg").read_bytes()).tensors[
        "image"
    ]
    scores, boxes = session.run(["scores", "boxes"], {"input": tensor})
    kept: list[int] = []
    for i in np.argsort(-scores[0, :, 1]):
        if scores[0, i, 1] > 0.69 and all(overlap(boxes[0, i], boxes[0, k]) <= 0.5 for k in kept):
            kept.append(int(i))
    best = [float(scores[0, k, 1]) for k in kept]
    assert sum(score > 0.7 for score in best) == 28
    assert best[27:29] == pytest.approx([0.7122, 0.6979], abs=2e-4)


def overlap(one: Array, other: Array) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    return shared / (float(np.prod(one[2:] - one[:2])) + float(np.prod(other[2:] - other[:2])) - shared)
