"""The schemas in a real editor's hands: yaml-language-server, fetched by npm, judges right and wrong files."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.cli.schema import KINDS
from edgex_inference.cli.schemas.files import SCHEMAS

VERSION = "1.18.0"
ROOT = Path(__file__).parents[2]
PROFILE = (ROOT / "profiles" / "conveyor-camera.yaml").read_text()
CARD = (ROOT / "edgex_inference/demo/models/part-detect/2026.11/model.yaml").read_text()
BLOCK = "model: {name: m, task: detection}\noutputs: {N: {value: count}}\n"


class Server:
    """The language server over its standard input and output."""

    def __init__(self, script: Path) -> None:
        node = shutil.which("node")
        assert node is not None
        self._process = subprocess.Popen(
            [node, str(script), "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._send({"id": 1, "method": "initialize", "params": {"capabilities": {}, "rootUri": None}})
        while self._receive().get("id") != 1:
            pass
        self._send({"method": "initialized", "params": {}})

    def diagnostics(self, path: Path) -> list[str]:
        """What it says of a file; the first line of the file names its schema."""
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": path.read_text()}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        while True:
            message = self._receive()
            if "id" in message and "method" in message:
                self._send({"id": message["id"], "result": None})
            said = message.get("params")
            if message.get("method") == "textDocument/publishDiagnostics" and said["uri"] == path.as_uri():
                return [one["message"] for one in said["diagnostics"]]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        assert length, "the language server went away"
        found: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm or node is not here: the schemas are not shown to a real editor")
    folder = tmp_path_factory.mktemp("editor")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", f"yaml-language-server@{VERSION}"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=250)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm could not install yaml-language-server: {error}")
    running = Server(folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server")
    yield running
    running.close()


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    for kind in KINDS:
        (folder / f"{kind}.json").write_text(json.dumps(SCHEMAS[kind][1]()))
    return folder


def judged(server: Server, schemas: Path, kind: str, text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "file.yaml"
    path.write_text(f"# yaml-language-server: $schema={(schemas / f'{kind}.json').as_uri()}\n{text}")
    return server.diagnostics(path)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("profile", PROFILE),
        ("card", CARD),
        ("block", BLOCK),
        ("side-car", "match: {profile: 'cam-*'}\ninference: {A: {limits: {queue: 3}}}\n"),
        ("devices", "deviceList: [{name: d, properties: {inference: {A: {enabled: false}}}}]\n"),
    ],
)
def test_an_editor_takes_right_files(
    server: Server, schemas: Path, kind: str, text: str, tmp_path: Path
) -> None:
    assert judged(server, schemas, kind, text, tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("profile", PROFILE.replace("model: {name: part-detect", "modle: {name: part-detect"), "modle"),
        ("profile", PROFILE.replace("task: detection", "task: detect"), "classification"),
        ("card", CARD.replace("layout: NCHW", "layout: NCWH"), "NCHW"),
        ("card", CARD.replace("version:", "versoin:"), "version"),
        ("block", BLOCK + "limits: {maxAge: 800}\n", "string"),
        ("side-car", "match: {}\ninference: {}\n", "profile"),
        ("devices", "deviceList: [{name: d, properties: {inference: {A: {enabled: 3}}}}]\n", "boolean"),
    ],
)
def test_an_editor_tells_mistakes(
    server: Server, schemas: Path, kind: str, text: str, words: str, tmp_path: Path
) -> None:
    said = judged(server, schemas, kind, text, tmp_path)
    assert any(words in message for message in said), said
