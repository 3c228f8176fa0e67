"""What was found out of a model when it was compiled, as a file beside it: a start need not find it out again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.probing import Probed
from edgex_inference.contracts.tensors import Datatype, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a compiled model itself does not keep; `holds_for` is what precision and placement depend on, in words.

    `metadata` are the source's words on itself; `quick`: a run is so short that handing it on would be most of it.
    """

    metadata: Mapping[str, str]
    probed: Probed
    precision: str
    placement: Mapping[str, int]
    holds_for: Mapping[str, str]
    quick: bool = False

    def write(self, path: Path) -> Path:
        """Writes it beside the model at `path`, and gives the file; raises OSError."""
        beside = _beside(path)
        beside.write_text(json.dumps(self._plain(), ensure_ascii=False), encoding="utf-8")
        return beside

    def _plain(self) -> Mapping[str, object]:
        batch = self.probed.batch
        return {
            "metadata": dict(self.metadata),
            "quick": self.quick,
            "precision": self.precision,
            "placement": dict(self.placement),
            "holdsFor": dict(self.holds_for),
            "batch": {"kind": batch.kind, "most": batch.most},
            "outputs": [
                {"name": one.name, "datatype": one.datatype.value, "shape": list(one.shape)}
                for one in self.probed.outputs
            ],
        }


def read(path: Path) -> Known | None:
    """What lies beside the model at `path`; None where nothing does, or nothing that can be understood."""
    try:
        said = json.loads(_beside(path).read_text(encoding="utf-8"))
        outputs = tuple(
            TensorSpec(name=one["name"], datatype=Datatype(one["datatype"]), shape=tuple(one["shape"]))
            for one in said["outputs"]
        )
        return Known(
            metadata=_texts(said["metadata"]),
            probed=Probed(batch=Batch(**said["batch"]), outputs=outputs),
            precision=str(said["precision"]),
            placement={str(device): int(nodes) for device, nodes in said["placement"].items()},
            holds_for=_texts(said["holdsFor"]),
            quick=bool(said["quick"]),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _texts(said: Any) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in said.items()}


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
