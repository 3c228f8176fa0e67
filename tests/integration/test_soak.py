"""`make soak` in short: it runs, and nothing is lost, forgotten or left behind at a fifth of the load."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEW = ("edgetpu", "litert", "onnxruntime")


@pytest.mark.timeout(400)
def test_a_short_soak_holds(tmp_path: Path) -> None:
    if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is None:
        reason = "mosquitto is not installed: apt-get install mosquitto"
        if os.environ.get("EDGEX_INFERENCE_STRICT"):
            pytest.fail(reason)
        pytest.skip(reason)
    output = tmp_path / "soak.json"
    env = os.environ | {"SOAK_SECONDS": "20", "SOAK_LOAD": "0.2", "SOAK_OUTPUT": str(output)}
    env["SOAK_ONLY"] = ",".join(
        FEW
    )  # with fewer turns the contract suites load and close each of them themselves
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert output.exists(), done.stderr
    said = {row["name"]: row for row in json.loads(output.read_text())}
    assert [row for row in said.values() if not row["holds"]] == []
    assert done.returncode == 0
    assert said["overload all: sent"]["value"] > 7000
    assert said["overload latest: dropped"]["value"] > 0
    (edits,) = [
        row for name, row in said.items() if name.endswith(" edits of a profile under load: not taken up")
    ]
    assert int(edits["name"].split()[0]) > 1
    assert edits["value"] == 0
    for name in FEW:
        assert said[f"{name}: 40 times loaded, run and closed: threads more"]["value"] == 0


def test_every_accelerator_has_a_suite_for_the_soak() -> None:
    from tests.soak.__main__ import accelerators, suite

    assert {*FEW, "openvino", "reference"} <= set(accelerators())
    for name in accelerators():
        assert "AcceleratorContract" in suite(name).read_text(), name
