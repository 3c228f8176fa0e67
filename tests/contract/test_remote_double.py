"""The tests' own server is one of the protocol: tritonclient, which knows nothing of us, gets its answers from it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ports import free_port


@pytest.fixture(params=["http", "grpc"])
def server(request: pytest.FixtureRequest, needs: Callable[..., None]) -> Iterator[Any]:
    needs("grpc", "tritonclient")
    sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
    import open_inference

    found = open_inference.OpenInference(transport=request.param, port=free_port())
    tensor = ("FP32", (-1, 4))
    found.models["m"] = open_inference.Model(
        [("x", *tensor)], [("y", *tensor)], lambda arrays: {"y": 2 * arrays["x"] + 1}, most=8
    )
    yield found
    found.die()


def test_tritonclient_is_served(server: Any) -> None:
    import tritonclient.grpc as rpc
    import tritonclient.http as rest

    package = rpc if server.url.startswith("grpc") else rest
    client = package.InferenceServerClient(f"localhost:{server.port}")
    assert client.is_server_live()
    assert client.is_model_ready("m")
    assert client.get_model_metadata("m")
    assert client.get_model_config("m")
    x = np.ones((2, 4), np.float32)
    given = package.InferInput("x", [2, 4], "FP32")
    given.set_data_from_numpy(x)
    for options in ({}, {"outputs": [package.InferRequestedOutput("y")]}):
        answer = client.infer("m", [given], **options).as_numpy("y")
        assert np.array_equal(answer, 2 * x + 1)
    with pytest.raises(Exception, match="not found"):
        client.infer("nobody", [given])
    client.close()
