"""What compiled `.xmodel` files say of themselves, and what the plug-in says of files, machines and runs."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelerators.vitisai import PLUGIN
from accelerators.vitisai.xmodel import read
from edgex_inference.contracts.accelerator import XMODEL, LoadRequest, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.protobuf import Damaged
from edgex_inference.contracts.tensors import Datatype, Quantization
from edgex_inference.engine.options import decode, option_problems
from tests.simulators import xmodels

STAND_INS = Path(__file__).parents[1] / "simulators" / "vitisai"


@pytest.fixture
def vart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(STAND_INS)
    yield
    for name in ("vart", "xir"):
        sys.modules.pop(name, None)


def opened(path: Path, device: str | None = None, **options: Any) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(LoadRequest(path=path, format=XMODEL, device=device, options=decode(PLUGIN, options)))


def test_a_real_file_is_read_without_vitis_ai(testdata: Path) -> None:
    found = read((testdata / "models" / "vitis" / "tf2.xmodel").read_bytes())
    assert found.name == "functional_1"
    assert found.placement == {"DPU": 2, "CPU": 2}
    chips = {(part.dpu, part.fingerprint) for part in found.parts if part.device == "DPU"}
    assert chips == {("DPUCV2DX8G_ISA1_C20B14", 648870191203094084)}


def test_a_real_file_that_is_split_is_refused_with_the_way_that_works(testdata: Path, vart: None) -> None:
    with pytest.raises(
        ModelRejected, match=r"2 parts are for the DPU .* and 2 for the CPU.*onnxruntime:VITISAI"
    ):
        opened(testdata / "models" / "vitis" / "tf2.xmodel")


def test_damaged_files_raise_one_error_quickly(tmp_path: Path) -> None:
    good = xmodels.write(tmp_path / "m.xmodel").read_bytes()
    chance = random.Random(5)
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        try:
            read(bytes(bad[: chance.randint(0, len(bad))]))
        except Damaged:
            continue


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([xmodels.part("a", "USER"), xmodels.part("b", "CPU")], r"has no part for the DPU \(1 for CPU\)"),
        ([], "its root has 0 parts"),
    ],
)
def test_files_without_a_part_for_the_dpu(tmp_path: Path, parts: list[bytes], sentence: str) -> None:
    with pytest.raises(ModelRejected, match=sentence):
        opened(xmodels.write(tmp_path / "m.xmodel", parts=parts))


def test_another_dpu_is_named_with_both_fingerprints(tmp_path: Path, vart: None) -> None:
    path = xmodels.write(tmp_path / "m.xmodel", fingerprint="0x101000056010407")
    with pytest.raises(ModelRejected, match=r"0x901231131110104.*0x101000056010407.*arch\.json"):
        opened(path)


def test_no_runtime_no_dpu_and_dnndk_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = xmodels.write(tmp_path / "m.xmodel", away=True)
    with pytest.raises(AcceleratorUnavailable, match=r"vart and xir are missing.*not from PyPI"):
        opened(path)
    assert PLUGIN.version() is None
    assert "compile the model to an .xmodel" in PLUGIN.retired["DNNDK"]
    monkeypatch.syspath_prepend(STAND_INS)
    with pytest.raises(AcceleratorUnavailable, match="no DPU answers: Cannot open /dev/dri"):
        opened(path)
    for name in ("vart", "xir"):
        sys.modules.pop(name, None)


def test_fixed_points_are_quantization(tmp_path: Path, vart: None) -> None:
    path = xmodels.write(tmp_path / "m.xmodel", dtype="xint8", fix_in=6, fix_out=4, scale=1, offset=0)
    session = opened(path, runners=3)
    (given,), (told,) = session.inputs, session.outputs
    assert (given.datatype, given.quantization) == (Datatype.INT8, Quantization(scale=2**-6, zero=0))
    assert told.quantization == Quantization(scale=2**-4, zero=0)
    assert (session.parallel, session.traits.precision) == (3, "int8")
    assert session.metadata["fingerprint"] == "0x901231131110104"
    x = np.array([[1, -128, 127, 0]], dtype=np.int8)
    assert np.array_equal(session.infer({"x": x})["y"], x)
    session.close()


def test_runs_that_fail(tmp_path: Path, vart: None) -> None:
    session = opened(xmodels.write(tmp_path / "m.xmodel"))
    with pytest.raises(DeviceLost, match="vitisai:DPU is lost: DPU timeout"):
        session.infer({"x": np.full((1, 4), 2000, np.float32)})
    with pytest.raises(InferenceFailed, match="the run ended with status 7"):
        session.infer({"x": np.full((1, 4), 3000, np.float32)})
    with pytest.raises(SignatureMismatch, match="x holds NaN, of which a chip may make a plausible number"):
        session.infer({"x": np.array([[1, np.nan, 2, 3]], np.float32)})
    session.close()
    with pytest.raises(InferenceFailed, match="the session is closed"):
        session.infer({"x": np.zeros((1, 4), np.float32)})


def test_options_are_checked() -> None:
    assert "runners must be 1 to 64" in option_problems(PLUGIN, {"runners": 0})["runners"]
