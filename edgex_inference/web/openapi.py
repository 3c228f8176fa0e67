"""The OpenAPI document of everything that is served."""

from functools import cache
from importlib.resources import files
from typing import Any

_COMMON = ("ping", "version", "config", "secret", "trigger")


def document(version: str, *, major: str | None) -> dict[str, Any]:
    """The document of this version; with EdgeX 2 the common endpoints are also below /api/v2."""
    found = _written()
    paths = dict(found["paths"])
    if major == "2":
        paths |= {f"/api/v2/{name}": _renamed(paths[f"/api/v3/{name}"]) for name in _COMMON}
    return {**found, "info": {**found["info"], "version": version}, "paths": paths}


@cache
def _written() -> dict[str, Any]:
    import yaml

    text = files("edgex_inference.web").joinpath("openapi.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return found


def _renamed(path: dict[str, Any]) -> dict[str, Any]:
    """A path of its own has operations of its own names."""
    return {method: {**said, "operationId": f"{said['operationId']}2"} for method, said in path.items()}
