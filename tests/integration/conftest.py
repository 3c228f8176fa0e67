"""Fixtures for the service as a whole."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from onnx import TensorProto

from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.config.flags import Flags
from edgex_inference.config.load import load
from edgex_inference.opening import open_bus
from edgex_inference.testing import onnx_models


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's models in a store of their own, below the working folder."""
    monkeypatch.chdir(tmp_path)
    demo = Path(__file__).parents[2] / "edgex_inference" / "demo" / "models"
    return Path(shutil.copytree(demo, tmp_path / "models"))


@pytest.fixture(params=("native 3.1.1", "native 5", "paho 3.1.1"))
def mqtt_settings(request: pytest.FixtureRequest) -> Callable[..., MqttSettings]:
    """`mqtt_settings(broker or None, name, …)`: a test that takes it runs for each client and version."""
    client, version = request.param.split()

    def make(broker: Any = None, name: str = "bus", **changes: Any) -> MqttSettings:
        where = {"host": "127.0.0.1", "port": broker.port if broker else 1, **changes}
        return MqttSettings(client_id=name, client=client, version=version, **where)

    return make


PUMP = """
name: pump
deviceResources:
  - name: Load
    properties:
      valueType: Float32
      readWrite: R
      optional:
        inference:
          Wear:
            model: {name: affine, task: regression}
            outputs: {Wear: {value: value}}
"""
"""One resource, one binding: Wear = 2·Load + 1."""


ACME = """
import json
import os
import threading
from dataclasses import replace

from edgex_inference.contracts.errors import DeviceLost
from edgex_inference.testing import fake_accelerator as fake


class Moody:
    def __init__(self, session):
        self._session = session
        self.__dict__.update(vars(session))

    def infer(self, tensors, *, timeout=None):
        most = max(float(array.max()) for array in tensors.values())
        if most == 1000:
            threading.Event().wait()
        if most == 4000:
            os.abort()
        if most == 2000:
            raise DeviceLost("acme: unplugged")
        if most == 3000:
            raise fake.VendorError("error -7 in libacme.so")
        return self._session.infer(tensors, timeout=timeout)

    def close(self):
        self._session.close()


def load(request):
    if json.loads(request.path.read_text()).get("loads") == "never":
        threading.Event().wait()
    return Moody(fake.load(request))


PLUGIN = replace(fake.PLUGIN, name="acme", load=load)
"""
"""Somebody else's plug-in. It hangs for ever at 1000, loses its device at 2000, lets an exception out at 3000, and
takes its process down at 4000."""


@pytest.fixture
def acme(tmp_path: Path) -> dict[str, str]:
    """The environment in which the accelerator `acme` of another distribution is installed."""
    site = tmp_path / "site"
    facts = site / "acme_accelerator-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "acme_accelerator.py").write_text(ACME)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-accelerator\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(
        "[edgex_inference.accelerators]\nacme = acme_accelerator:PLUGIN\n"
    )
    (facts / "RECORD").write_text("acme_accelerator.py,,\n")
    return {"PYTHONPATH": str(site)}


@pytest.fixture(scope="session")
def process() -> ModuleType:
    """The module tests/service_process.py."""
    path = Path(__file__).parents[1] / "service_process.py"
    spec = importlib.util.spec_from_file_location("service_process", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["service_process"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def world(process: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """An empty folder for a service; what was started in it is ended afterwards."""
    made = process.World(tmp_path / "world")
    yield made
    made.close()


@pytest.fixture
def affine(tmp_path: Path) -> Callable[..., None]:
    """`affine(world, name="affine", width=1, element=…)`: puts a model y = 2x + 1 into the world."""

    def put(world: Any, name: str = "affine", width: int = 1, element: int = TensorProto.FLOAT) -> None:
        file = onnx_models.write_affine(tmp_path / f"{name}.onnx", shape=("N", width), element=element)
        world.model(name, [file], f"task: regression\nfiles: [{{path: {name}.onnx}}]")

    return put


@pytest.fixture
def pump(world: Any, affine: Callable[..., None]) -> Any:
    """The world of the profile `pump`: Wear = 2·Load + 1."""
    affine(world)
    world.profile(PUMP)
    return world


@pytest.fixture
def bind(world: Any) -> Callable[..., None]:
    """`bind({binding: block})`: writes the profile `pump` with one resource `<binding>In` for each block."""

    def write(blocks: dict[str, str], kind: str = "Float32") -> None:
        resources = [
            f"  - name: {name}In\n    properties:\n      valueType: {kind}\n      readWrite: R\n"
            f"      optional: {{inference: {{{name}: {block}}}}}"
            for name, block in blocks.items()
        ]
        world.profile("name: pump\ndeviceResources:\n" + "\n".join(resources))

    return write


@pytest.fixture
def acme_block(world: Any, tmp_path: Path) -> Callable[..., str]:
    """`acme_block(name, limits, **model)`: puts a model for `acme` into the world; the block of a binding to it."""

    def put(name: str, limits: str = "{}", accelerator: str = "acme", **model: Any) -> str:
        file = tmp_path / f"{name}.fake"
        file.write_text(json.dumps({"shape": [None, 1], **model}))
        world.model(name, [file], f"task: regression\nfiles: [{{path: {name}.fake, format: fake}}]")
        outputs = f"{{{name}Out: {{value: value}}}}"
        return (
            f"{{model: {{name: {name}}}, accelerator: {accelerator}, limits: {limits}, outputs: {outputs}}}"
        )

    return put


@pytest.fixture
def line_to(
    official: Any, mosquitto: Callable[..., Any], run_server: Callable[..., Any], world: Any
) -> Callable[[str], Any]:
    """`line_to(bus)`: a Line of tests/official/line.py to a server of its own that takes pictures."""

    def made(bus: str) -> Any:
        line, large = official.line.Line, "max_payload: 8388608"
        match bus:
            case "redis":
                return line(kind=bus, port=run_server("Redis").port, protocol="redis")
            case "nats-core":
                return line(kind=bus, port=run_server("Nats", large).port)
            case "nats-jetstream":
                stream = {
                    "Subject": "edgex/#",
                    "AutoProvision": "true",
                    "Deliver": "new",
                    "DefaultPubRetryAttempts": "2",
                }
                return line(kind=bus, port=run_server("Nats", large, streams=True).port, optional=stream)
            case "zero":
                return line(kind=bus, port=world.free_port(), ours=world.free_port())
        return line(kind=bus, port=mosquitto().port)

    return made


@pytest.fixture
def enter(
    official: Any,
    line_to: Callable[..., Any],
    metadata: Callable[..., Any],
    world: Any,
    affine: Callable[..., None],
    tmp_path: Path,
) -> Iterator[Callable[..., Any]]:
    """`enter(generation, bus, wish=…)`: a Cell of tests/official/cell.py, everybody started, stopped afterwards."""

    def core(line: Any, version: str) -> Any:
        if line.kind == "mqtt":
            return metadata(line.port, version=version)
        if line.kind == "zero":  # every publisher has a port of its own there, and 2.x calls device services
            return metadata(0, version=version)
        loaded = load(Flags(service_key="core-metadata"), environ=line.environment, directory=tmp_path)
        return metadata(line.port, version=version, connect=lambda: open_bus(loaded))

    with ExitStack() as stack:

        def start(generation: str, bus: str, wish: Any = None) -> Any:
            cell = official.cell
            affine(world, "affine")
            affine(world, "affine16", 16)
            line = line_to(bus)
            ground = cell.Ground(folder=tmp_path, world=world, program=official.program, metadata=core)
            return cell.enter(stack, ground, line, generation, wish or cell.Wish())

        yield start


@pytest.fixture
def plant(world: Any) -> Any:
    """The world of Wear = 2 · Load + 1, on ONNX Runtime or else OpenVINO."""
    from tests.integration.plant import edit, version

    edit(world, level=1e9)
    version(world, "1")
    return world


@pytest.fixture
def under_load(plant: Any, process: ModuleType, mosquitto: Callable[..., Any]) -> Callable[..., Any]:
    """`with under_load() as (service, stream, client)`: afterwards every event has its result, in order."""
    from tests.integration.plant import loaded

    broker = mosquitto("max_inflight_messages 0", "max_queued_messages 0")
    return partial(loaded, plant, process, broker)
