"""What is to be compiled, and the key that it is kept under."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from edgex_inference.contracts.accelerator import Accelerator, Artefact, LoadRequest
from edgex_inference.contracts.errors import AcceleratorUnavailable
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.engine.catalog import Candidate
from edgex_inference.engine.files import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A model to be compiled for an inference device.

    `source` is the digest of all files of the model: weights beside it count, and what a quantization was calibrated
    with. `what` is the key of what is wanted: source, format, precision, shapes, batch and options; threads do not
    count, they are for running. `made_with` are tools and device, as they are here; `key` is that of both together.
    """

    accelerator: Accelerator
    model: str
    version: str
    request: LoadRequest
    source: str
    options: str
    what: str
    made_with: Mapping[str, str]
    key: str

    def __str__(self) -> str:
        return f"{self.model} {self.version} for {self.accelerator.name}:{self.request.device}"

    @property
    def folder(self) -> str:
        """Where artefacts of this kind lie, for people to recognize."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self.model}-{self.version}")
        return f"{self.accelerator.name}/{name}-{self.what[:16]}"

    def compile(self, request: LoadRequest) -> Artefact:
        """Compiles now; raises ModelRejected or AcceleratorUnavailable."""
        if self.accelerator.compile is None:
            raise AcceleratorUnavailable(self.accelerator.name, "compiles nothing")
        return self.accelerator.compile(request)


def order(candidate: Candidate, request: LoadRequest, card: ModelCard, build: Build) -> Order:
    """The order for one file of a model; reads all of it and asks the plug-in what it is on.

    Raises OSError, and what the plug-in's `identity` raises.
    """
    accelerator, request = candidate.accelerator, replace(request, device=candidate.device)
    source, options = digest(build.path, build.format), _options(request.options)
    what = _sha256(
        {
            "accelerator": accelerator.name,
            "source": source,
            "format": request.format,
            "precision": request.precision,
            "shapes": {name: list(shape) for name, shape in request.shapes.items()},
            "batch": request.batch,
            "options": options,
        }
    )
    made_with = _made_with(candidate, request)
    return Order(
        accelerator=accelerator,
        model=card.name,
        version=card.version,
        request=request,
        source=source,
        options=options,
        what=what,
        made_with=made_with,
        key=_sha256({"what": what, "with": dict(made_with)}),
    )


def _made_with(candidate: Candidate, request: LoadRequest) -> Mapping[str, str]:
    accelerator = candidate.accelerator
    tools = {"plug-in": candidate.plugin, "runtime": accelerator.version() or "none"}
    if accelerator.identity is None:
        return {**tools, "device": candidate.device}
    return {**tools, **accelerator.identity(request)}


def _options(options: object) -> str:
    """The options as JSON; those of a kind that JSON does not know as Python writes them."""
    try:
        return msgspec.json.encode(options, order="sorted").decode()
    except (TypeError, ValueError):
        return repr(options)


def _sha256(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()
