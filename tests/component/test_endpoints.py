"""EdgeX's common endpoints as EdgeX has them: secrets, other origins, time limits, EdgeX 2, the OpenAPI document."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest

from edgex_inference.config.schema import CorsConfiguration, Seconds, Secret, Service
from edgex_inference.contracts.events import Event
from edgex_inference.edgex.providers.presence import Presence
from edgex_inference.pipeline.door import Asked
from edgex_inference.telemetry.families import Points
from edgex_inference.web import openapi
from edgex_inference.web.app import build
from edgex_inference.web.server import serve

TRACE = "7d1b2c3d-0000-4000-8000-000000000001"
SECRET = {
    "apiVersion": "v3",
    "requestId": TRACE,
    "secretName": "mqtt-bus",
    "secretData": [{"key": "username", "value": "u"}, {"key": "password", "value": "p"}],
}


class FakeView:
    service_key, version, sdk_version = "app-inference", "0.1.0", "4"
    major: str | None = "4"
    patience = 0.0

    def __init__(self) -> None:
        self.secrets: list[tuple[str, dict[str, str]]] = []
        self.fault = ""

    def config(self) -> Mapping[str, Any]:
        return {}

    def bindings(self, device: str | None = None) -> Sequence[Mapping[str, Any]]:
        return []

    def traffic(self) -> Mapping[str, Any]:
        return {}

    async def points(self) -> Points:
        await asyncio.Event().wait()
        return []

    def ready(self) -> tuple[bool, Sequence[str]]:
        return True, ()

    async def infer(self, event: Event, correlation_id: str, timeout: float) -> Asked:
        return Asked(unwanted="nobody")

    async def store_secret(self, name: str, values: Mapping[str, str]) -> str:
        self.secrets.append((name, dict(values)))
        return self.fault


@asynccontextmanager
async def served(view: FakeView, **service: Any) -> AsyncIterator[aiohttp.ClientSession]:
    app = build(view, Service(**service), largest=1)
    async with (
        serve(app, "127.0.0.1", 0) as at,
        aiohttp.ClientSession(f"http://127.0.0.1:{at.port}") as session,
    ):
        yield session


async def body(answer: aiohttp.ClientResponse) -> Any:
    return json.loads(await answer.text())


# Secrets


async def test_a_secret_as_edgex_records_it() -> None:
    view = FakeView()
    async with served(view) as http:
        async with http.post("/api/v3/secret", json=SECRET, headers={"X-Correlation-ID": TRACE}) as answer:
            assert (answer.status, answer.headers["X-Correlation-ID"]) == (201, TRACE)
            assert await answer.text() == f'{{"apiVersion":"v3","requestId":"{TRACE}","statusCode":201}}'
        plain = {key: value for key, value in SECRET.items() if key != "requestId"}
        async with http.post("/api/v3/secret", json=plain) as answer:
            assert (answer.status, answer.headers["X-Correlation-ID"]) == (201, "")
            assert await answer.text() == '{"apiVersion":"v3","statusCode":201}'
    assert view.secrets == [("mqtt-bus", {"username": "u", "password": "p"})] * 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 10_000,
        *(
            json.dumps({**SECRET, **wrong}).encode()
            for wrong in (
                {"apiVersion": ""},
                {"requestId": "not-a-uuid"},
                {"requestId": 5},
                {"requestId": {}},
                {"secretName": " "},
                {"secretName": 7},
                {"secretData": []},
                {"secretData": {}},
                {"secretData": ["x"]},
                {"secretData": [{"key": "a"}]},
                {"secretData": [{"key": "", "value": "x"}]},
            )
        ),
    ],
)
async def test_a_secret_that_is_not_understood(raw: bytes) -> None:
    view = FakeView()
    async with served(view, max_request_size=100) as http, http.post("/api/v3/secret", data=raw) as answer:
        said = await body(answer)
        assert (answer.status, said["statusCode"]) == (400, 400)
        assert said["message"].startswith("JSON decode failed: ")
    assert view.secrets == []


async def test_keys_come_in_any_case_as_in_go() -> None:
    view = FakeView()
    given = {"ApiVersion": "v3", "SECRETNAME": "a", "SecretData": [{"Key": "k", "VALUE": " v "}]}
    async with served(view) as http, http.post("/api/v3/secret", json=given) as answer:
        assert answer.status == 201
    assert view.secrets == [("a", {"k": " v "})]


async def test_a_secret_that_the_provider_does_not_keep() -> None:
    view = FakeView()
    view.fault = "core-keeper at http://localhost:59890 does not answer: refused"
    async with served(view) as http, http.post("/api/v3/secret", json=SECRET) as answer:
        body = await answer.json()
    assert (answer.status, body["statusCode"]) == (500, 500)
    assert body["message"] == f"in force, but gone at the next start: {view.fault}"


async def test_a_posted_secret_is_kept_by_the_provider(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.simple()
    kept: dict[str, str] = {}

    async def keep(values: Mapping[str, str]) -> bool:
        kept.update(values)
        return True

    async with stage.running() as service:
        monkeypatch.setattr(Presence, "keep", lambda _self, values: keep(values))
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{service.port}/api/v3/secret", json=SECRET) as answer,
        ):
            assert answer.status == 201
    assert kept == {
        "Writable/InsecureSecrets/mqtt-bus/SecretName": "mqtt-bus",
        "Writable/InsecureSecrets/mqtt-bus/SecretData/username": "u",
        "Writable/InsecureSecrets/mqtt-bus/SecretData/password": "p",
    }


async def test_a_posted_secret_is_there_at_once_and_hidden(
    stage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.simple()
    async with stage.running() as service:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{service.port}/api/v3/secret", json=SECRET) as answer,
        ):
            assert answer.status == 201
        assert service.secrets.of("mqtt-bus") == {"username": "u", "password": "p"}
        _, shown = await stage.get("/api/v3/config")
        assert shown["config"]["Writable"]["InsecureSecrets"]["mqtt"] == {
            "SecretName": "mqtt-bus",
            "SecretData": {"username": "<redacted>", "password": "<redacted>"},
        }
        config = service.loaded.config
        service.apply(replace(service.loaded, config=replace(config, writable=type(config.writable)())))
        assert service.secrets.of("mqtt-bus")["password"] == "p", "other changes leave it"
        other = {"mqtt": Secret(secret_name="mqtt-bus", secret_data={"username": "file"})}
        changed = replace(config.writable, insecure_secrets=other)
        service.apply(replace(service.loaded, config=replace(config, writable=changed)))
        assert service.secrets.of("mqtt-bus") == {"username": "file"}, "its own change replaces it"
    assert "the secret 'mqtt-bus' has new values of password, username" in caplog.text


# Other origins

CORS = CorsConfiguration(enable_cors=True, cors_allow_credentials=True, cors_allowed_origin="https://plant")


async def test_a_page_of_another_origin_is_told_what_it_may() -> None:
    async with served(FakeView(), cors_configuration=CORS) as http:
        for path in ("/api/v3/ping", "/nosuch"):
            async with http.get(path, headers={"Origin": "https://plant"}) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == "https://plant"
                assert answer.headers["Access-Control-Allow-Credentials"] == "true"
                assert answer.headers["Access-Control-Expose-Headers"].endswith("X-Correlation-ID")
                assert answer.headers["Vary"] == "Origin"
                assert "Access-Control-Max-Age" not in answer.headers
        asked = {"Origin": "https://plant", "Access-Control-Request-Method": "POST"}
        async with http.options("/api/v3/trigger", headers=asked) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, PUT, PATCH, DELETE"
            assert "X-Correlation-ID" in answer.headers["Access-Control-Allow-Headers"]
            assert answer.headers["Access-Control-Max-Age"] == "3600"
            assert "Access-Control-Expose-Headers" not in answer.headers


@pytest.mark.parametrize(
    ("settings", "headers"),
    [(CORS, {}), (CorsConfiguration(), {"Origin": "https://plant"})],
    ids=["no origin", "off"],
)
async def test_nobody_else_is_told(settings: CorsConfiguration, headers: dict[str, str]) -> None:
    async with served(FakeView(), cors_configuration=settings) as http:
        async with http.get("/api/v3/ping", headers=headers) as answer:
            assert not [name for name in answer.headers if name.startswith("Access-Control")]
        asked = {**headers, "Access-Control-Request-Method": "GET"}
        async with http.options("/api/v3/ping", headers=asked) as answer:
            assert answer.status == 200
            assert not [name for name in answer.headers if name.startswith("Access-Control")]


# Limits


async def test_a_page_that_takes_too_long() -> None:
    async with (
        served(FakeView(), request_timeout=Seconds(0.05)) as http,
        http.get("/metrics", headers={"X-Correlation-ID": TRACE}) as answer,
    ):
        assert (answer.status, await answer.text()) == (503, "request timeout")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "X-Correlation-ID" not in answer.headers


@pytest.mark.parametrize(
    ("limit", "setting"),
    [(2, "Service.MaxRequestSize (2 KB)"), (0, "Inference.MaxMessageSize (1 KB)")],
)
@pytest.mark.parametrize("path", ["/api/v3/trigger", "/api/v3/secret"])
async def test_a_body_without_a_length_is_limited_too(limit: int, setting: str, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b"x" * 400

    async with (
        served(FakeView(), max_request_size=limit) as http,
        http.post(path, data=chunks()) as answer,
    ):
        assert (answer.status, (await body(answer))["message"]) == (413, f"request size exceeds {setting}")


# EdgeX 2


async def test_the_old_paths_are_there_for_edgex_2_only() -> None:
    view = FakeView()
    async with served(view) as http:
        async with http.get("/api/v2/ping") as answer:
            assert (answer.status, await answer.text()) == (404, '{"message":"Not Found"}\n')
        view.major = "2"
        for name in ("ping", "version", "config"):
            async with http.get(f"/api/v2/{name}") as answer:
                assert (answer.status, (await body(answer))["apiVersion"]) == (200, "v2")
        old = {"apiVersion": "v2", "path": "redisdb", "secretData": [{"key": "password", "value": "p"}]}
        async with http.post("/api/v2/secret", json=old) as answer:
            assert (answer.status, await body(answer)) == (201, {"apiVersion": "v2", "statusCode": 201})
        async with http.post("/api/v2/trigger", data=b"{") as answer:
            assert (answer.status, (await body(answer))["apiVersion"]) == (400, "v2")
        async with http.get("/api/v2/nosuch") as answer:
            assert (answer.status, await answer.text()) == (404, "404 page not found\n")
        async with http.get("/api/v2/secret") as answer:
            assert (answer.status, await answer.read()) == (405, b"")
        async with http.get("/api/v3/ping") as answer:
            assert answer.status == 200
    assert view.secrets == [("redisdb", {"password": "p"})]


# The document


async def test_the_document_names_every_path_and_method() -> None:
    view = FakeView()
    app = build(view)
    served_now = {
        (route.method.lower(), str(route.resource.canonical))
        for route in app.router.routes()
        if route.resource is not None and not route.resource.canonical.startswith("/api/v2")
    }
    written = openapi.document("1", major="4")["paths"]
    assert {(method, path) for path, said in written.items() for method in said} == served_now
    old = openapi.document("1", major="2")["paths"]
    assert set(old) - set(written) == {
        f"/api/v2/{name}" for name in ("ping", "version", "config", "secret", "trigger")
    }
    names = [said["operationId"] for path in old.values() for said in path.values()]
    assert len(names) == len(set(names))


async def test_the_document_is_served_and_every_reference_leads_somewhere() -> None:
    async with served(FakeView()) as http, http.get("/api/v3/openapi.json") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        document = await body(answer)
    assert document["info"]["version"] == "0.1.0"
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        found: Any = document
        for step in reference.split("/"):
            found = found[step]


async def test_answers_of_a_running_service_fit_the_document(stage: Any, make: Any) -> None:
    stage.simple()
    document = openapi.document("1", major="4")
    async with stage.running():
        await stage.send(make.event("pump-1", X=1))
        await stage.have(1)
        for path, said in document["paths"].items():
            if "get" not in said or path == "/metrics":
                continue
            status, answer = await stage.get(path.replace("{device}", "pump-1"))
            told = said["get"]["responses"][str(status)]
            schema = told["content"]["application/json"]["schema"]
            jsonschema.validate(answer, {**schema, "components": _nullable(document["components"])})


def _nullable(value: Any) -> Any:
    """OpenAPI 3.0's `nullable` in JSON Schema's words."""
    if isinstance(value, dict):
        said = {key: _nullable(item) for key, item in value.items()}
        if said.pop("nullable", False):
            said["type"] = [said["type"], "null"]
        return said
    return [_nullable(item) for item in value] if isinstance(value, list) else value


def test_the_document_lies_in_the_package() -> None:
    assert (Path(openapi.__file__).parent / "openapi.yaml").is_file()
