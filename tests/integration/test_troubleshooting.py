"""Every sentence that the troubleshooting page explains comes out of the code, and every kind of error is there."""

import asyncio
import contextlib
import io
import json
import logging
import os
import re
import socket
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from accelerators import openvino
from edgex_inference.buses.memory import MemoryBus
from edgex_inference.cli.main import main
from edgex_inference.config.flags import Flags
from edgex_inference.config.load import load
from edgex_inference.contracts import errors
from edgex_inference.contracts.accelerator import ONNX, Format, LoadRequest
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.vendor import load_vendor
from edgex_inference.edgex import envelope
from edgex_inference.edgex.commands import CommandClient
from edgex_inference.edgex.notifications import Notification, NotificationClient
from edgex_inference.edgex.providers.keeper import Keeper
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.terms import LaneSettings
from edgex_inference.opening import open_bus
from edgex_inference.preprocess.readings import pick
from edgex_inference.service import Service
from edgex_inference.testing import fake_accelerator as fake
from edgex_inference.testing import onnx_models
from edgex_inference.web.server import serve
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"
Heard = list[tuple[str, str]]
"""Kind of error, or where else it was said → the sentence."""

ELSEWHERE: Mapping[str, str] = json.loads((ROOT / "tests" / "data" / "troubleshooting.json").read_text())
"""Words of a sentence → the test that provokes it and compares these words."""


def entries() -> list[str]:
    """What the tables say that the service says."""
    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.MULTILINE)
    said = [sentence for cell in rows for sentence in re.findall(r"`([^`]+)`", cell)]
    return [one for one in said if " " in one and not re.match(r"(received|dropped|suppressed|failed)", one)]


def pattern(sentence: str) -> re.Pattern[str]:
    """Names, numbers, single letters and what is left out may be anything."""
    apart = r"…|'[^']*'|\"[^\"]*\"|\[\d\]|\b\d[\d.]*\b|\b[A-Za-z]\b|pump-7"
    return re.compile(".*?".join(re.escape(part.strip()) for part in re.split(apart, sentence)), re.DOTALL)


# Provoking


def command(*words: object) -> str:
    """What a command prints, both ways."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        main([str(word) for word in words])
    return output.getvalue()


def configurations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Configurations with mistakes, and commands that are none."""
    login = '[MessageBus]\nAuthMode = "usernamepassword"\n[Writable.InsecureSecrets.mqtt]\nSecretName = "mqtt-bus"\n'
    texts = ('[MessageBus]\nHst = "x"\nPort = "y"', '[MessageBus]\nType = "redis"', login)
    for text in texts:
        (folder / "configuration.toml").write_text(text)
        with contextlib.suppress(errors.ConfigurationError):
            open_bus(load(Flags(), environ={}, directory=folder))
    (folder / "configuration.toml").unlink()
    for flags, environ in (
        (Flags(config_provider="keeper.http://x"), {}),
        (Flags(), {"EDGEX_SECURITY_SECRET_STORE": "true"}),
    ):
        with contextlib.suppress(errors.ConfigurationError):
            load(flags, environ=environ, directory=folder)
    yield command("rum")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "paho.mqtt.client", None)
        patch.setitem(sys.modules, "paho.mqtt", None)
        patch.delitem(sys.modules, "edgex_inference.buses.mqtt.paho_client", raising=False)
        patch.delitem(sys.modules, "edgex_inference.buses.mqtt.paho_link", raising=False)
        with contextlib.suppress(errors.SetupError):
            open_bus(load(Flags(), environ={"INFERENCE_MQTTCLIENT": "paho"}, directory=folder))


def store(folder: Path) -> None:
    """Models, each wrong in its way but `good`."""

    def add(name: str, **card: Any) -> Path:
        place = folder / "models" / name / "1"
        place.mkdir(parents=True)
        onnx_models.write_affine(place / "m.onnx", shape=("N", 2))
        whole = {
            "schema": 1,
            "name": name,
            "version": "1",
            "task": "regression",
            "files": [{"path": "m.onnx"}],
        }
        (place / "model.yaml").write_text(yaml.safe_dump({**whole, **card}))
        return place

    for name in ("good", "score"):
        add(name, **({"task": "anomaly"} if name == "score" else {}))
    add("unready", ready=False)
    add("wide", inputs={"x": {"kind": "vector", "shape": [7]}})
    add("names", inputs={"x": {"kind": "vector", "names": ["X", "Y"]}})
    add("torn").joinpath("m.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    add("hash", files=[{"path": "m.onnx", "sha256": "0" * 64}])
    add("boxes", task="detection")
    golden = add("golden", golden=[{"input": "in.json", "expect": "out.json"}])
    (golden / "in.json").write_text('{"x": [1, 2]}')
    (golden / "out.json").write_text('{"value.0": 9}')


NUMBERS = {"Out": {"value": "values"}}
BLOCKS: Mapping[str, dict[str, Any]] = {
    "NoModel": {"outputs": NUMBERS},
    "Text": {"model": {"name": "good"}, "decide": {"raise": "high", "claer": 1}, "outputs": NUMBERS},
    "Value": {"model": {"name": "good", "task": "regression"}, "outputs": {"Out": {"value": "valeu"}}},
    "Later": {"model": {"name": "good"}, "window": {"size": 5}, "outputs": NUMBERS},
    "Lost": {"model": {"name": "goood"}, "outputs": NUMBERS},
    "Unready": {"model": {"name": "unready"}, "outputs": NUMBERS},
    "Task": {"model": {"name": "good", "task": "anomaly"}, "outputs": {"Out": {"value": "score"}}},
    "Wide": {"model": {"name": "wide"}, "outputs": NUMBERS},
    "Torn": {"model": {"name": "torn"}, "outputs": NUMBERS},
    "Hash": {"model": {"name": "hash"}, "outputs": NUMBERS},
    "Boxes": {"model": {"name": "boxes"}, "outputs": {"Out": {"value": "count"}}},
    "Golden": {"model": {"name": "golden"}, "outputs": NUMBERS},
    "Names": {"model": {"name": "names"}, "inputs": [{"resource": "X"}, {"resource": "Z"}], "outputs": NUMBERS},
    "Few": {"model": {"name": "good"}, "inputs": [{"resource": r} for r in "XYZ"], "outputs": NUMBERS},
    "Myriad": {"model": {"name": "good"}, "accelerator": "openvino:MYRIAD", "outputs": NUMBERS},
    "Half": {
        "model": {"name": "good"}, "accelerator": {"name": "openvino", "precision": "f16"}, "outputs": NUMBERS,
    },
    "Cuda": {"model": {"name": "good"}, "accelerator": "onnxruntime:CUDA", "outputs": NUMBERS},
    "Vino": {"model": {"name": "good"}, "accelerator": "opnvino", "outputs": NUMBERS},
    "Raise": {"model": {"name": "score"}, "outputs": {"Out": {"value": "state"}}, "decide": {"clear": 1}},
    "Nms": {"model": {"name": "good"}, "postprocess": {"nmsIou": 0.4}, "outputs": NUMBERS},
}  # fmt: skip


def resource(name: str, kind: str = "Float32", **blocks: Any) -> dict[str, Any]:
    return {
        "name": name,
        "properties": {"valueType": kind, "readWrite": "R", "optional": {"inference": blocks}},
    }


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def profiles(folder: Path) -> Iterator[str]:
    """Profiles that are refused, by `validate`."""
    shown = folder / "profiles"
    for name, block in BLOCKS.items():
        resources = [resource("X", **{name: block}), *(resource(one) for one in "YZ")]
        path = write(shown / f"{name}.yaml", {"name": name, "deviceResources": resources})
        yield command("validate", path, "--models", folder / "models")
    good = {"model": {"name": "good"}, "outputs": NUMBERS}
    twice = [resource("X", B=good), resource("Y", B=good)]
    path = write(folder / "twice.yaml", {"name": "twice", "deviceResources": twice})
    yield command("validate", path, "--schema-only")
    side = write(
        folder / "side.yaml", {"match": {"profile": "twice", "resource": "Q"}, "inference": {"S": good}}
    )
    yield command("validate", path, side, "--schema-only")
    yield command("validate", folder / "nowhere")


READINGS: tuple[Mapping[str, Any], ...] = (
    {"value": "NaN"},
    {"value": None},
    {"valueType": "String", "value": "shut"},
    {"value": "1,5"},
    {"valueType": "Float32Array", "value": "[1, 2, 3]"},
    {"resourceName": "Other", "value": "1"},
    {"resourceName": "Motor", "valueType": "Object", "value": None, "objectValue": {"motor": {"y": 1}}},
)


EMPTY = Event(api_version="v3", id="1", device_name="pump-7", profile_name="pump", origin=1, readings=())


def drops(folder: Path) -> Iterator[str]:
    """Events that cannot become samples, by `try`."""
    plain = {"model": {"name": "good"}, "inputs": [{"resource": "X"}, {"resource": "X"}], "outputs": NUMBERS}
    field = {
        "model": {"name": "good"},
        "inputs": [{"resource": "Motor", "field": f} for f in ("/motor/x", "/motor/y")],
    }
    blocks = [resource("X", Plain=plain), resource("Motor", "Object", Field={**field, "outputs": NUMBERS})]
    path = write(folder / "events.yaml", {"name": "pump", "deviceResources": blocks})
    names = {"deviceName": "pump-7", "profileName": "pump", "origin": 1795492843210573265}
    lines = []
    for one in READINGS:
        reading = {"id": str(uuid.uuid4()), "resourceName": "X", "valueType": "Float32", **names, **one}
        head = {"apiVersion": "v3", "id": str(uuid.uuid4()), "sourceName": "s", **names}
        lines.append(json.dumps({**head, "readings": [reading]}))
    (folder / "events.txt").write_text("\n".join(lines))
    for binding in ("Plain", "Field", "Zoom"):
        yield command("try", path, binding, folder / "events.txt", "--models", folder / "models")
    other = write(folder / "both" / "a.yaml", {"name": "a", "deviceResources": blocks})
    write(folder / "both" / "b.yaml", {"name": "b", "deviceResources": blocks})
    yield command("try", other.parent, "Plain", folder / "events.txt", "--models", folder / "models")
    later = folder / "profiles" / "Later.yaml"
    yield command("try", later, "Later", folder / "events.txt", "--models", folder / "models")
    (folder / "m.pth").write_bytes(b"\xff\xfe weights")
    for words in (
        ("info", "no.onnx"),
        ("info", folder / "m.pth"),
        ("add", folder / "good.onnx", "--name", "good"),
    ):
        onnx_models.write_affine(folder / "good.onnx")
        yield command("model", *words, "--models", folder / "models")
    with contextlib.suppress(errors.DecodeError):
        pick(EMPTY, frozenset("X"))
    for payload in (b"hello", b'{"contentType":"application/json","payload":"%%%"}'):
        with contextlib.suppress(errors.EnvelopeError):
            envelope.read(Message(topic="edgex/events/x", payload=payload))


async def runs(folder: Path) -> None:
    """Runs that fail, on the shipped fake and on a real runtime."""
    path = fake.write_model(folder / "model.fake", parallel=1)
    lane = Lane(
        "fake:CPU model",
        lambda: fake.load(LoadRequest(path=path, format=fake.FAKE)),
        settings=LaneSettings(backoff=0.01, backoff_most=0.02, queue=2, load_timeout=20),
    )
    await lane.open()
    strings, x = fake.control(path), {"x": np.ones((1, 4), np.float32)}
    for word in ("leak", "fail"):
        strings.script.append(word)
        await asyncio.gather(lane.infer(x), return_exceptions=True)
    strings.script.append("hang")
    strings.started.clear()
    first = asyncio.create_task(lane.infer(x, timeout=1))
    await asyncio.to_thread(strings.started.wait, 20)
    await asyncio.gather(*(lane.infer(x, timeout=0.05) for _ in range(2)), return_exceptions=True)
    await asyncio.gather(first, return_exceptions=True)
    strings.release.set()
    async with asyncio.timeout(60):
        while lane.state != "ready":  # noqa: ASYNC110 - else a new warm-up would use the next string up
            await asyncio.sleep(0.002)
    strings.script.append("lose")
    await asyncio.gather(lane.infer(x), return_exceptions=True)
    await lane.close()
    (choice,) = Catalog().candidates(AcceleratorChoice(name="onnxruntime"), [ONNX])
    session = choice.accelerator.load(LoadRequest(path=folder / "good.onnx", format=ONNX))
    with contextlib.suppress(errors.SignatureMismatch):
        session.infer({"x": np.ones((1, 3), np.float32)})
    session._run = gone  # type: ignore[attr-defined]
    with contextlib.suppress(errors.InferenceError):
        session.infer({"x": np.ones((1, 4), np.float32)})
    session.close()
    for name, fmt in (("onnxruntime", "tflite"), ("openvino", "xmodel")):
        with contextlib.suppress(errors.SetupError):
            Catalog().candidates(AcceleratorChoice(name=name), [Format(fmt)])
    with contextlib.suppress(errors.AcceleratorUnavailable), pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "openvino", None)
        load_vendor("openvino", accelerator="openvino", extra="openvino")
    with contextlib.suppress(errors.AcceleratorUnavailable), pytest.MonkeyPatch.context() as patch:
        patch.setattr("accelerators.openvino.PLUGIN", replace(openvino.PLUGIN, version=lambda: None))
        Catalog().candidates(AcceleratorChoice(name="openvino"), [ONNX])


def gone(*_: object) -> None:
    """What ONNX Runtime does when the device is lost; no such device was at hand."""
    raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")


async def outside(folder: Path, heard: Heard) -> None:
    """A port that is taken, a broker that is away, a folder that is not there."""
    closed = free_port()
    with socket.create_server(("127.0.0.1", closed)), contextlib.suppress(errors.ConfigurationError):
        async with serve(None, "127.0.0.1", closed):  # type: ignore[arg-type]
            pass
    (folder / "configuration.toml").write_text(f"[Service]\nPort = 0\n[MessageBus]\nPort = {closed}\n")
    loaded = load(Flags(), environ={"INFERENCE_PROFILESDIR": str(folder / "none")}, directory=folder)
    service = Service(loaded, open_bus(loaded))
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(60):
        while not any("cannot connect" in sentence for _, sentence in heard):  # noqa: ASYNC110 - a log line
            await asyncio.sleep(0.02)
    service.stop()
    await running
    core_command = CommandClient(f"http://127.0.0.1:{closed}")
    with contextlib.suppress(errors.SourceUnavailable):
        await core_command.get("pump-7", "Telemetry", {}, timeout=20)
    await core_command.close()
    notifications = NotificationClient(f"http://127.0.0.1:{closed}", "app-inference")
    with contextlib.suppress(errors.NotificationsUnavailable):
        await notifications.post(Notification(content="text", labels=("label",), severity="MINOR"))
    await notifications.close()
    keeper = Keeper(f"http://127.0.0.1:{closed}")
    with contextlib.suppress(errors.RegistryUnavailable):
        await keeper.alive()
    await keeper.close()
    with contextlib.suppress(errors.BusUnavailable):
        await MemoryBus(name="app").publish(Message(topic="t", payload=b""))


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """Everything that was said while all of the above was provoked."""
    folder, found = tmp_path_factory.mktemp("trouble"), Heard()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if re.match(r"(EDGEX_(?!INFERENCE)|MESSAGEBUS_|INFERENCE_|WRITABLE_|SERVICE_|TRIGGER_)", name):
                patch.delenv(name)
        patch.chdir(folder)
        patch.setenv("XDG_STATE_HOME", str(folder))
        patch.setattr(errors.EdgexInferenceError, "__init__", noting(found), raising=False)
        with listening_to("edgex_inference", found):
            found += [("said", text) for text in configurations(folder, patch)]
            store(folder)
            for provoke in (profiles, drops):
                found += [("said", text) for text in provoke(folder)]
            asyncio.run(runs(folder))
            asyncio.run(outside(folder, found))
        print(*found, sep="\n")
    return found


def noting(found: Heard) -> Callable[..., None]:
    """An `__init__` of the errors that writes down what each says."""

    def init(self: Exception, *words: object) -> None:
        Exception.__init__(self, *words)
        found.append((type(self).__name__, str(self)))

    return init


@contextlib.contextmanager
def listening_to(name: str, found: Heard) -> Iterator[None]:
    """Writes down what is logged."""
    handler = logging.Handler()
    handler.emit = lambda record: found.append(("log", record.getMessage()))  # type: ignore[method-assign]
    logger = logging.getLogger(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)
    logger.removeHandler(handler)


@pytest.mark.parametrize("sentence", entries())
def test_every_sentence_is_provoked(sentence: str, heard: Heard) -> None:
    """By this file, or by the test that is named for it."""
    for words in (words for words in ELSEWHERE if words in sentence):
        assert words in (ROOT / ELSEWHERE[words]).read_text()
        return
    assert any(pattern(sentence).search(said) for _, said in heard), f"nothing said {sentence!r}"


def kinds() -> list[type]:
    """The kinds of errors that some code makes."""
    branches = errors.EdgexInferenceError.__subclasses__()
    leaves = [
        one for branch in branches for one in branch.__subclasses__() if not one.__name__.startswith("_")
    ]
    leaves += errors._Problems.__subclasses__()
    files = [*(ROOT / "edgex_inference").rglob("*.py"), *(ROOT / "accelerators").rglob("*.py")]
    code = "\n".join(file.read_text() for file in files)
    return [one for one in leaves if re.search(rf"(?<!class )\b{one.__name__}\(", code)]


@pytest.mark.parametrize("kind", [kind.__name__ for kind in kinds()])
def test_every_kind_of_error_has_an_entry(kind: str, heard: Heard) -> None:
    """A sentence of that kind stands on the page."""
    patterns = [pattern(sentence) for sentence in entries()]
    mine = [said for name, said in heard if name == kind]
    assert mine, f"provoke {kind} above, and explain what it says in docs/how-to/troubleshooting.md"
    assert any(one.search(said) for one in patterns for said in mine), mine
