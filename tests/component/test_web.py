"""The HTTP pages over a real socket."""

import asyncio
import io
import json
import logging
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from edgex_inference.config.decode import wire
from edgex_inference.config.schema import Configuration, MessageBus, Secret, Service, Writable
from edgex_inference.contracts.errors import ConfigurationError
from edgex_inference.telemetry import logs
from edgex_inference.web.app import build
from edgex_inference.web.pages import unix_date
from edgex_inference.web.server import Listening, serve

SECRET = "hunter2-s3cr3t"
TRACE = "7d1b2c3d-0000-4000-8000-000000000001"


@dataclass
class FakeView:
    service_key: str = "app-inference"
    version: str = "0.1.0"
    sdk_version: str = "4.0.2"
    major: str | None = "4"
    is_ready: bool = True
    broken: bool = False
    known: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def config(self) -> Mapping[str, Any]:
        secrets = {"mqtt": Secret(secret_name="mqtt-bus", secret_data={"username": "u", "password": SECRET})}
        bus = MessageBus(optional={"Password": SECRET, "ClientId": "x"})
        return wire(Configuration(writable=Writable(insecure_secrets=secrets), message_bus=bus))

    def bindings(self, device: str | None = None) -> Sequence[Mapping[str, Any]]:
        if self.broken:
            raise ZeroDivisionError("oops")
        if device is not None:
            return self.known.get(device, [])
        return [binding for found in self.known.values() for binding in found]

    def traffic(self) -> Mapping[str, Any]:
        return {"messages": {"matched": 3}}

    def ready(self) -> tuple[bool, Sequence[str]]:
        return self.is_ready, () if self.is_ready else ("message bus is away",)


@pytest.fixture
def view() -> FakeView:
    return FakeView(known={"pump 3/ä": [{"name": "Health", "score": float("nan"), "apiToken": SECRET}]})


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, out = logging.getLogger(), io.StringIO()
    handlers = list(root.handlers)
    levels = {name: logging.getLogger(name).level for name in ("", "edgex_inference", "accelerators")}
    logs.configure("app-x", level="TRACE", stream=out)
    yield out
    root.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
async def at(view: FakeView, log: io.StringIO) -> AsyncIterator[Listening]:
    async with serve(build(view, Service(max_request_size=1)), "127.0.0.1", 0) as listening:
        yield listening


@pytest.fixture
async def http(at: Listening) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{at.port}") as session:
        yield session


async def test_ping_is_edgex_to_the_byte(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v3/ping", headers={"X-Correlation-ID": TRACE}) as answer:
        body = await answer.text()
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Correlation-ID"] == TRACE
    assert re.fullmatch(
        r'\{"apiVersion":"v3","timestamp":"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d UTC \d{4}",'
        r'"serviceName":"app-inference"\}',
        body,
    )


def test_the_date_style_of_ping() -> None:
    assert unix_date(1795486224) == "Tue Nov 24 02:10:24 UTC 2026"
    assert unix_date(1793671824) == "Tue Nov  3 02:10:24 UTC 2026"


async def test_version(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v3/version") as answer:
        assert await answer.json() == {
            "apiVersion": "v3",
            "version": "0.1.0",
            "serviceName": "app-inference",
            "sdk_version": "4.0.2",
        }
        assert answer.headers["X-Correlation-ID"] == ""


async def test_config_shows_keys_and_no_secret(http: aiohttp.ClientSession, log: io.StringIO) -> None:
    async with http.get("/api/v3/config") as answer:
        text = await answer.text()
    shown = json.loads(text)
    assert list(shown) == ["apiVersion", "config", "serviceName"]
    assert shown["config"]["Writable"]["InsecureSecrets"]["mqtt"]["SecretData"]["password"] == "<redacted>"
    assert shown["config"]["MessageBus"]["Optional"] == {"Password": "<redacted>", "ClientId": "x"}
    assert shown["config"]["Service"]["RequestTimeout"] == "5s"
    assert SECRET not in text + log.getvalue()


async def test_bindings(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v3/inference/bindings") as answer:
        body = await answer.json()
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Correlation-ID"])
    assert body == {
        "apiVersion": "v3",
        "statusCode": 200,
        "totalCount": 1,
        "bindings": [{"name": "Health", "score": None, "apiToken": "<redacted>"}],
    }


async def test_bindings_of_a_device(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v3/inference/bindings/pump%203%2F%C3%A4") as answer:
        assert (await answer.json())["totalCount"] == 1
    async with http.get("/api/v3/inference/bindings/pump-4", headers={"X-Correlation-ID": TRACE}) as answer:
        assert answer.status == 404
        assert answer.headers["X-Correlation-ID"] == TRACE
        assert await answer.json() == {
            "apiVersion": "v3",
            "message": "no binding knows a device 'pump-4'",
            "statusCode": 404,
        }


async def test_traffic(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v3/inference/traffic") as answer:
        assert await answer.json() == {"apiVersion": "v3", "statusCode": 200, "messages": {"matched": 3}}


@pytest.mark.parametrize("path", ["/live", "/api/v3/ping", "/nosuch"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_no_answer_names_its_server(http: aiohttp.ClientSession, path: str, method: str) -> None:
    async with http.request(method, path) as answer:
        assert "Server" not in answer.headers


async def test_ready_and_live(http: aiohttp.ClientSession, view: FakeView) -> None:
    async with http.get("/ready") as answer:
        assert (answer.status, (await answer.json())["ready"]) == (200, True)
    view.is_ready = False
    async with http.get("/ready") as answer:
        assert answer.status == 503
        assert (await answer.json())["reasons"] == ["message bus is away"]
    async with http.get("/live") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/", "/api/v3/nosuch", "/api/v3/ping/", "/api/v2/ping", "/config"])
async def test_unknown_paths(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path, headers={"X-Correlation-ID": TRACE}) as answer:
        assert (answer.status, await answer.read()) == (404, b'{"message":"Not Found"}\n')
        assert answer.headers["Content-Type"] == "application/json"
        assert "X-Correlation-ID" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods(http: aiohttp.ClientSession, method: str) -> None:
    async with http.request(method, "/api/v3/ping") as answer:
        body = b"" if method == "HEAD" else b'{"message":"Method Not Allowed"}\n'
        assert (answer.status, await answer.read()) == (405, body)
        assert answer.headers["Allow"] == "OPTIONS, GET"


async def test_options(http: aiohttp.ClientSession) -> None:
    async with http.options("/api/v3/ping") as answer:
        assert (answer.status, answer.headers["Allow"]) == (204, "OPTIONS, GET")


@pytest.mark.parametrize(("size", "status"), [(1024, 200), (1025, 413)])
async def test_requests_larger_than_the_limit(http: aiohttp.ClientSession, size: int, status: int) -> None:
    async with http.get("/api/v3/ping", data=b"x" * size) as answer:
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/json"


async def test_a_surprise_is_told_to_the_log_only(
    http: aiohttp.ClientSession, view: FakeView, log: io.StringIO
) -> None:
    view.broken = True
    async with http.get("/api/v3/inference/bindings") as answer:
        text = await answer.text()
        assert answer.status == 500
    assert json.loads(text)["message"] == "internal error, see the service's log"
    assert "oops" not in text
    assert "ZeroDivisionError: oops" in log.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET /api/v3/ping HTTP/9.9\r\n\r\n",
        b"GET /api/v3/inference/bindings/%ff%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_garbage_gets_no_traceback(at: Listening, log: io.StringIO, raw: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
    writer.write(raw)
    answer = await reader.read()
    writer.close()
    assert answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
    assert answer[9:12] in (b"200", b"400", b"404")
    assert b"Traceback" not in answer
    assert b".py" not in answer
    assert "Traceback" not in log.getvalue()


@pytest.mark.parametrize("given", [b"\xff\xfe", "ä".encode(), b"x" * 400])
async def test_a_correlation_id_that_is_no_plain_text_is_not_echoed(at: Listening, given: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
    head = b"GET /api/v3/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    writer.write(head + b"X-Correlation-ID: " + given + b"\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"X-Correlation-ID: \r\n" in answer


async def test_a_taken_port_is_one_clear_sentence(view: FakeView) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            async with serve(build(view), "127.0.0.1", port):
                pytest.fail("listens on a taken port")
    assert str(caught.value) == (
        f"configuration: Service.Port: port {port} on '127.0.0.1' is taken by another program: stop it, "
        "or set Service.Port (SERVICE_PORT) to a free one"
    )


async def test_a_host_that_is_not_ours(view: FakeView) -> None:
    with pytest.raises(ConfigurationError, match=r"Service\.ServerBindAddr: '192\.0\.2\.1' is no address"):
        async with serve(build(view), "192.0.2.1", 0):
            pytest.fail("listens elsewhere")


async def test_localhost_means_every_family_on_one_port(view: FakeView) -> None:
    async with serve(build(view), "localhost", 0) as at, aiohttp.ClientSession() as session:
        for address in {found[4][0] for found in socket.getaddrinfo("localhost", at.port)}:
            shown = f"[{address}]" if ":" in str(address) else address
            async with session.get(f"http://{shown}:{at.port}/live") as answer:
                assert answer.status == 200


async def test_all_addresses_share_a_port_and_absent_ones_are_left_out(
    view: FakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = ("192.0.2.1", "127.0.0.1", "127.0.0.2")
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
    with monkeypatch.context() as patched:
        patched.setattr("edgex_inference.web.server.socket.getaddrinfo", lambda *_, **__: found)
        async with serve(build(view), "many", 0) as at:
            for address in addresses[1:]:
                _, writer = await asyncio.open_connection(address, at.port)
                writer.close()


async def test_leaving_frees_the_port(view: FakeView) -> None:
    async with serve(build(view), "127.0.0.1", 0) as first:
        pass
    async with serve(build(view), "127.0.0.1", first.port) as second:
        assert second.port == first.port


def test_importing_app_and_server_is_free_of_aiohttp() -> None:
    code = (
        "import sys, edgex_inference.web.app, edgex_inference.web.server; sys.exit('aiohttp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
