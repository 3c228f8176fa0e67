"""The Edge TPU's plug-in on simulated libraries that compute, hang, crash and lose their chip; and without any."""

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelerators.edgetpu import PLUGIN
from edgex_inference.contracts.accelerator import TFLITE_EDGETPU, LoadRequest, Session
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeadlineExceeded,
    DeviceLost,
    ModelRejected,
    WorkerDied,
)
from edgex_inference.contracts.tensors import Quantization
from edgex_inference.engine.cards.card import read_card
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.engine.lane import Lane
from edgex_inference.engine.options import decode

if os.environ.get("EDGEX_INFERENCE_STRICT") == "1":
    importlib.import_module("ai_edge_litert.interpreter")
else:
    pytest.importorskip(
        "ai_edge_litert", reason='ai-edge-litert is missing: pip install "edgex-inference[edgetpu]"'
    )

from edgex_inference.testing import tflite_models
from edgex_inference.testing.tflite_models import Node, Tensor

ROOT = Path(__file__).parents[2]
ONES = np.ones((1, 4), np.float32)
FATAL = np.full((1, 4), 1000, np.float32)


def opened(path: Path, library: Path, **keys: Any) -> Session:
    assert PLUGIN.load is not None
    options = decode(PLUGIN, {"library": str(library), **keys.pop("options", {})})
    return PLUGIN.load(LoadRequest(path=path, format=TFLITE_EDGETPU, options=options, **keys))


@pytest.fixture
def affine(edgetpu: Any, tmp_path: Path) -> Path:
    """y = 2x + 1 on the chip."""
    path: Path = tflite_models.write_compiled(tmp_path / "affine_edgetpu.tflite", edgetpu.program())
    return path


# It computes


def test_a_quantized_program(edgetpu: Any, tmp_path: Path) -> None:
    given, answer = Quantization(scale=0.5, zero=10), Quantization(scale=0.25, zero=-100)
    for dtype, (low, high) in ((np.uint8, (0, 255)), (np.int8, (-128, 127))):
        path = tflite_models.write_compiled(
            tmp_path / "q_edgetpu.tflite", edgetpu.program(), dtype=dtype, quantizations=(given, answer)
        )
        loaded = opened(path, edgetpu())
        assert (loaded.inputs[0].quantization, loaded.outputs[0].quantization) == (given, answer)
        assert loaded.traits.precision == "int8"
        x = np.array([[10, 12, 20, 100]], dtype)
        real = 2 * (x.astype(float) - 10) * 0.5 + 1
        wanted = np.clip(np.rint(real / 0.25) - 100, low, high)
        assert loaded.infer({"x": x})["y"].tolist() == wanted.tolist()


def test_what_the_compiler_left_to_the_cpu_is_counted(edgetpu: Any, tmp_path: Path) -> None:
    path = tflite_models.save(
        tmp_path / "mixed_edgetpu.tflite",
        [
            Node(kind="CUSTOM", inputs=["x"], outputs=["z"], custom=edgetpu.program()),
            Node(kind="ADD", inputs=["z", "one"], outputs=["y"]),
        ],
        [Tensor(name=name, shape=(1, 4)) for name in ("x", "z", "y")],
        {"one": np.ones(4, np.float32)},
    )
    loaded = opened(path, edgetpu())
    assert loaded.traits.placement == {"TPU": 1, "CPU": 1}
    assert np.all(loaded.infer({"x": ONES})["y"] == 4)


@pytest.mark.parametrize("device", ["TPU", "tpu.1", "USB", "pci", "PCI.0"])
def test_chips_by_their_bus(edgetpu: Any, affine: Path, device: str) -> None:
    assert np.all(opened(affine, edgetpu(), device=device).infer({"x": ONES})["y"] == 3)


# It refuses


@pytest.mark.parametrize("device", ["USB.1", "TPU.2", "CPU"])
def test_chips_that_are_not_there(edgetpu: Any, affine: Path, device: str) -> None:
    with pytest.raises(AcceleratorUnavailable, match=r"not on this machine \(found TPU, USB, PCI\)"):
        opened(affine, edgetpu(), device=device)


def test_libraries_that_are_none(edgetpu: Any, affine: Path, tmp_path: Path) -> None:
    for library, reason in (
        (edgetpu(chips=0), r"not on this machine \(found no Edge TPU\)"),
        (tmp_path / "none.so", r"none\.so is missing: install libedgetpu1-std"),
        (Path("libm.so.6"), r"libm\.so\.6 is no libedgetpu"),
        (affine, r"affine_edgetpu\.tflite cannot be loaded"),
    ):
        with pytest.raises(AcceleratorUnavailable, match=reason):
            opened(affine, library)


def test_a_chip_that_another_process_holds(edgetpu: Any, affine: Path) -> None:
    with pytest.raises(AcceleratorUnavailable, match=r"cannot open it: .*is another process at it"):
        opened(affine, edgetpu(), options={"delegate": {"Performance": "Busy"}})


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("mobilenet_v1_0.25_128_quant_edgetpu.tflite", "does not take its program"),
        ("split_concat_edgetpu.tflite", "does not take its program"),
        (
            "mobilenet_v1_0.25_128_quant.tflite",
            "holds no edgetpu-custom-op: compile it with edgetpu_compiler",
        ),
        ("coco_labels.txt", "is no TFLite model, or only a part of one"),
    ],
)
def test_files_for_other_chips(testdata: Path, edgetpu: Any, file: str, reason: str) -> None:
    with pytest.raises(ModelRejected) as caught:
        opened(testdata / "models" / "coral" / file, edgetpu())
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason


# It hangs, crashes, is lost


async def lane(folder: Path, fleet: Fleet, accelerator: str, **options: object) -> Lane:
    """The model in this folder as the service loads it."""
    kind = "tflite-edgetpu" if accelerator == "edgetpu" else "tflite"
    (folder / "model.yaml").write_text(
        f'schema: 1\nname: {folder.parent.name}\nversion: "1"\ntask: raw\n'
        f"files: [{{path: m.tflite, format: {kind}}}]\ninputs: {{x: {{kind: vector}}}}\noutputs: {{y: {{}}}}\n"
    )
    choice = AcceleratorChoice(name=accelerator, options=options)
    card = read_card(folder / "model.yaml")
    (candidate,) = Catalog().candidates(choice, [build.format for build in card.builds])
    found, _ = await fleet.acquire(candidate, choice, card)
    return found


async def test_a_hung_chip_costs_one_answer_and_nobody_else(edgetpu: Any, tmp_path: Path) -> None:
    chip, cpu = tmp_path / "chip" / "1", tmp_path / "cpu" / "1"
    tflite_models.write_compiled(chip / "m.tflite", edgetpu.program())
    tflite_models.write_affine(cpu / "m.tflite", shape=(1, 4))
    fleet = Fleet()
    try:
        hangs = await lane(chip, fleet, "edgetpu", library=str(edgetpu("hangs")))
        other = await lane(cpu, fleet, "litert")
        assert np.all((await hangs.infer({"x": ONES}))["y"] == 3)
        stuck = asyncio.create_task(hangs.infer({"x": FATAL}, timeout=1))
        for _ in range(50):
            assert np.all((await other.infer({"x": ONES}))["y"] == 3)
        with pytest.raises(DeadlineExceeded):
            await stuck
        assert np.all((await hangs.infer({"x": ONES}, timeout=30))["y"] == 3), "opened anew"
    finally:
        await fleet.close()


def test_a_lost_chip_is_a_lost_device(edgetpu: Any, affine: Path) -> None:
    loaded = opened(affine, edgetpu("lost"))
    with pytest.raises(DeviceLost, match="edgetpu:TPU is lost: simulated: the chip does not answer"):
        loaded.infer({"x": FATAL})
    loaded.close()


_CRASH = """
import sys
from pathlib import Path
import numpy as np
from accelerators.edgetpu import PLUGIN
from edgex_inference.contracts.accelerator import TFLITE_EDGETPU, LoadRequest
from edgex_inference.engine.options import decode
request = LoadRequest(path=Path(sys.argv[1]), format=TFLITE_EDGETPU, options=decode(PLUGIN, {"library": sys.argv[2]}))
session = PLUGIN.load(request)
print(session.infer({"x": np.ones((1, 4), np.float32)})["y"][0, 0], flush=True)
session.infer({"x": np.full((1, 4), 1000, np.float32)})
print("never")
"""


def child(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"}
    known = {**kept, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, "-P", *command], capture_output=True, text=True, timeout=250, check=False, env=known
    )


async def test_a_crash_of_the_library_costs_the_sample_that_it_dies_of(edgetpu: Any, tmp_path: Path) -> None:
    chip = tmp_path / "chip" / "1"
    tflite_models.write_compiled(chip / "m.tflite", edgetpu.program())
    fleet = Fleet()
    try:
        crashes = await lane(chip, fleet, "edgetpu", library=str(edgetpu("crashes")))
        assert np.all((await crashes.infer({"x": ONES}, timeout=60))["y"] == 3)
        with pytest.raises(WorkerDied, match="its worker process ended by SIGSEGV"):
            await crashes.infer({"x": FATAL}, timeout=60)
        assert np.all((await crashes.infer({"x": ONES}, timeout=60))["y"] == 3)
    finally:
        await fleet.close()


def test_without_isolation_a_crash_of_the_library_is_a_crash_of_the_process(
    edgetpu: Any, affine: Path
) -> None:
    done = child("-c", _CRASH, str(affine), str(edgetpu("crashes")))
    assert done.stdout == "3.0\n"
    assert done.returncode == -signal.SIGSEGV


# It is listed


PROBE = """
from importlib.metadata import entry_points
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP

(one,) = Catalog([one for one in entry_points(group=GROUP) if one.name == "edgetpu"]).entries()
print(one.reason)
"""


def reason(**environment: str) -> str:
    """Why the list names no chips."""
    done = child("-c", PROBE, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_list_names_chips_or_the_cure(edgetpu: Any) -> None:
    done = child("-m", "edgex_inference", "accelerators", "--json", LD_LIBRARY_PATH=str(edgetpu().parent))
    assert done.returncode == 0, done.stderr
    found = next(one for one in json.loads(done.stdout) if one["name"] == "edgetpu")
    assert (found["level"], found["devices"], found["reason"]) == ("simulated", ["TPU", "USB", "PCI"], "")
    none = reason(LD_LIBRARY_PATH=str(edgetpu(chips=0).parent))
    assert "finds no Edge TPU on this machine: plug one in" in none
    if not Path("/usr/lib/x86_64-linux-gnu/libedgetpu.so.1").exists():
        assert "libedgetpu.so.1 is missing: install libedgetpu1-std" in reason()


def test_googles_own_library_refuses_without_a_chip(affine: Path) -> None:
    """EDGETPU_LIBRARY names a real libedgetpu.so.1; nobody can be expected to have one."""
    library = os.environ.get("EDGETPU_LIBRARY")
    if not library:
        pytest.skip("EDGETPU_LIBRARY names no libedgetpu.so.1 of Google's")
    code = (
        "import sys; from pathlib import Path; from accelerators.edgetpu import PLUGIN, session\n"
        "from edgex_inference.contracts.accelerator import TFLITE_EDGETPU, LoadRequest\n"
        "from edgex_inference.contracts.errors import AcceleratorUnavailable\n"
        "print(len(session._chips(session._opened(sys.argv[1]), 'edgetpu')))\n"
        "request = LoadRequest(path=Path(sys.argv[2]), format=TFLITE_EDGETPU,\n"
        "                      options=PLUGIN.options(library=sys.argv[1]))\n"
        "try: PLUGIN.load(request)\n"
        "except AcceleratorUnavailable as error: print('unavailable' if 'no Edge TPU' in str(error) else error)\n"
        "try: session._vendor().load_delegate(sys.argv[1])\n"
        "except ValueError as error: print('refused')\n"
    )
    done = child("-c", code, library, str(affine))
    assert done.returncode == 0, done.stderr
    amount, *refused = done.stdout.split()
    assert amount != "0" or refused == ["unavailable", "refused"]


def test_another_product_is_no_dependency() -> None:
    assert "pycoral" not in (ROOT / "setup.cfg").read_text()
