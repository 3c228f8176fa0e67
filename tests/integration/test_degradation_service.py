"""What fails under load: a runtime, a cache, a device, its answers; others answer, it is said, and nothing is lost."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.integration.plant import CARD, PROFILE, edit, said_as_documented, version


@pytest.fixture
def python_apart(tmp_path: Path) -> Path:
    """An interpreter that sees what is installed here, with an ONNX Runtime of its own that can be uninstalled."""
    home = tmp_path / "apart"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.lower().startswith("onnxruntime"):
            shutil.copytree(entry, site / entry.name, copy_function=linked)
        elif not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    return python


def linked(source: str, target: str) -> None:
    """Copies by a link where that is possible: the files of a runtime are large."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def test_the_library_is_uninstalled_under_it(
    plant: Any, under_load: Callable[..., Any], python_apart: Path
) -> None:
    """What is loaded goes on; what comes next is told what to install, or goes to the next candidate."""
    program = [str(python_apart), "-m", "edgex_inference"]
    pip = [str(python_apart), "-m", "pip", "uninstall", "-q", "-y", "onnxruntime"]
    with under_load(program=program) as (service, stream, client):
        assert service.binding("Wear")["accelerator"] == "onnxruntime:CPU"
        subprocess.run(pip, check=True, capture_output=True)
        client.wait_results(len(client.results) + 20)
        assert service.binding("Wear")["status"] == "running"
        other = PROFILE.format(level=0, accelerator="onnxruntime").replace("Wear", "Other")
        plant.profile(other.replace("name: pump", "name: fan").replace("High", "Low"), "fan")
        said = service.said("binding Other is inactive: ")
        assert 'its runtime is missing: pip install \\"edgex-inference[onnxruntime]\\"' in said
        stream.until_tag("accelerator", "onnxruntime:CPU")
        edit(plant, level=0)
        stream.until_tag("accelerator", "openvino:CPU")
        said_as_documented(service, "uninstalled")
        assert service.binding("Wear")["status"] == "running"
    again = plant.start(program=program)
    said_as_documented(again, "restarted")
    assert (again.binding("Wear")["accelerator"], again.binding("Wear")["status"]) == (
        "openvino:CPU",
        "running",
    )
    assert again.stop() == 0
    edit(plant, level=0, accelerator="auto")
    alone = plant.start(program=program, env={"INFERENCE_AUTOACCELERATORS": ""})
    alone.said("openvino:CPU answers")
    assert (alone.binding("Wear")["accelerator"], alone.binding("Wear")["choice"]) == ("openvino:CPU", None)
    assert alone.stop() == 0


def test_a_cache_that_can_keep_nothing(plant: Any, under_load: Callable[..., Any]) -> None:
    """A file may not get longer than 512 bytes: for the runtime that is a full disk."""
    program = ["prlimit", "--fsize=512", sys.executable, "-m", "edgex_inference"]
    edit(plant, level=0, accelerator="openvino")
    with under_load(program=program, env={"INFERENCE_CACHEDIR": "kept"}) as (service, stream, _):
        stream.until_tag("accelerator", "openvino:CPU")
        said_as_documented(service, "cache")
        version(plant, "2")
        stream.until_tag("modelVersion", "2")
        assert service.count("works without its cache") == 1
        assert not list((plant.folder / "kept").rglob("*.blob"))


SPARE = """
from dataclasses import replace

from edgex_inference.contracts.errors import AcceleratorUnavailable, DeviceLost
from edgex_inference.testing import fake_accelerator as fake


def is_away(request):
    return request.device == "NPU" and (request.path.parents[3] / "unplugged").exists()


class Pluggable:
    def __init__(self, session, request):
        self.__dict__.update(vars(session))
        self._session, self._request = session, request

    def infer(self, tensors, *, timeout=None):
        if is_away(self._request):
            raise DeviceLost("spare:NPU is lost: no such device")
        answer = self._session.infer(tensors, timeout=timeout)
        mad = self._request.device == "NPU" and (self._request.path.parents[3] / "mad").exists()
        return {name: -array for name, array in answer.items()} if mad else answer

    def close(self):
        self._session.close()


def load(request):
    if is_away(request):
        raise AcceleratorUnavailable("spare:NPU", "no such device")
    return Pluggable(fake.load(request), request)


PLUGIN = replace(fake.PLUGIN, name="spare", load=load)
"""
"""Somebody else's plug-in for a stick: gone while a file `unplugged` lies beside the models, wrong while `mad` does."""


@pytest.fixture
def spare(tmp_path: Path) -> dict[str, str]:
    """The environment in which the accelerator `spare` is installed."""
    site = tmp_path / "site"
    facts = site / "spare_accelerator-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "spare_accelerator.py").write_text(SPARE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: spare-accelerator\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[edgex_inference.accelerators]\nspare = spare_accelerator:PLUGIN\n"
    )
    (facts / "RECORD").write_text("spare_accelerator.py,,\n")
    return {"PYTHONPATH": str(site)}


def on_a_stick(plant: Any) -> None:
    """The plant on `spare`, with a golden sample of its model."""
    folder = plant.folder / "models" / "affine" / "1"
    (folder / "affine.fake").write_text('{"shape": [null, 1]}')
    (folder / "in.json").write_text('{"x": [1.0]}')
    (folder / "out.json").write_text('{"value": 3.0}')
    card = CARD.format(version="1").replace("affine.onnx", "affine.fake, format: fake")
    (folder / "model.yaml").write_text(card + "golden: [{input: in.json, expect: out.json}]\n")
    edit(plant, level=0, accelerator='["spare:NPU", "spare:CPU"]')


def test_a_device_is_lost_and_comes_back(
    plant: Any, under_load: Callable[..., Any], spare: dict[str, str]
) -> None:
    on_a_stick(plant)
    with under_load(env=spare) as (service, stream, client):
        stream.until_tag("accelerator", "spare:NPU")
        (plant.folder / "unplugged").touch()
        stream.until_tag("accelerator", "spare:CPU")
        reason = client.status("q", "Wear", "degraded").values["InferenceReason"]
        assert (
            reason == "spare:CPU answers; accelerator 'spare:NPU': is lost: spare:NPU is lost: no such device"
        )
        status, body = service.get("/ready")
        assert (status, body["reasons"][-1]) == (200, f"pump: binding Wear is degraded: {reason}")
        (plant.folder / "mad").touch()
        (plant.folder / "unplugged").unlink()
        service.said("is not taken back")
        (plant.folder / "mad").unlink()
        stream.until_tag("accelerator", "spare:NPU")
        said_as_documented(service, "lost")
        levels = re.findall(r"level=(WARN|ERROR) ", service.log)
        assert levels == ["WARN"] * 3, "lost, not taken back, back"


def test_a_device_that_answers_wrongly_is_noticed(
    plant: Any, under_load: Callable[..., Any], spare: dict[str, str]
) -> None:
    on_a_stick(plant)
    with under_load(env={**spare, "INFERENCE_SELFCHECKINTERVAL": "100ms"}) as (service, stream, _):
        stream.until_tag("accelerator", "spare:NPU")
        (plant.folder / "mad").touch()
        stream.until_tag("accelerator", "spare:CPU")
        said_as_documented(service, "wrong")
        (plant.folder / "mad").unlink()
        stream.until_tag("accelerator", "spare:NPU")
    by_device: dict[str, set[bool]] = {}
    for one in stream.of("p"):
        right = float(one.values["Wear"]) > 0
        by_device.setdefault(one.event["tags"]["accelerator"], set()).add(right)
    assert by_device["spare:CPU"] == {True}, "no wrong answer after it was noticed"


def test_a_run_that_hangs_is_said(
    world: Any,
    process: ModuleType,
    mosquitto: Callable[..., Any],
    acme: Any,
    acme_block: Any,
    bind: Callable[..., None],
) -> None:
    broker = mosquitto()
    world.configure(broker.port)
    bind({"Stuck": acme_block("stuck", "{timeout: 1s}")})
    service, client = world.start(env=acme).ready(), world.client(broker.port)
    client.send_event("p", process.reading("StuckIn", "1e+03"))
    client.send_event("p", process.reading("StuckIn", "1e+00"))
    (result,) = client.wait_results(1)
    assert result.values == {"stuckOut": "3e+00"}
    assert service.binding("Stuck")["counters"]["failed"] == {"deadline": 1}
    said_as_documented(service, "hangs")
