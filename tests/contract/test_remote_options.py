"""Connections, secrets and options of the accelerator remote, over both transports."""

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from accelerators.remote import PLUGIN
from edgex_inference.contracts.accelerator import REMOTE, LoadRequest
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
)
from edgex_inference.engine.options import option_problems
from tests.contract.remote_stage import X, load, model, right


def test_connections_are_kept_and_no_more_than_said(server: Any) -> None:
    if server.url.startswith("grpc"):
        return
    session = load(server, parallel=2)
    for _ in range(20):
        assert right(session)
    assert server.strings.connections == 1
    threads = [threading.Thread(target=lambda: right(session)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert server.strings.connections <= 2


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ({"token": "sesame-42"}, "Bearer sesame-42"),
        ({"username": "pump", "password": "sesame-42"}, "Basic cHVtcDpzZXNhbWUtNDI="),
    ],
)
def test_a_secret_opens_the_door_and_is_never_told(
    server: Any, secret: Mapping[str, str], header: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.strings.token = header
    caplog.set_level(0)
    assert right(load(server, secrets=secret, secret="triton", headers={"X-Line": "7"}))
    assert server.strings.headers[-1]["x-line"] == "7"
    session = load(server, secrets=secret, secret="triton")
    server.strings.token = "another"
    with pytest.raises(DeviceLost, match=r"options\.secret") as lost:
        session.infer({"x": X})
    with pytest.raises(AcceleratorUnavailable, match=r"options\.secret") as caught:
        load(server, secrets=secret, secret="triton")
    with pytest.raises(AcceleratorUnavailable, match=r"'triton' of options\.secret is not there"):
        load(server, secret="triton")
    for text in (str(lost.value), str(caught.value), repr(session.__dict__.values()), caplog.text):
        assert "sesame" not in text
        assert header not in text


def test_the_server_is_who_it_says_it_is(server: Any, certificates: Path) -> None:
    transport = server.url.partition(":")[0]
    secure = server.package.OpenInference(transport=transport, tls=certificates, mutual=True)
    secure.models["m"] = model(server.package)
    client = {
        "clientcert": (certificates / "client.pem").read_text(),
        "clientkey": (certificates / "client.key").read_text(),
    }
    ca = {"cacert": (certificates / "ca.pem").read_text()}
    try:
        files = {"ca_file": "ca.pem", "cert_file": "client.pem", "key_file": "client.key"}
        named = {f"{key.split('_')[0]}File": str(certificates / file) for key, file in files.items()}
        assert right(load(secure, **named))
        assert right(load(secure, secrets={**ca, **client}, secret="tls"))
        with pytest.raises(AcceleratorUnavailable, match=r"(?i)certificate"):
            load(secure, secrets=client, secret="tls", timeout=5.0)
        with pytest.raises(AcceleratorUnavailable):
            load(secure, secrets=ca, secret="tls", timeout=5.0)
        with pytest.raises(AcceleratorUnavailable, match="certFile and keyFile"):
            load(secure, certFile=str(certificates / "client.pem"))
        with pytest.raises(AcceleratorUnavailable, match="caFile: /nowhere"):
            load(secure, caFile="/nowhere")
    finally:
        secure.die()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("url", "triton:8000", "must be a URL"),
        ("url", "ftp://host", "must be a URL"),
        ("url", "http://u:secret@host", "user and password"),
        ("url", "grpc://host", "name a port"),
        ("url", "grpc://host:1/path", "no path"),
        ("url", "http://host:99999", "no URL"),
        ("timeout", 0, "above 0"),
        ("parallel", 0, "1 to 64"),
        ("headers", {"Authorization": "Bearer x"}, "belongs into a secret"),
        ("headers", {"X-A": "a\r\nb"}, "no header may have"),
        ("headers", {"content-type": "text/plain"}, "for the protocol itself"),
        ("encoding", "xml", "'xml' is not"),
    ],
)
def test_options_that_cannot_be(key: str, value: object, said: str) -> None:
    problems = option_problems(PLUGIN, {key: value})
    assert said in problems[key]
    assert "secret@" not in problems[key]


def test_a_server_must_be_named() -> None:
    assert PLUGIN.load is not None
    with pytest.raises(AcceleratorUnavailable, match=r"options\.url is missing"):
        PLUGIN.load(LoadRequest(path=Path("x"), format=REMOTE))


def test_without_the_client_of_a_transport_it_says_what_to_install(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, extra = ("grpc", "remote-grpc") if server.url.startswith("grpc") else ("urllib3", "remote")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(AcceleratorUnavailable) as caught:
        load(server)
    assert f'{module} is missing: pip install "edgex-inference[{extra}]"' in str(caught.value)
