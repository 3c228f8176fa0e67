"""Schemathesis asks a running service everything that its OpenAPI document says, and much that it forbids."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Mosquitto = Callable[..., Any]
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance"
)


def schemathesis(location: str, *more: str, folder: Path) -> tuple[int, str]:
    """Exit code and report of one run, always with the same inputs."""
    command = [Path(sys.executable).with_name("st"), "run", location, "--seed", "1", "--no-color"]
    options = ["--warnings", "off", "--generation-database", "none", "--checks", CHECKS, "--phases"]
    done = subprocess.run(
        [*command, *options, "examples,coverage,fuzzing", *more],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(360)
def test_no_answer_is_a_5xx_or_undeclared(pump: Any, mosquitto: Mosquitto) -> None:
    broker = mosquitto()
    pump.configure(broker.port)
    service = pump.start()
    service.ready()
    base = f"http://127.0.0.1:{service.port}"
    code, report = schemathesis(f"{base}/api/v3/openapi.json", "--max-examples", "10", folder=pump.folder)
    assert code == 0, report[-4000:]
    found = re.search(r"(\d+) generated, (?:\d+ )?passed", report) or re.search(r"(\d+) generated", report)
    assert found is not None, report[-1000:]
    assert int(found[1]) > 200, "it asked too little to mean anything"
    assert service.count("level=ERROR") == 0
    assert service.stop() == 0


@pytest.mark.timeout(360)
def test_schemathesis_bites(pump: Any, mosquitto: Mosquitto, tmp_path: Path) -> None:
    """A document that promises something else is found out."""
    broker = mosquitto()
    pump.configure(broker.port)
    service = pump.start()
    service.ready()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        "openapi: 3.0.3\ninfo: {title: x, version: '1'}\npaths:\n  /live:\n    get:\n      responses:\n"
        "        '200': {description: x, content: {application/json: {schema: {type: object, required: [dead]}}}}\n"
    )
    base = f"http://127.0.0.1:{service.port}"
    code, report = schemathesis(str(wrong), "--url", base, "--max-examples", "1", folder=pump.folder)
    assert code == 1, report[-2000:]
    assert "dead" in report
    assert service.stop() == 0
