"""A compiled model as a file, and beside it what was found out of it: then a start need not find it out again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.probing import Probed
from edgex_inference.contracts.tensors import Datatype, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a blob itself does not keep: the source's words on itself, batch and shapes, whether a run is short."""

    metadata: Mapping[str, str]
    probed: Probed
    quick: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """The content of a blob, and what is known of it, if that lies beside it."""

    content: bytes
    known: Known | None = None

    @classmethod
    def read(cls, path: Path) -> "Blob":
        """The blob in this file; raises ModelRejected."""
        try:
            return cls(content=path.read_bytes(), known=_known(path))
        except OSError as error:
            raise ModelRejected(path, f"cannot be read: {error.strerror}") from error

    def write(self, path: Path) -> Path:
        """Writes both, and gives the file beside the blob; raises OSError."""
        path.write_bytes(self.content)
        beside = _beside(path)
        if self.known is not None:
            beside.write_text(json.dumps(_plain(self.known), ensure_ascii=False), encoding="utf-8")
        return beside


def _plain(known: Known) -> Mapping[str, object]:
    batch = known.probed.batch
    return {
        "metadata": dict(known.metadata),
        "quick": known.quick,
        "batch": {"kind": batch.kind, "most": batch.most},
        "outputs": [
            {"name": one.name, "datatype": one.datatype.value, "shape": list(one.shape)}
            for one in known.probed.outputs
        ],
    }


def _known(path: Path) -> Known | None:
    """What lies beside a blob; None where nothing does, or nothing that can be understood."""
    try:
        said = json.loads(_beside(path).read_text(encoding="utf-8"))
        outputs = tuple(
            TensorSpec(name=one["name"], datatype=Datatype(one["datatype"]), shape=tuple(one["shape"]))
            for one in said["outputs"]
        )
        probed = Probed(batch=Batch(**said["batch"]), outputs=outputs)
        return Known(metadata=said["metadata"], probed=probed, quick=bool(said["quick"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
