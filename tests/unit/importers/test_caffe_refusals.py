"""What Caffe's importer refuses: in one sentence, quickly, and with no other error, whatever the bytes are."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.importers.caffe import convert
from edgex_inference.testing.caffe_models import CaffeNet, blob, caffemodel, field_of, layer, net, unpacked

WEIGHTS, BIAS = np.arange(6, dtype=np.float32).reshape(2, 3), np.float32([1, 2])
PRODUCT = layer("InnerProduct", "inner_product_param { num_output: 2 }", name="ip")
GOOD = net(PRODUCT, shape=(1, 3), ip=(WEIGHTS, BIAS))
DATA = np.float32([[1, 2, 3], [4, 5, 6]])


def refusal(case: CaffeNet, folder: Path) -> str:
    prototxt, weights = case.write(folder)
    with pytest.raises(ModelRejected) as caught:
        convert(prototxt, weights)
    assert str(folder) in str(caught.value)
    return caught.value.reason


def computed(model: Any) -> Any:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["out"], {"data": DATA})[0]


def test_all_unknown_layers_are_named_at_once(tmp_path: Path) -> None:
    parts = [layer("Python", name=f"py{index}", top=f"t{index}") for index in range(5)]
    parts += [layer("SoftmaxWithLoss", name="loss", top="l"), layer("Fancy", name="fancy", top="f")]
    found = refusal(net(PRODUCT, *parts, shape=(1, 3), ip=(WEIGHTS, BIAS)), tmp_path)
    assert "Python ('py0', 'py1', 'py2' and 2 more): its code is no part of the file" in found
    assert "SoftmaxWithLoss ('loss'): this is the net for training" in found
    assert "Fancy ('fancy'): replace it in the prototxt by layers that are known" in found


@pytest.mark.parametrize(
    ("one", "shape", "arrays", "wanted"),
    [
        (PRODUCT, (1, 3), (), "no weights in the caffemodel"),
        (PRODUCT, (1, 4), (WEIGHTS, BIAS), "weights of 2×3, but the prototxt makes it 2×4"),
        (PRODUCT, (1, 3), (WEIGHTS,), "no bias"),
        (layer("InnerProduct"), (1, 3), (), "no num_output"),
        (layer("Sigmoid", bottom="nowhere"), (1, 3), (), "reads 'nowhere', which no layer before it makes"),
        (layer("Sigmoid", bottom="data data"), (1, 3), (), "2 inputs where 1 belong"),
        (layer("Sigmoid", top="a b"), (1, 3), (), "2 tops where 1 belong"),
        (layer("Softmax", "softmax_param { axis: 7 }"), (1, 3), (), "axis 7 is no axis of a blob with 2"),
        (layer("Convolution", "convolution_param { num_output: 1 kernel_size: 9 }"), (1, 1, 3, 3), ([0.0] * 81, [0.0]),
         "gives a blob of batch×1×-5×-5"),
        (layer("Convolution", "convolution_param { num_output: 1 }"), (1, 1, 3, 3), (), "no kernel_size"),
        (layer("Convolution", "convolution_param { num_output: 4 kernel_size: 1 group: 3 }"), (1, 3, 3, 3), (),
         "3 groups"),
        (layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), (1, 1, 4, 4), (), "at random"),
        (layer("Pooling", "pooling_param { kernel_size: 2 }", top="a b"), (1, 1, 4, 4), (), "second top"),
        (layer("Pooling", "pooling_param { kernel_size: 1 stride: 2 }"), (1, 1, 4, 4), (), "round_mode: FLOOR"),
        (layer("Reshape", "reshape_param { shape { dim: 0 dim: 2 } }"), (1, 3), (), "the numbers do not fit"),
        (layer("Reshape", "reshape_param { shape { dim: -1 dim: -1 } }"), (1, 3), (), "reshapes axes"),
        (layer("Eltwise", bottom="data"), (1, 3), (), "fewer than 2"),
        (layer("Slice", "slice_param { slice_point: 9 }", top="a b"), (1, 3), (), r"slice points \[9\]"),
        (layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), (1, 3), (), "measures each batch"),
        (layer("Tile", "tile_param { axis: 1 tiles: 2000000000 }"), (1, 3), (), "batch×6000000000"),
        (layer("PriorBox", "prior_box_param { min_size: 1 }", bottom="data data"), (1, 1, 30000, 30000), (), "at most"),
        (layer("Power", "power_param { power: much }"), (1, 3), (), "power: 'much' is not a number"),
        (layer("Power", "power_param: 3"), (1, 3), (), "power_param: '3' is not {…}"),
        (layer("Log", "log_param { base: -3 }"), (1, 3), (), "base -3"),
        (layer("Upsample", bottom="data data"), (1, 1, 4, 4), (), "a mask"),
        (layer("Convolution", "convolution_param { num_output: 1 kernel_size: 1 hole: 2 }"), (1, 1, 3, 3),
         ([1.0], [0.0]),
         "says convolution_param.hole, which is not known"),
    ],
)  # fmt: skip
def test_layers_that_cannot_be(
    one: str, shape: Sequence[int], arrays: Sequence[Any], wanted: str, tmp_path: Path
) -> None:
    found = refusal(net(one, shape=shape, ip=arrays, convolution=arrays), tmp_path)
    assert found.startswith("layer '")
    assert re.search(wanted, found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "no layers"),
        ("layer {", "ends before a }"),
        ("layer { name: 'a' type: 'ReLU' } }", "line 1: '}' where a key belongs"),
        ("layer {\n  name: }", "line 2: '}' where a value belongs"),
        ('layer { name: "a }', "where text format belongs"),
        ("a { " * 50, "nested deeper than 32"),
        (PRODUCT, "says no input"),
        ('input: "data"\n' + PRODUCT, "input 'data' has no shape"),
        ('input: "data" input_dim: 1 input_dim: 0\n' + PRODUCT, "1×0 is no shape"),
        ('input: "data" input_shape { dim: 99999 dim: 99999 }\n' + PRODUCT, "99999×99999 is no shape"),
        ('input: "data" input_dim: 1 input_dim: 3\nlayer { name: "a" top: "out" }', "layer 'a' has no type"),
        ('input: "data" input_dim: 1 layers { layer { name: "a" } }', "upgrade_net_proto_text"),
        ("layer { name: 'a' type: 'Input' top: 'a' }", "layer 'a' has no shape"),
    ],
)
def test_prototxts_that_are_none(text: str, wanted: str, tmp_path: Path) -> None:
    assert re.search(wanted, refusal(CaffeNet(text, ()), tmp_path))


def test_files_exchanged(tmp_path: Path) -> None:
    prototxt, weights = GOOD.write(tmp_path)
    with pytest.raises(ModelRejected, match="is no caffemodel"):
        convert(prototxt, prototxt)
    with pytest.raises(ModelRejected, match=r"is no text|where"):
        convert(weights, weights)


def test_an_input_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="has no input 'image': its inputs are data"):
        convert(*GOOD.write(tmp_path), shapes={"image": (1, 3)})
    with pytest.raises(ModelRejected, match="is no shape"):
        convert(*GOOD.write(tmp_path), shapes={"data": (1, 0)})


def test_both_generations_of_files_and_both_ways_to_write_numbers(tmp_path: Path) -> None:
    wanted = DATA @ WEIGHTS.T + BIAS
    prototxt, weights = GOOD.write(tmp_path)
    np.testing.assert_allclose(computed(convert(prototxt, weights)), wanted)
    weights.write_bytes(caffemodel(GOOD.weights, v1=True, legacy=True))
    np.testing.assert_allclose(computed(convert(prototxt, weights)), wanted)
    prototxt.write_text(
        "# of the first generation\nname: 'old' input: 'data' input_dim: 1 input_dim: 3\n"
        "layers < name: 'ip' type: INNER_PRODUCT bottom: 'data' top: \"o\" 'ut'\n"
        "  include: { phase: TEST } inner_product_param { num_output: 2, axis: 1; }>\n"
        "layers { name: 'gone' type: SOFTMAX_LOSS bottom: 'out' include { phase: TRAIN } }\n"
    )
    one = b"".join(unpacked(row) for row in WEIGHTS)
    arrays = field_of(7, field_of(7, field_of(1, 2) + field_of(1, 3)) + one) + field_of(7, blob(BIAS))
    weights.write_bytes(field_of(100, field_of(1, "ip") + arrays))
    np.testing.assert_allclose(computed(convert(prototxt, weights)), wanted)


def test_a_shape_that_the_prototxt_does_not_say(tmp_path: Path) -> None:
    one = layer("Convolution", "convolution_param { num_output: 1 kernel_size: 2 }")
    case = net(one, shape=(1, 1, 12, 12), convolution=(np.ones((1, 1, 2, 2)), [0.5]))
    model = convert(*case.write(tmp_path), shapes={"": (1, 1, 5, 7)})
    assert model == convert(*case.write(tmp_path), shapes={"data": (1, 1, 5, 7)})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(["out"], {"data": np.ones((3, 1, 5, 7), np.float32)})[0]
    np.testing.assert_array_equal(found, np.full((3, 1, 4, 6), 4.5))


def test_every_truncation_of_the_weights_is_refused(tmp_path: Path) -> None:
    prototxt, weights = GOOD.write(tmp_path)
    whole = weights.read_bytes()
    start = whole.index(b"ip")
    for size in range(start, len(whole)):
        weights.write_bytes(whole[:size])
        with pytest.raises(ModelRejected):
            convert(prototxt, weights)


def test_damaged_bytes_raise_nothing_else(tmp_path: Path) -> None:
    parts = [
        layer("Convolution", "convolution_param { num_output: 2 kernel_size: 2 pad: 1 }", name="c", top="c"),
        layer("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }", bottom="c", top="p"),
        layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", bottom="p", top="r"),
        layer("InnerProduct", "inner_product_param { num_output: 2 }", name="ip", bottom="r"),
    ]
    weights = {"c": (np.ones((2, 1, 2, 2)), [0, 1]), "ip": (np.ones((2, 18)), BIAS)}
    case = net(*parts, shape=(1, 1, 5, 5), **weights)
    prototxt, model = case.write(tmp_path)
    chance, refused = np.random.default_rng(3), 0
    for turn in range(240):
        file = (prototxt, model)[turn % 2]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        for at in chance.integers(0, len(whole), 2):
            damaged[at] = int(chance.integers(32, 127) if turn % 4 else chance.integers(256))
        file.write_bytes(damaged)
        try:
            convert(prototxt, model)
        except ModelRejected:
            refused += 1
        file.write_bytes(whole)
    assert refused > 60


def test_huge_arrays_are_not_made(tmp_path: Path) -> None:
    """A shape of 2^60 numbers in a file of a hundred bytes; a length behind the end."""
    prototxt, weights = GOOD.write(tmp_path)
    dims = field_of(7, field_of(1, 1 << 30) + field_of(1, 1 << 30))
    weights.write_bytes(field_of(100, field_of(1, "ip") + field_of(7, dims + field_of(5, b"\0" * 8))))
    with pytest.raises(ModelRejected, match=r"layer 'ip': an array of 1073741824×1073741824 has 2 numbers"):
        convert(prototxt, weights)
    weights.write_bytes(b"\xa2\x06" + b"\xff" * 8 + b"\x01")
    with pytest.raises(ModelRejected, match="ends in the middle of a field"):
        convert(prototxt, weights)
