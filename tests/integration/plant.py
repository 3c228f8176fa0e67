"""The plant of the tests that change things under load: one binding, events that never stop, nothing lost."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from edgex_inference.testing import onnx_models

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


@contextmanager
def loaded(plant: Any, process: ModuleType, broker: Any, **options: Any) -> Iterator[tuple[Any, Stream, Any]]:
    """The service, the stream and its client; afterwards every event has its result, in order."""
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
