"""What several suites need."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority with a server and a client certificate, made by openssl."""
    folder = tmp_path_factory.mktemp("certificates")
    assert shutil.which("openssl"), "openssl makes the certificates of this test: apt-get install openssl"

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl(
        "req",
        "-x509",
        *key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-subj",
        "/CN=test-ca",
        "-days",
        "2",
        *usage,
    )
    (folder / "names").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
    return folder


@pytest.fixture(params=["http", "grpc"])
def server(request: pytest.FixtureRequest, needs: Callable[..., None]) -> Iterator[Any]:
    """A server with the model `m`, y = 2x + 1."""
    needs("urllib3", "grpc", "tritonclient")
    sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
    import open_inference

    from tests.contract import remote_stage

    found = open_inference.OpenInference(transport=request.param, port=free_port())
    found.models["m"] = remote_stage.model(open_inference)
    found.package = open_inference
    yield found
    while remote_stage.opened:
        remote_stage.opened.pop().close()
    found.die()
