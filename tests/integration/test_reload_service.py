"""Edits under load: a process of the service on a real broker, ONNX Runtime and OpenVINO, and nothing is lost."""

import logging
import os
import resource
import shutil
import subprocess
import sys
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
        assert service.count("the change is taken up") >= 2
    values = {device: [float(one.values["Wear"]) for one in stream.of(device)] for device in ("p", "q")}
    assert values["q"] == [2 * x + 1 for x in range(1, stream.sent + 1)], "in order"
    assert sorted(values["p"]) == values["q"]
    assert {one.values["InferenceStatus"] for one in client.told.items} == {"running"}


def test_versions_and_cards_change(plant: Any, under_load: Callable[..., Any]) -> None:
    with under_load() as (service, stream, client):
        second = version(plant, "2", scale=4)
        stream.until_tag("modelVersion", "2")
        card = second / "model.yaml"
        card.write_text(card.read_text() + "inputs: {x: {kind: vector, normalize: {mean: [0.25], std: [1]}}}\n")
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
        answers = [(float(one.values["Wear"]), one.event["tags"]["modelVersion"]) for one in stream.of(device)]
        assert [number for _, number in answers] == sorted(number for _, number in answers), "1, then 2"
        for x, (answer, number) in enumerate(answers, 1):
            assert answer in ({2 * x + 1} if number == "1" else {4 * x + 1, 4 * x})
