"""Numbers and texts on their way to a server of the Open Inference Protocol and back, over both transports."""

from typing import Any

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.errors import (
    SignatureMismatch,
)
from tests.contract.remote_stage import load, model


@pytest.mark.parametrize(
    "datatype", ["BOOL", "INT8", "UINT8", "UINT64", "INT64", "FP16", "FP32", "FP64", "BF16"]
)
def test_every_type_there_and_back(server: Any, datatype: str) -> None:
    server.models["m"] = model(server.package, datatype)
    server.models["m"].run = lambda a: {"y": a["x"]}
    session = load(server)
    dtype = session.inputs[0].datatype.numpy
    x = np.array([[0, 1, 0, 1]]).astype(dtype)
    if dtype.itemsize == 8 and dtype.kind in "iu":
        x[0, 0] = np.iinfo(dtype).max
    assert np.array_equal(session.infer({"x": x})["y"], x)
    assert session.infer({"x": x})["y"].dtype == dtype


@pytest.mark.parametrize("datatype", ["BOOL", "INT8", "UINT8", "UINT64", "INT64", "FP32", "FP64", "BYTES"])
def test_servers_that_answer_in_typed_contents_or_json(server: Any, datatype: str) -> None:
    server.models["m"] = model(server.package, datatype)
    server.models["m"].run = lambda a: {"y": a["x"]}
    server.strings.always = "typed"
    server.strings.extensions = ()
    session = load(server)
    dtype = session.inputs[0].datatype.numpy
    x = (
        np.array([["a", "", "ü", "1"]], object)
        if dtype.kind == "O"
        else np.array([[0, 1, 0, 1]]).astype(dtype)
    )
    if dtype.itemsize == 8 and dtype.kind in "iu":
        x[0, 0] = np.iinfo(dtype).max
    if dtype.kind == "i":
        x[0, 1] = -1
    assert session.infer({"x": x})["y"].tolist() == x.tolist()


def test_bf16_is_rounded_as_its_makers_do(server: Any) -> None:
    from ml_dtypes import bfloat16

    server.models["m"] = model(server.package, "BF16")
    server.models["m"].run = lambda a: {"y": a["x"]}
    session = load(server)
    rng = np.random.default_rng(3)
    halfway = np.array([[1 + 1 / 256, 1 + 3 / 256, -1 - 3 / 256, 3.4e38]], np.float32)
    random = [rng.normal(size=(1, 4)) * 10.0 ** rng.integers(-30, 30) for _ in range(20)]
    for x in (halfway, *(one.astype(np.float32) for one in random)):
        assert np.array_equal(session.infer({"x": x})["y"], x.astype(bfloat16).astype(np.float32))


def test_texts_there_and_back(server: Any) -> None:
    server.models["m"] = model(server.package, "BYTES")
    server.models["m"].run = lambda a: {"y": a["x"]}
    session = load(server)
    x = np.array([["pump", "Überdruck", "", "3"]], dtype=object)
    assert session.infer({"x": x})["y"].tolist() == x.tolist()
    with pytest.raises(SignatureMismatch, match="a text is expected, not int"):
        session.infer({"x": np.array([["a", 1, "b", "c"]], dtype=object)})


def test_nan_goes_nowhere_and_infinity_does_not_fit_json(server: Any) -> None:
    session = load(server)
    seen = server.strings.calls
    with pytest.raises(SignatureMismatch, match="NaN"):
        session.infer({"x": np.array([[1, np.nan, 1, 1]], np.float32)})
    assert server.strings.calls == seen
    infinite = np.array([[1, np.inf, 1, 1]], np.float32)
    assert np.isinf(session.infer({"x": infinite})["y"][0, 1])
    if server.url.startswith("http"):
        with pytest.raises(SignatureMismatch, match="infinity"):
            load(server, encoding="json").infer({"x": infinite})


def test_the_servers_own_limit_of_rows_is_kept(server: Any) -> None:
    server.models["m"] = model(server.package, rows=-1, most=4)
    session = load(server)
    assert session.traits.batch == Batch(kind="range", most=4)
    assert session.infer({"x": np.ones((4, 4), np.float32)})["y"].shape == (4, 4)
    with pytest.raises(SignatureMismatch, match="takes 4"):
        session.infer({"x": np.ones((5, 4), np.float32)})
    server.models["m"] = model(server.package, rows=-1, most=1)
    assert load(server).traits.batch == Batch()
