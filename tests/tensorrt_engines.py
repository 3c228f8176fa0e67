"""Engines made and run on the stand-ins of TensorRT, as the tests of its plug-in need them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from accelerators.tensorrt import PLUGIN
from edgex_inference.contracts.accelerator import ONNX, Artefact, LoadRequest, Session
from edgex_inference.engine.options import decode

ONES = np.ones((1, 4), np.float32)
FLAVORS = ("ten", "eleven", "rtx")


def request(path: Path, **keys: Any) -> LoadRequest:
    options = decode(PLUGIN, keys.pop("options", {}))
    return LoadRequest(path=path, format=ONNX, cache=path.parent / "cache", options=options, **keys)


def made(wanted: LoadRequest) -> Artefact:
    assert PLUGIN.compile is not None
    return PLUGIN.compile(wanted)


def loaded(wanted: LoadRequest, artefact: Artefact) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(replace(wanted, path=artefact.path, format=artefact.format))


def opened(path: Path, **keys: Any) -> Session:
    wanted = request(path, **keys)
    return loaded(wanted, made(wanted))


def told(artefact: Artefact) -> dict[str, Any]:
    """What the stand-in wrote into its engine: flags, profile."""
    content = artefact.path.read_bytes()[64:]
    found: dict[str, Any] = json.loads(content[4 : 4 + int.from_bytes(content[:4], "little")])
    return found


class opened_for:
    """A session that is closed at the end."""

    def __init__(self, path: Path, **keys: Any) -> None:
        self._session = opened(path, **keys)

    def __enter__(self) -> Session:
        return self._session

    def __exit__(self, *_: object) -> None:
        self._session.close()
