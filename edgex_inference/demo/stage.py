"""What the demo sets up: a configuration of its own, the packaged profiles, connections to its broker."""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from edgex_inference.bindings.book import Book
from edgex_inference.bindings.files import read
from edgex_inference.buses.mqtt.bus import MqttBus
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.config.load import Loaded, load
from edgex_inference.contracts.errors import SetupError
from edgex_inference.demo.devices import CAMERA, SPINDLE
from edgex_inference.edgex.dialect import Major
from edgex_inference.pipeline.emission import INACTIVE
from edgex_inference.service import Service

BINDINGS: Mapping[str, str] = {CAMERA.profile: "PartInspection", SPINDLE.profile: "SpindleHealth"}
"""Profile → the binding in it."""

HOST = "127.0.0.1"
HTTP_PORTS = (59760, 0)
"""Where the service answers HTTP: on the usual port, else on any free one."""


def configuration(folder: Path, port: int, major: Major, http_port: int) -> Loaded:
    """The packaged defaults on the demo's broker; nothing of the working directory or the environment counts."""
    settings = {
        "EDGEX_SECURITY_SECRET_STORE": "false",
        "INFERENCE_EDGEXVERSION": major,
        "INFERENCE_METADATA": "none",
        "INFERENCE_PROFILESDIR": str(folder),
        "MESSAGEBUS_HOST": HOST,
        "MESSAGEBUS_PORT": str(port),
        "SERVICE_HOST": HOST,
        "SERVICE_PORT": str(http_port),
    }
    return load(environ=settings, directory=folder)


def book(folder: Path, accelerator: str) -> Book:
    """The bindings of both profiles, on `accelerator` unless it is empty; raises SetupError for a wrong name."""
    packaged = Path(str(files("edgex_inference"))) / "_data" / "profiles"
    paths = [packaged / f"{profile}.yaml" for profile in BINDINGS]
    for profile, binding in BINDINGS.items() if accelerator else ():
        override = {"match": {"profile": profile}, "inference": {binding: {"accelerator": accelerator}}}
        paths.append(folder / f"{profile}-accelerator.json")
        paths[-1].write_text(json.dumps(override), encoding="utf-8")
    found = Book(read(paths))
    for problem in found.problems:
        if problem.severity == "error":
            raise SetupError(
                f"--accelerator {accelerator}: {problem.message}" if accelerator else str(problem)
            )
    return found


def connection(client_id: str, port: int) -> MqttBus:
    """A connection of its own to the demo's broker, not yet open."""
    return MqttBus(MqttSettings(host=HOST, port=port, client_id=client_id))


def idle(service: Service) -> str:
    """Why no binding will ever answer; nothing when one does."""
    runs = service.router.runs
    if any(run.status != INACTIVE for run in runs):
        return ""
    reasons: dict[str, list[str]] = {}
    for run in runs:
        reasons.setdefault(run.reason, []).append(run.binding.name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())


def fates(service: Service) -> Mapping[str, str]:
    """What each binding dropped or failed to do, by reason; empty texts for those that did everything."""
    told = {}
    for run in service.router.runs:
        counted = {**run.measures.dropped.by_word(), **run.measures.failed.by_word()}
        told[run.binding.name] = ", ".join(f"{amount} {word}" for word, amount in counted.items())
    return told
