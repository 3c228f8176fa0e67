"""What an ONNX file says, read without a runtime: as the onnx package reads it, and no crash on broken bytes."""

import contextlib
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.testing import onnx_models
from edgex_inference.testing.kinds import Kind


@pytest.mark.parametrize("kind", [Kind.ANY, Kind.ONE, Kind.TWO, Kind.SLOW, Kind.INTEGERS])
def test_it_says_what_the_package_onnx_says(kind: Kind, tmp_path: Path) -> None:
    path = onnx_models.write(kind, tmp_path)
    found, model = onnx_file.read(path), onnx.load(path)
    assert [one.name for one in found.inputs] == [one.name for one in model.graph.input]
    assert [one.name for one in found.outputs] == [one.name for one in model.graph.output]
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert found.inputs[0].shape == tuple(one.dim_param or one.dim_value for one in shape)
    assert dict(found.opsets) == {one.domain or "ai.onnx": one.version for one in model.opset_import}
    assert sum(found.operators.values()) == len(model.graph.node)
    assert found.ir_version == model.ir_version


def test_elements_metadata_and_weights_beside_it(tmp_path: Path) -> None:
    path = onnx_models.write_affine(tmp_path / "x.onnx", element=onnx.TensorProto.FLOAT16, external=True)
    found = onnx_file.read(path)
    assert str(found.inputs[0]) == "x FP16[N, 4]"
    assert found.external == ("x.onnx.data",)


def test_weights_in_nodes_and_branches_lie_beside_it_too(tmp_path: Path) -> None:
    def stored(name: str) -> onnx.TensorProto:
        tensor = onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [1], [1.0])
        tensor.ClearField("float_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=f"{name}.bin")
        return tensor

    def constant(name: str) -> onnx.NodeProto:
        return onnx.helper.make_node("Constant", [], [name], value=stored(name))

    branches = {
        f"{way}_branch": onnx.helper.make_graph(
            [constant(way)], way, [], [onnx.helper.make_tensor_value_info(way, 1, [1])]
        )
        for way in ("then", "else")
    }
    nodes = [constant("one"), onnx.helper.make_node("If", ["c"], ["y"], **branches)]
    takes = onnx.helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, [])
    gives = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph(nodes, "g", [takes], [gives], [stored("two")])
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    assert sorted(onnx_file.read(path).external) == ["else.bin", "one.bin", "then.bin", "two.bin"]


@pytest.mark.parametrize("data", [b"", b"hello", b"\x08\x07", b"\xff" * 40])
def test_what_is_no_model(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(ModelRejected, match=r"is no ONNX model|empty"):
        onnx_file.read(tmp_path / "x.onnx")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(at=st.integers(0, 400), byte=st.integers(0, 255), cut=st.integers(0, 100))
def test_broken_bytes_are_one_sentence(tmp_path: Path, at: int, byte: int, cut: int) -> None:
    data = bytearray(onnx_models.write(Kind.TWO, tmp_path).read_bytes())
    data[at % len(data)] = byte
    (tmp_path / "b.onnx").write_bytes(bytes(data[: len(data) - cut]))
    with contextlib.suppress(ModelRejected):
        onnx_file.read(tmp_path / "b.onnx")
