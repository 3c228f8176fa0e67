"""Caffe's files written byte by byte, and small synthetic nets, for tests; needs numpy only."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, Sequence[Any]]


def number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def field_of(index: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return number(index << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(index << 3 | 2) + number(len(data)) + data


def blob(array: Any, *, legacy: bool = False) -> bytes:
    found = np.asarray(array, np.float32)
    data = field_of(5, found.tobytes())
    if legacy:
        dims = (1,) * (4 - found.ndim) + found.shape
        return b"".join(field_of(index + 1, extent) for index, extent in enumerate(dims)) + data
    return field_of(7, field_of(1, b"".join(map(number, found.shape)))) + data


def caffemodel(weights: Arrays, *, v1: bool = False, legacy: bool = False) -> bytes:
    """LayerParameter (100), or V1LayerParameter (2) whose name and blobs have other numbers."""
    name, blobs, layer = (4, 6, 2) if v1 else (1, 7, 100)
    return b"".join(
        field_of(
            layer,
            field_of(name, key) + b"".join(field_of(blobs, blob(one, legacy=legacy)) for one in arrays),
        )
        for key, arrays in {"data": (), **weights}.items()
    )


def unpacked(values: Sequence[float]) -> bytes:
    """A blob's numbers one by one, as a writer may that does not pack them."""
    return b"".join(number(5 << 3 | 5) + struct.pack("<f", one) for one in values)


@dataclass(frozen=True)
class CaffeNet:
    """A net with one input `data`, its weights, and the shape that it is fed."""

    text: str
    shape: tuple[int, ...]
    weights: Arrays = field(default_factory=dict)

    def write(self, folder: Path) -> tuple[Path, Path]:
        prototxt, weights = folder / "net.prototxt", folder / "net.caffemodel"
        prototxt.write_text(self.text)
        weights.write_bytes(caffemodel(self.weights))
        return prototxt, weights

    def input(self) -> Any:
        return np.random.default_rng(7).standard_normal(self.shape).astype(np.float32)


def layer(kind: str, said: str = "", *, name: str = "", bottom: str = "data", top: str = "out") -> str:
    """Bottoms and tops are separated by blanks."""
    ends = [f'bottom: "{one}"' for one in bottom.split()] + [f'top: "{one}"' for one in top.split()]
    return f'layer {{ name: "{name or kind.lower()}" type: "{kind}" {" ".join(ends)} {said} }}\n'


def net(*layers: str, shape: Sequence[int], **weights: Sequence[Any]) -> CaffeNet:
    dims = " ".join(f"dim: {extent}" for extent in shape)
    head = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}\n'
    return CaffeNet(head + "".join(layers), tuple(shape), weights)


def _random(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _positive(*shape: int) -> Any:
    return np.abs(_random(*shape)) + 0.5


def _one(kind: str, said: str, shape: Sequence[int], *arrays: Any) -> CaffeNet:
    return net(layer(kind, said), shape=shape, **{kind.lower(): arrays})


def _ssd(code: str, clip: str) -> CaffeNet:
    """Two feature maps with priors, offsets and scores from convolutions."""
    parts, weights = list[str](), dict[str, Sequence[Any]]()
    for index, (bottom, sizes) in enumerate((("data", "min_size: 4 max_size: 8"), ("small", "min_size: 8"))):
        if bottom == "small":
            parts.append(
                layer("Pooling", "pooling_param { kernel_size: 2 stride: 2 }", name="pool", top=bottom)
            )
        for kind, width in (("loc", 4), ("conf", 3)):
            outputs, name = (4 if "max_size" in sizes else 3) * width, f"{kind}{index}"
            parts += _offsets(name, bottom, outputs)
            weights[name] = [_random(outputs, 4, 1, 1) * 0.5, _random(outputs) * 0.3]
        spread = "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"
        said = f"prior_box_param {{ {sizes} aspect_ratio: 2 {spread} clip: {clip} }}"
        parts.append(
            layer("PriorBox", said, name=f"prior{index}", bottom=f"{bottom} data", top=f"prior{index}")
        )
    for kind, tail, axis in (("loc", "f", 1), ("conf", "f", 1), ("prior", "", 2)):
        ends = {"bottom": f"{kind}0{tail} {kind}1{tail}", "top": kind}
        parts.append(layer("Concat", f"concat_param {{ axis: {axis} }}", name=kind, **ends))
    said = "reshape_param { shape { dim: 0 dim: -1 dim: 3 } }"
    parts.append(layer("Reshape", said, name="r", bottom="conf", top="r"))
    parts.append(layer("Softmax", "softmax_param { axis: 2 }", name="s", bottom="r", top="s"))
    parts.append(layer("Flatten", "flatten_param { axis: 1 }", name="f", bottom="s", top="f"))
    said = (
        "detection_output_param { num_classes: 3 share_location: true background_label_id: 0 "
        f"nms_param {{ nms_threshold: 0.45 top_k: 100 }} code_type: {code} keep_top_k: 50 confidence_threshold: 0.3 }}"
    )
    parts.append(
        layer("DetectionOutput", said, name="detection_out", bottom="loc f prior", top="detection_out")
    )
    return net(*parts, shape=(1, 4, 8, 12), **weights)


def _offsets(name: str, bottom: str, outputs: int) -> list[str]:
    """A convolution, its numbers place by place in one row, `NAMEf`."""
    said = f"convolution_param {{ num_output: {outputs} kernel_size: 1 }}"
    order = "permute_param { order: 0 order: 2 order: 3 order: 1 }"
    return [
        layer("Convolution", said, name=name, bottom=bottom, top=name),
        layer("Permute", order, name=f"{name}p", bottom=name, top=f"{name}p"),
        layer("Flatten", "flatten_param { axis: 1 }", name=f"{name}f", bottom=f"{name}p", top=f"{name}f"),
    ]


_POOL = "pooling_param {{ pool: {} kernel_size: {} stride: {} pad: {} {} }}"
_CONV = "convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 0 group: 2 }"
ORACLE: Mapping[str, CaffeNet] = {
    "convolution": _one("Convolution", _CONV, (1, 6, 9, 8), _random(4, 3, 3, 2), _random(4)),
    "dilated": _one("Convolution", "convolution_param { num_output: 3 kernel_size: 3 dilation: 2 bias_term: false }",
                    (1, 2, 9, 9), _random(3, 2, 3, 3)),
    "deconvolution": _one("Deconvolution", "convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 }",
                          (1, 3, 5, 6), _random(3, 4, 4, 4), _random(4)),
    "max up": _one("Pooling", _POOL.format("MAX", 3, 2, 0, ""), (1, 2, 8, 9)),
    "max up padded": _one("Pooling", _POOL.format("MAX", 3, 2, 1, ""), (1, 2, 8, 9)),
    "average up": _one("Pooling", _POOL.format("AVE", 3, 2, 0, ""), (1, 2, 8, 9)),
    "average padded": _one("Pooling", _POOL.format("AVE", 3, 1, 1, ""), (1, 2, 8, 9)),
    "average global": _one("Pooling", "pooling_param { pool: AVE global_pooling: true }", (1, 2, 8, 9)),
    "inner product": _one("InnerProduct", "inner_product_param { num_output: 5 }",
                          (1, 2, 3, 4), _random(5, 24), _random(5)),
    "batch norm": _one("BatchNorm", "batch_norm_param { eps: 1e-3 }", (1, 3, 4, 5), _random(3), _positive(3), [2.0]),
    "scale": _one("Scale", "scale_param { bias_term: true }", (1, 3, 4, 5), _random(3), _positive(3)),
    "lrn across": _one("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 }", (1, 6, 4, 5)),
    "lrn within": _one("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }",
                       (1, 2, 6, 5)),
    "prelu": _one("PReLU", "", (1, 3, 4, 5), _random(3)),
    "leaky": _one("ReLU", "relu_param { negative_slope: 0.1 }", (1, 3, 4, 5)),
    "elu": _one("ELU", "", (1, 3, 4, 5)),
    "power": _one("Power", "power_param { power: 2 scale: 0.5 shift: 1 }", (1, 3, 4, 5)),
    "exp": _one("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }", (1, 3, 4, 5)),
    "normalize": _one("Normalize", "norm_param { across_spatial: false channel_shared: false }",
                      (1, 3, 4, 5), _positive(3)),
    "mvn": _one("MVN", "", (1, 3, 4, 5)),
    "permute": _one("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }", (1, 3, 4, 5)),
    "interp": _one("Interp", "interp_param { height: 9 width: 7 }", (1, 2, 4, 5)),
    "ssd centers": _ssd("CENTER_SIZE", "false"),
    "ssd corners": _ssd("CORNER", "true"),
}  # fmt: skip
"""What OpenCV's importer is asked too: `tests/caffe_oracle.py` keeps its answers in `tests/data/caffe`."""

REAL: Mapping[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "face-rfb320/RFB-320": ((1, 3, 240, 320), ("boxes", "scores")),
    "mtcnn-caffe/det1": ((1, 3, 12, 12), ("conv4-2", "prob1")),
    "mtcnn-caffe/det2": ((1, 3, 24, 24), ("conv5-2", "prob1")),
    "mtcnn-caffe/det3": ((1, 3, 48, 48), ("conv6-2", "conv6-3", "prob1")),
}
"""Real nets: what each is fed, and its outputs."""
_EVERY = 64


def sample(shape: tuple[int, ...]) -> Any:
    """What a real net is fed."""
    return np.random.default_rng(11).uniform(-1, 1, shape).astype(np.float32)


def kept(array: Any) -> Any:
    """Of a long output every 64th row."""
    return array[:, ::_EVERY] if array.ndim == 3 and array.shape[1] > 1000 else array
