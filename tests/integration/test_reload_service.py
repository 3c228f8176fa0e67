"""Edits under load: a process of the service on a real broker, ONNX Runtime and OpenVINO, and nothing is lost."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgex_inference.testing import onnx_models

Mosquitto = Callable[..., Any]

PROFILE = """
name: pump
deviceResources:
  - name: Load
    properties:
      valueType: Float32
      readWrite: R
      optional:
        inference:
          Wear:
            model: {{name: affine}}
            accelerator: {accelerator}
            decide: {{value: value, raise: {level}}}
            outputs: {{Wear: {{value: value}}, High: {{value: state}}}}
"""
SIDE_CAR = "match: {{profile: pump}}\ninference:\n  Wear: {{decide: {{raise: {level}}}}}\n"
DEVICES = (
    "deviceList:\n  - name: p\n    profileName: pump\n    properties:\n"
    "      inference: {{Wear: {{decide: {{raise: {level}}}}}}}\n"
)
CARD = 'schema: 1\nname: affine\nversion: "{version}"\ntask: regression\nfiles: [{{path: affine.onnx}}]\n'
GARBAGE = b"\x08\x09garbage"


@pytest.fixture
def plant(world: Any, tmp_path: Path) -> Any:
    """The world of Wear = 2 · Load + 1, on ONNX Runtime or else OpenVINO."""
    edit(world, level=1e9)
    version(world, "1")
    return world


def edit(world: Any, *, level: float, accelerator: str = '["onnxruntime:CPU", "openvino:CPU"]') -> None:
    world.profile(PROFILE.format(level=level, accelerator=accelerator))


def version(world: Any, number: str, *, scale: float = 2, made: bytes = b"") -> Path:
    """Another version of the model, in place at once."""
    home = world.folder / "models" / "affine"
    folder = home / f".{number}"
    onnx_models.write_affine(folder / "affine.onnx", shape=("N", 1), scale=scale)
    if made:
        (folder / "affine.onnx").write_bytes(made)
    (folder / "model.yaml").write_text(CARD.format(version=number))
    folder.rename(home / number)
    return Path(home / number)


class Stream:
    """Sends events of two devices, Load = 1, 2, 3 …, until told to stop; `sent` of each."""

    def __init__(self, client: Any, process: ModuleType) -> None:
        self._client, self._process = client, process
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.005):
            self.sent += 1
            for device in ("p", "q"):
                self._client.send_event(device, self._process.reading("Load", f"{self.sent}e+00"))

    def of(self, device: str) -> list[Any]:
        return [one for one in self._client.results if one.topic.endswith(f"/{device}/Wear")]

    def until(self, device: str, name: str, value: str) -> None:
        """Waits until a device's newest result has this reading."""
        what = f"{device}: {name} is {value}"
        self._client.got.wait(lambda _: self.last(device).values[name] == value, what)

    def last(self, device: str) -> Any:
        found = reversed(self._client.results)
        return next(one for one in found if one.topic.endswith(f"/{device}/Wear"))

    def until_tag(self, name: str, value: str) -> None:
        """Waits until the newest result has this tag."""
        self._client.got.wait(lambda items: items[-1].event["tags"][name] == value, f"{name} is {value}")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def under_load(plant: Any, process: ModuleType, mosquitto: Mosquitto) -> Callable[..., Any]:
    """`with under_load() as (service, stream, client)`: afterwards every event has its result, in order."""

    @contextmanager
    def running(**options: Any) -> Iterator[tuple[Any, Stream, Any]]:
        broker = mosquitto("max_inflight_messages 0", "max_queued_messages 0")
        plant.configure(broker.port, qos=1)
        service = plant.start(**options).ready()
        client = plant.client(broker.port)
        stream = Stream(client, process)
        stream.start()
        try:
            client.wait_results(20)
            yield service, stream, client
        finally:
            stream.stop()
        client.wait_results(2 * stream.sent)
        for device in ("p", "q"):
            found = [one.event["readings"][0]["id"] for one in stream.of(device)]
            assert len(found) == len(set(found)) == stream.sent, "each once"
        counters = service.binding("Wear")["counters"]
        assert (counters["dropped"], counters["failed"]) == ({}, {})
        assert service.stop() == 0

    return running


def test_profile_side_car_and_override_change(plant: Any, under_load: Callable[..., Any]) -> None:
    profiles = plant.folder / "profiles"
    with under_load() as (service, stream, client):
        edit(plant, level=0)
        stream.until("q", "High", "true")
        (profiles / "ours.yaml").write_text(SIDE_CAR.format(level=1e9))
        stream.until("q", "High", "false")
        (profiles / "devices.yaml").write_text(DEVICES.format(level=0))
        stream.until("p", "High", "true")
        assert stream.last("q").values["High"] == "false"
        (profiles / "ours.yaml").unlink()
        stream.until("q", "High", "true")
        service.said("binding Wear of profile pump: the change is taken up", 2)
    values = {device: [float(one.values["Wear"]) for one in stream.of(device)] for device in ("p", "q")}
    assert values["q"] == [2 * x + 1 for x in range(1, stream.sent + 1)], "in order"
    assert sorted(values["p"]) == values["q"]
    assert {one.values["InferenceStatus"] for one in client.told.items} == {"running"}


def test_versions_and_cards_change(plant: Any, under_load: Callable[..., Any]) -> None:
    with under_load() as (service, stream, client):
        second = version(plant, "2", scale=4)
        stream.until_tag("modelVersion", "2")
        card = second / "model.yaml"
        card.write_text(
            card.read_text() + "inputs: {x: {kind: vector, normalize: {mean: [0.25], std: [1]}}}\n"
        )
        client.got.wait(lambda _: float(stream.last("q").values["Wear"]) % 4 == 0, "the card's offset")
        version(plant, "3", made=GARBAGE)
        told = client.status("q", "Wear", "degraded")
        assert told.values["InferenceReason"].startswith(
            "onnxruntime:CPU answers as before; the change is refused: "
        )
        assert "affine.onnx" in told.values["InferenceReason"]
        assert service.get("/ready")[0] == 200
        assert service.count("the change is refused, what ran goes on: ") == 1
        shutil.rmtree(plant.folder / "models" / "affine" / "3")
        service.until(lambda: service.binding("Wear")["status"] == "running", "running again")
        assert stream.last("q").event["tags"]["modelVersion"] == "2"
    for device in ("p", "q"):
        answers = [
            (float(one.values["Wear"]), one.event["tags"]["modelVersion"]) for one in stream.of(device)
        ]
        assert [number for _, number in answers] == sorted(number for _, number in answers), "1, then 2"
        for x, (answer, number) in enumerate(answers, 1):
            assert answer in ({2 * x + 1} if number == "1" else {4 * x + 1, 4 * x})


def test_the_file_is_harmed_in_place_and_mended(plant: Any, under_load: Callable[..., Any]) -> None:
    """As `cp` does it, on a disk that is full: the file that is in use gets other bytes, fewer, or goes."""
    folder = plant.folder / "models" / "affine" / "1"
    file = folder / "affine.onnx"
    onnx_models.write_affine(file, shape=("N", 1), external=True)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    harms: list[Callable[[], object]] = [
        lambda: file.write_bytes(GARBAGE),
        lambda: file.write_bytes(whole[file.name][:99]),
        lambda: (folder / f"{file.name}.data").write_bytes(b""),
        file.unlink,
        lambda: shutil.rmtree(folder),
    ]
    with under_load() as (service, stream, client):
        for number, harm in enumerate(harms, 1):
            harm()
            service.said("the change is refused, what ran goes on: ", number)
            before = len(client.results)
            client.wait_results(before + 20)
            assert service.binding("Wear")["status"] == "degraded"
            folder.mkdir(exist_ok=True)
            for name, content in whole.items():
                (folder / name).write_bytes(content)
            service.said("the change is taken up", number)
            assert service.binding("Wear")["status"] == "running"
        said_as_documented(service, "refused", "mended")
    for device in ("p", "q"):
        answers = [float(one.values["Wear"]) for one in stream.of(device)]
        assert answers == [2 * x + 1 for x in range(1, stream.sent + 1)]


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


def test_a_device_is_lost_and_comes_back(
    plant: Any, under_load: Callable[..., Any], spare: dict[str, str]
) -> None:
    folder = plant.folder / "models" / "affine" / "1"
    (folder / "affine.fake").write_text('{"shape": [null, 1]}')
    (folder / "in.json").write_text('{"x": [1.0]}')
    (folder / "out.json").write_text('{"value": 3.0}')
    card = CARD.format(version="1").replace("affine.onnx", "affine.fake, format: fake")
    (folder / "model.yaml").write_text(card + "golden: [{input: in.json, expect: out.json}]\n")
    edit(plant, level=0, accelerator='["spare:NPU", "spare:CPU"]')
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
    folder = plant.folder / "models" / "affine" / "1"
    (folder / "affine.fake").write_text('{"shape": [null, 1]}')
    (folder / "in.json").write_text('{"x": [1.0]}')
    (folder / "out.json").write_text('{"value": 3.0}')
    card = CARD.format(version="1").replace("affine.onnx", "affine.fake, format: fake")
    (folder / "model.yaml").write_text(card + "golden: [{input: in.json, expect: out.json}]\n")
    edit(plant, level=0, accelerator='["spare:NPU", "spare:CPU"]')
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


def documented(*names: str) -> list[str]:
    """The lines of the log that the how-to shows in its blocks of these names."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "reload-and-degradation.md").read_text()
    blocks = re.findall(r"^```text (\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert {*names} <= {name for name, _ in blocks}
    return [line for name, text in blocks if name in names for line in text.splitlines()]


def said_as_documented(service: Any, *names: str) -> None:
    """Every line of the how-to was said: level, source and text, apart from what `…` stands for."""
    for line in documented(*names):
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        service.lines.wait(
            lambda lines, pattern=pattern: any(re.search(pattern, one) for one in lines), f"it says {line}"
        )


def test_a_run_that_hangs_is_said(
    world: Any,
    process: ModuleType,
    mosquitto: Mosquitto,
    acme: Any,
    acme_block: Any,
    bind: Callable[..., None],
) -> None:
    broker = mosquitto()
    world.configure(broker.port)
    bind({"Stuck": acme_block("stuck", "{timeout: 200ms}")})
    service, client = world.start(env=acme).ready(), world.client(broker.port)
    client.send_event("p", process.reading("StuckIn", "1e+03"))
    client.send_event("p", process.reading("StuckIn", "1e+00"))
    (result,) = client.wait_results(1)
    assert result.values == {"stuckOut": "3e+00"}
    assert service.binding("Stuck")["counters"]["failed"] == {"deadline": 1}
    said_as_documented(service, "hangs")
