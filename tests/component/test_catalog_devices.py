"""Devices that a plug-in has only one of, and packages that bring it more."""

from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from edgex_inference.contracts.accelerator import ONNX, Format, InferenceDevice
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable
from edgex_inference.contracts.models import Build, ModelCard, Task
from edgex_inference.engine.catalog import Candidate, Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.engine.probe import Found
from edgex_inference.pipeline.planning.choosing.records import Records
from edgex_inference.testing.fake_accelerator import FAKE, PLUGIN, write_model

REAL = EntryPoint(name="onnxruntime", value="accelerators.onnxruntime:PLUGIN", group=GROUP)
FAKED = EntryPoint(name="fake", value="edgex_inference.testing.fake_accelerator:PLUGIN", group=GROUP)


def candidate(device: str, point: EntryPoint = REAL, format_: Format = ONNX, **keys: object) -> Candidate:
    choice = AcceleratorChoice(name=point.name, device=device)
    return Catalog([point], **keys).candidates(choice, [format_])[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["CPU.1", "cpu.0", "CPU:2"])
def test_a_processor_has_no_number(device: str) -> None:
    with pytest.raises(
        AcceleratorUnavailable, match=f"'onnxruntime:{device}': its CPU has no number: say CPU"
    ):
        candidate(device).check()


def test_a_processor_that_is_listed_by_number_has_one() -> None:
    found = Found(devices=tuple(InferenceDevice(id=f"CPU.{n}", kind="cpu") for n in range(2)))
    candidate("CPU.1", FAKED, FAKE, probe=lambda _value, _deadline: found).check()
    with pytest.raises(AcceleratorUnavailable, match=r"not on this machine \(found CPU.0, CPU.1\)"):
        candidate("CPU.2", FAKED, FAKE, probe=lambda _value, _deadline: found).check()


def test_another_version_of_what_brings_devices_is_another_machine(tmp_path: Path) -> None:
    build = Build(path=write_model(tmp_path / "m.fake"), format=FAKE)
    card = ModelCard(name="m", version="1", task=Task.RAW, folder=tmp_path, builds=(build,))
    keys = []
    for number in ("1.0", "1.1"):
        plugin = replace(PLUGIN, parts=lambda number=number: {"fake-ep-npu": number})  # type: ignore[misc]
        one = replace(candidate("CPU", FAKED, FAKE), accelerator=plugin)
        found = Records().fingerprint(card, AcceleratorChoice(name="auto"), [one], threads=None, hardware=())
        assert found.runtimes == {"fake": "1.0", "fake: fake-ep-npu": number}
        keys.append(found.key)
    assert keys[0] != keys[1]
