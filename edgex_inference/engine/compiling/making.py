"""Compiling one order in a folder of its own."""

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from edgex_inference.contracts.accelerator import Artefact
from edgex_inference.engine.compiling import provenance
from edgex_inference.engine.compiling.orders import Order
from edgex_inference.engine.compiling.provenance import Provenance

log = logging.getLogger(__name__)

Progress = Callable[[float | None, str], None]
"""Is told how far a long step is, 0 to 1 or None where nobody knows, and what is done."""


def make(order: Order, work: Path, progress: Progress) -> Provenance:
    """Compiles; afterwards `entry` in the folder `work` holds the files and their provenance.

    Raises ModelRejected, AcceleratorUnavailable, and OSError where the files cannot be written.
    """
    tools, entry = work / "tools", work / "entry"
    tools.mkdir()
    entry.mkdir()
    log.info("compiling %s", order)
    began = time.perf_counter()
    artefact = order.compile(replace(order.request, cache=tools, progress=progress))
    seconds = time.perf_counter() - began
    log.info("compiled %s in %.1f s", order, seconds)
    _collect(artefact, tools, entry)
    said = _said(order, artefact, entry, seconds)
    provenance.write(entry, said)
    return said


def _collect(artefact: Artefact, tools: Path, entry: Path) -> None:
    """Moves what was made into the entry; what lies elsewhere belongs to the plug-in, and is copied."""
    base = artefact.path.parent
    for path in (artefact.path, *artefact.beside):
        target = entry / path.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_relative_to(tools):
            path.replace(target)
        elif path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copyfile(path, target)


def _said(order: Order, artefact: Artefact, entry: Path, seconds: float) -> Provenance:
    request, base = order.request, artefact.path.parent
    return Provenance(
        key=order.key,
        accelerator=order.accelerator.name,
        device=request.device or "",
        model=order.model,
        version=order.version,
        file=request.path.name,
        source=order.source,
        format=artefact.format,
        precision=request.precision,
        options=order.options,
        shapes=request.shapes,
        batch=request.batch,
        tools=order.made_with,
        compiled=artefact.made_with,
        path=artefact.path.name,
        beside=tuple(path.relative_to(base).as_posix() for path in artefact.beside),
        hashes=provenance.hashes(entry),
        size=provenance.size(entry),
        seconds=round(seconds, 3),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
