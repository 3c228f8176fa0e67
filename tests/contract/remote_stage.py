"""Sessions of the accelerator remote on a server of the tests; the fixture `server` closes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from accelerators.remote import PLUGIN
from edgex_inference.contracts.accelerator import REMOTE, LoadRequest, Session
from edgex_inference.engine.options import decode

X = np.ones((1, 4), np.float32)
opened: list[Session] = []


def model(package: Any, datatype: str = "FP32", rows: int = 1, **keys: Any) -> Any:
    tensor = (datatype, (rows, 4))
    return package.Model([("x", *tensor)], [("y", *tensor)], lambda a: {"y": 2 * a["x"] + 1}, **keys)


def load(
    server: Any, name: str = "m", secrets: Mapping[str, str] | None = None, **options: object
) -> Session:
    assert PLUGIN.load is not None
    said = {"url": server.url, "timeout": 20.0, **options}
    request = LoadRequest(
        path=Path("unused.onnx"),
        format=REMOTE,
        name=name,
        options=decode(PLUGIN, said),
        secret=secrets or {},
    )
    opened.append(PLUGIN.load(request))
    return opened[-1]


def right(session: Session) -> bool:
    return bool(np.array_equal(session.infer({"x": X})["y"], 2 * X + 1))
