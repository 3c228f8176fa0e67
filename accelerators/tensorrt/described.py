"""What lies beside an engine: what it was made with and of, which the engine itself does not tell."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgex_inference.contracts.accelerator import LoadRequest
from edgex_inference.contracts.errors import ModelRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """`metadata` are the words of the ONNX file, `layers` its nodes, `precision` that of its numbers."""

    made_with: Mapping[str, str]
    precision: str
    layers: int
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def unknown(cls, engine: Any, metadata: Mapping[str, str]) -> "Described":
        """Of an engine that came alone: it does not tell what it computes in."""
        return cls(made_with={}, precision="native", layers=int(engine.num_layers), metadata=metadata)


def beside(engine: Path) -> Path:
    """Where the description of an engine lies."""
    return engine.with_name(f"{engine.name}.json")


def keep(request: LoadRequest, folder: Path, plan: memoryview, known: Described) -> tuple[Path, Path]:
    """Writes an engine and its description into the folder, under a name of their own; raises OSError."""
    made = (
        sorted(known.made_with.items()),
        request.precision,
        sorted(request.shapes.items()),
        request.batch,
        request.options,
    )
    mark = hashlib.sha256(repr(made).encode()).hexdigest()[:10]
    engine = folder / f"{request.path.stem}-{mark}.engine"
    whole(engine, plan)
    return engine, write(engine, known)


def write(engine: Path, described: Described) -> Path:
    """Writes the description whole or not at all; raises OSError."""
    path = beside(engine)
    whole(path, json.dumps(asdict(described), indent=1, sort_keys=True).encode())
    return path


def read(engine: Path) -> Described | None:
    """The description of an engine, None where there is none; raises ModelRejected for a damaged one."""
    path = beside(engine)
    try:
        found: Any = json.loads(path.read_bytes())
        return Described(
            made_with={str(key): str(value) for key, value in found["made_with"].items()},
            precision=str(found["precision"]),
            layers=int(found["layers"]),
            metadata={str(key): str(value) for key, value in found["metadata"].items()},
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelRejected(engine, f"{path.name} beside it is damaged: compile the model again") from error


def whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a file under another name and moves it: nobody ever sees a part of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
