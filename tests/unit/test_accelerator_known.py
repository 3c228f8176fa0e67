"""What lies beside a compiled model: read as it was written, and passed over where it is damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from accelerators.known import Known, read
from edgex_inference.contracts.accelerator import Batch
from edgex_inference.contracts.probing import Probed
from edgex_inference.contracts.tensors import Datatype, TensorSpec

KNOWN = Known(
    metadata={"names": "a, ü"},
    probed=Probed(
        batch=Batch(kind="range", most=4),
        outputs=(TensorSpec(name="y", datatype=Datatype.FP32, shape=(None, 3)),),
    ),
    precision="f32",
    placement={"CPU": 7},
    holds_for={"processor": "Z80"},
    quick=True,
)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    model = tmp_path / "m.ort"
    assert read(model) is None
    assert KNOWN.write(model).name == "m.ort.json"
    assert read(model) == KNOWN


@pytest.mark.parametrize(
    ("key", "damaged"),
    [
        ("metadata", ["names"]),
        ("placement", "CPU"),
        ("placement", {"CPU": "all"}),
        ("holdsFor", ["processor"]),
        ("outputs", {"y": 1}),
        ("outputs", [{"name": "y", "datatype": "FP128", "shape": []}]),
        ("batch", "any"),
    ],
)
def test_what_cannot_be_understood_is_as_if_it_were_not_there(key: str, damaged: Any, tmp_path: Path) -> None:
    beside = KNOWN.write(tmp_path / "m.ort")
    said = json.loads(beside.read_text("utf-8"))
    beside.write_text(json.dumps(said | {key: damaged}))
    assert read(tmp_path / "m.ort") is None
