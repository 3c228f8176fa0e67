"""The messages of gRPC by hand, against those of tritonclient; and what no server should be able to do with them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelerators.remote import wire


@pytest.fixture(scope="module")
def pb() -> Any:
    return pytest.importorskip("tritonclient.grpc.service_pb2", reason="tritonclient is not installed")


def test_a_request_is_read_as_it_was_meant(pb: Any) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    texts = np.array([["a", "ü"]], object)
    request = wire.infer_request("m", "3", {"x": ("FP32", x), "t": ("BYTES", texts)}, ("y", "z"))
    said = pb.ModelInferRequest.FromString(request)
    assert (said.model_name, said.model_version) == ("m", "3")
    assert [(one.name, one.datatype, list(one.shape)) for one in said.inputs] == [
        ("x", "FP32", [2, 3]),
        ("t", "BYTES", [1, 2]),
    ]
    assert [one.name for one in said.outputs] == ["y", "z"]
    assert said.raw_input_contents[0] == x.tobytes()
    assert said.raw_input_contents[1] == b"\x01\0\0\0a\x02\0\0\0\xc3\xbc"
    assert pb.ModelMetadataRequest.FromString(wire.model_request("m", "")) == pb.ModelMetadataRequest(
        name="m"
    )


def test_metadata_with_open_extents_and_the_fields_of_dialects(pb: Any) -> None:
    said = pb.ModelMetadataResponse(name="m", versions=["1", "2"], platform="onnx")
    said.inputs.add(name="x", datatype="FP32", shape=[-1, 4])
    said.outputs.add(name="y", datatype="INT64", shape=[])
    dialect = said.SerializeToString() + b"\x32\x04\x0a\x02ab"  # field 6, a map in some of them
    found = wire.model(dialect)
    assert found.versions == ("1", "2")
    assert found.platform == "onnx"
    assert [(one.name, one.datatype, one.shape) for one in found.inputs] == [("x", "FP32", (-1, 4))]
    assert [one.shape for one in found.outputs] == [()]
    config = pb.ModelConfigResponse()
    config.config.max_batch_size = 16
    assert wire.most_rows(config.SerializeToString()) == 16
    assert wire.most_rows(pb.ModelConfigResponse(config={"name": "m"}).SerializeToString()) == 0
    server = pb.ServerMetadataResponse(name="triton", version="2.51", extensions=["a", "b"])
    assert wire.server(server.SerializeToString()).extensions == {"a", "b"}
    assert wire.ready(pb.ModelReadyResponse(ready=True).SerializeToString())
    assert not wire.ready(pb.ModelReadyResponse(ready=False).SerializeToString())


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_raise(content: bytes) -> None:
    readers: tuple[Callable[[bytes], object], ...] = (
        wire.infer_response, wire.model, wire.server, wire.ready, wire.most_rows,
    )  # fmt: skip
    for reader in readers:
        try:
            reader(content)
        except ValueError:
            continue


@pytest.mark.parametrize("shape", [[-1, 4], [1 << 40, 1 << 40], [3]])
def test_a_shape_that_the_contents_do_not_fill(pb: Any, shape: list[int]) -> None:
    for raw in (True, False):
        said = pb.ModelInferResponse(model_name="m")
        head = said.outputs.add(name="y", datatype="FP32", shape=shape)
        if raw:
            said.raw_output_contents.append(b"\0" * 16)
        else:
            head.contents.fp32_contents.extend([0.0] * 4)
        with pytest.raises(ValueError):
            wire.infer_response(said.SerializeToString())


def test_whole_numbers_that_do_not_fit_their_type(pb: Any) -> None:
    said = pb.ModelInferResponse(model_name="m")
    head = said.outputs.add(name="y", datatype="UINT8", shape=[1])
    head.contents.uint_contents.append(300)
    with pytest.raises(ValueError, match="too large for UINT8"):
        wire.infer_response(said.SerializeToString())
