"""Execution providers that are absent, broken, in packages of their own, or in the way of each other."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelerators.onnxruntime import PLUGIN, plugins, providers, session, targets
from accelerators.onnxruntime.options import Options
from edgex_inference.contracts.accelerator import ONNX, Batch, LoadRequest, Session
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, DeviceLost, ModelRejected
from edgex_inference.contracts.models import Build, ModelCard, NumbersInput, Task
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.testing import onnx_models
from edgex_inference.testing.kinds import Kind

ROOT = Path(__file__).parents[2]

ABSENT: Mapping[str, tuple[str, str]] = {
    "CUDA": ("an NVIDIA GPU with its driver, CUDA 13 and cuDNN 9", "onnxruntime-gpu instead of onnxruntime"),
    "TensorRT": (
        "an NVIDIA GPU with its driver, CUDA 13 and TensorRT",
        "onnxruntime-gpu instead of onnxruntime",
    ),
    "TensorRT-RTX": ("an NVIDIA RTX GPU", "onnxruntime-ep-nv-tensorrt-rtx beside onnxruntime"),
    "MIGraphX": ("an AMD GPU with ROCm 7", "onnxruntime-migraphx instead of onnxruntime"),
    "OpenVINO": ("an Intel CPU, GPU or NPU", "onnxruntime-ep-openvino beside onnxruntime"),
    "QNN": ("a Qualcomm NPU, or its simulator on x86-64", "onnxruntime-qnn beside onnxruntime"),
    "WebGPU": ("a GPU with a Vulkan driver", "onnxruntime-ep-webgpu beside onnxruntime"),
    "VitisAI": ("an AMD Ryzen AI NPU or a board with a DPU", "the onnxruntime of its board image"),
    "CoreML": ("a computer by Apple", "the onnxruntime for macOS has it"),
    "DML": ("Windows and a GPU with DirectX 12", "onnxruntime-directml instead of onnxruntime"),
    "CANN": ("a Huawei Ascend NPU with CANN", "onnxruntime-cann instead of onnxruntime"),
    "XNNPACK": ("a build of ONNX Runtime of your own", "the accelerator litert"),
    "DNNL": ("a build of ONNX Runtime of your own", "use CPU"),
    "RKNPU": ("a Rockchip NPU", "--use_rknpu"),
    "NNAPI": ("Android", "--use_nnapi"),
    "VSINPU": ("a VeriSilicon NPU", "--use_vsinpu"),
}
"""What a person is told who names a provider that is not here: what it needs, and what brings it."""


def opened(path: Path, **keys: Any) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(LoadRequest(path=path, format=ONNX, **keys))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bare ONNX Runtime, as without any package of a provider."""
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(targets, "packages", tuple)
    monkeypatch.setattr(targets, "_plugged", lambda ort: ())


def test_the_table_has_every_provider() -> None:
    assert {name.upper() for name in ABSENT} == set(providers.PROVIDERS)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("device", ABSENT)
def test_an_absent_provider_says_what_it_needs_and_what_brings_it(device: str, tmp_path: Path) -> None:
    path = onnx_models.write(Kind.ONE, tmp_path)
    with pytest.raises(AcceleratorUnavailable) as caught:
        opened(path, device=device)
    said = str(caught.value)
    assert said.startswith(f"accelerator 'onnxruntime:{device}': not on this machine (found CPU")
    needs, cure = ABSENT[device]
    assert f"it needs {needs}" in said
    assert cure in said
    assert "\n" not in said


@pytest.mark.parametrize("device", ["CUDA", "TensorRT", "MIGraphX", "VitisAI"])
def test_the_catalogue_says_the_same_before_anything_is_loaded(device: str) -> None:
    (candidate,) = Catalog().candidates(AcceleratorChoice(name="onnxruntime", device=device), [ONNX])
    with pytest.raises(AcceleratorUnavailable, match=re.escape(f"it needs {ABSENT[device][0]}")):
        candidate.check()


@pytest.mark.parametrize("device", providers.RETIRED)
def test_providers_of_earlier_releases_are_told_what_became_of_them(device: str) -> None:
    (candidate,) = Catalog().candidates(AcceleratorChoice(name="onnxruntime", device=device), [ONNX])
    with pytest.raises(AcceleratorUnavailable, match="ONNX Runtime ended its"):
        candidate.check()


@pytest.mark.usefixtures("bare")
def test_a_provider_that_nobody_knows_is_said_to_be_absent(tmp_path: Path) -> None:
    with pytest.raises(AcceleratorUnavailable, match=r"onnxruntime:ACME.*found CPU.*add a fallback"):
        opened(onnx_models.write(Kind.ONE, tmp_path), device="ACME")


def test_each_name_of_the_runtime_itself_is_answered() -> None:
    """By its short name with what it needs, what became of it, or that it is no use; by its full one with the short."""
    import onnxruntime

    catalog, here = Catalog(), onnxruntime.get_available_providers()
    for full in onnxruntime.get_all_providers():
        name = providers.short(full)
        for device in {name, full} - {"CPU"} - ({name} if full in here and name != "AZURE" else set()):
            (candidate,) = catalog.candidates(AcceleratorChoice(name="onnxruntime", device=device), [ONNX])
            with pytest.raises(AcceleratorUnavailable) as caught:
                candidate.check()
            known = device == full and full not in providers.UNSUITED
            wanted = rf": say {name}: " if known else "it needs |ended its|no use to a program|say "
            assert re.search(wanted, str(caught.value)), caught.value


# Packages of providers


def install(site: Path, name: str, module: str, source: str) -> None:
    """A distribution with one package, as an installer leaves it."""
    info = site / f"{name.replace('-', '_')}-7.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 7.1\n")
    (site / module).mkdir()
    (site / module / "__init__.py").write_text(source)
    (info / "RECORD").write_text(f"{module}/__init__.py,,\n{info.name}/METADATA,,\n")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def get_ep_name(): return 'AcmeExecutionProvider'\ndef get_library_path(): return '/none.so'",
         "its library /none.so is not there"),
        ("def get_ep_name(): return 'AcmeExecutionProvider'\ndef get_library_path(): return __file__",
         "its library cannot be loaded: "),
        ("def get_ep_names(): return ['AcmeExecutionProvider']", "it does not tell its library"),
    ],
)  # fmt: skip
def test_a_package_whose_library_is_no_good_is_named(
    source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"acme_ep_{abs(hash(source)) % 10**8}"
    install(tmp_path / "site", "onnxruntime-ep-acme", module, source)
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(AcceleratorUnavailable, match=f"onnxruntime-ep-acme 7.1 is installed, but {reason}"):
        opened(onnx_models.write(Kind.ONE, tmp_path), device="ACME")
    assert opened(onnx_models.write(Kind.ONE, tmp_path)).traits.placement == {"CPU": 2}


def test_a_package_that_cannot_be_imported_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", "onnxruntime-ep-acme", "acme_ep_broken", "import no_such_module")
    install(tmp_path / "site", "onnxruntime-ep-empty", "acme_ep_empty", "")
    install(tmp_path / "site", "onnxruntime-ep-migraphx", "nothing", "")
    (tmp_path / "site" / "onnxruntime_ep_migraphx-7.1.dist-info" / "RECORD").write_text(
        "onnxruntime_ep_migraphx-7.1.dist-info/METADATA,,\n"
    )
    install(tmp_path / "site", "onnxruntime-ep-unlisted", "acme_ep_unlisted", "")
    (tmp_path / "site" / "onnxruntime_ep_unlisted-7.1.dist-info" / "RECORD").unlink()
    monkeypatch.syspath_prepend(tmp_path / "site")
    found = {package.distribution: package.trouble for package in plugins.packages()}
    assert found["onnxruntime-ep-acme"] == "it cannot be imported: No module named 'no_such_module'"
    assert found["onnxruntime-ep-empty"] == "it does not tell its provider"
    assert found["onnxruntime-ep-migraphx"] == "it is an empty placeholder: uninstall it"
    assert "onnxruntime-ep-unlisted" not in found, "nobody knows whether it is empty"
    with pytest.raises(
        AcceleratorUnavailable, match=r"onnxruntime-ep-migraphx 7\.1 is installed, but it is an empty"
    ):
        targets.target(import_module("onnxruntime"), "MIGraphX")
    assert "CPU" in {device.id for device in PLUGIN.devices()}


def test_a_library_by_its_path_that_is_none(tmp_path: Path) -> None:
    path = onnx_models.write(Kind.ONE, tmp_path)
    with pytest.raises(AcceleratorUnavailable, match=r"options\.library .*one\.onnx: its library cannot be"):
        opened(path, device="ACME", options=Options(library=str(path)))


def test_a_package_that_finds_no_device_says_so() -> None:
    pytest.importorskip(
        "onnxruntime_ep_webgpu",
        reason="onnxruntime-ep-webgpu is not installed: pip install onnxruntime-ep-webgpu",
    )
    (candidate,) = Catalog().candidates(AcceleratorChoice(name="onnxruntime", device="WebGPU"), [ONNX])
    with pytest.raises(
        AcceleratorUnavailable, match="is installed, but finds no device: it needs a GPU with"
    ):
        candidate.check()


# Two builds in one environment


def test_two_builds_in_one_environment_are_refused_with_the_cure(tmp_path: Path) -> None:
    """The real ONNX Runtime, and beside it what pip leaves of another build that owns the same folder."""
    info = tmp_path / "onnxruntime_gpu-1.31.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.31.1\n")
    (info / "RECORD").write_text("onnxruntime/__init__.py,,\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-m", "edgex_inference", "accelerators", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=250, check=True, env=environment, cwd=tmp_path
    )
    (entry,) = [one for one in json.loads(done.stdout) if one["name"] == "onnxruntime"]
    assert entry["devices"] == []
    assert re.fullmatch(
        r"onnxruntime \S+ and onnxruntime-gpu 1\.31\.1 overwrite each other in this environment: "
        "uninstall all of them, then install one",
        entry["reason"],
    )


# During a run


def test_a_provider_that_fails_during_a_run_is_a_lost_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime's own wrapper would build the session again on the CPU, and answer."""
    from onnxruntime.capi.onnxruntime_pybind11_state import EPFail

    loaded: Any = opened(onnx_models.write(Kind.ONE, tmp_path))

    def fails(*_: object) -> object:
        raise EPFail("[ONNXRuntimeError] : 11 : EP_FAIL : the chip is gone")

    loaded._run = fails
    for _ in range(2):
        with pytest.raises(DeviceLost, match="onnxruntime:CPU is lost: the chip is gone"):
            loaded.infer({"x": np.zeros((1, 4), np.float32)})


@pytest.fixture
def qnn() -> Any:
    return pytest.importorskip(
        "onnxruntime_qnn", reason='onnxruntime-qnn is not installed: pip install "edgex-inference[test-qnn]"'
    )


def test_qnn_fails_during_a_run_and_nobody_else_answers(
    qnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its backend `ir` takes the whole graph and cannot run it: the real provider's failure in a run."""
    monkeypatch.setattr(session, "MEASURED", frozenset())
    loaded = opened(
        onnx_models.write(Kind.ONE, tmp_path),
        device="QNN",
        precision="native",
        options=Options(provider_options={"backend_type": "ir"}),
    )
    assert loaded.traits.placement == {"QNN": 2}
    for _ in range(2):
        with pytest.raises(DeviceLost, match=r"onnxruntime:QNN is lost: .*QNN graph execute error"):
            loaded.infer({"x": np.zeros((1, 4), np.float32)})


def test_qnn_takes_the_whole_graph_or_nothing(qnn: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ModelRejected, match=r"QNN cannot run the whole graph: . of . nodes \(.*\) would be left"
    ):
        opened(onnx_models.write(Kind.SHORTS, tmp_path), device="QNN")


def test_qnn_rounds_on_its_newer_chips_and_is_found_out(qnn: Any, tmp_path: Path) -> None:
    """In a process of its own: what chip is simulated stays so for the whole process, whatever later sessions say."""
    onnx_models.write(Kind.SUM, tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, "-P", "-c", _CHIPS, str(tmp_path / "sum.onnx")],
        capture_output=True, text=True, timeout=250, check=True, env=environment,
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert told == [
        ["f32", "", "f32"],
        ["f16", "", "FP16 precision mode is enabled but soc_model is not specified"],
        ["f16", "60", "f16"],
        ["native", "60", "f16"],
        ["f32", "60", "would run it in f16, not in f32: say f16 or native"],
        ["f32", "", "would run it in f16, not in f32: say f16 or native"],
    ]


_CHIPS = """
import json, sys
from pathlib import Path
from accelerators.onnxruntime import PLUGIN
from accelerators.onnxruntime.options import Options
from edgex_inference.contracts.accelerator import ONNX, LoadRequest
from edgex_inference.contracts.errors import ModelRejected
for precision, chip in (("f32", ""), ("f16", ""), ("f16", "60"), ("native", "60"), ("f32", "60"), ("f32", "")):
    options = Options(provider_options={"soc_model": chip} if chip else {})
    try:
        loaded = PLUGIN.load(LoadRequest(path=Path(sys.argv[1]), format=ONNX, device="QNN", precision=precision,
                                         options=options))
        said = loaded.traits.precision
    except ModelRejected as error:
        said = error.reason.split("f16: ")[-1].split("QNN ")[-1].partition(". ")[0]
    print(json.dumps([precision, chip, said]))
"""


def test_qnn_wants_to_know_every_extent_but_the_batch(qnn: Any, tmp_path: Path) -> None:
    path = onnx_models.write(Kind.OPEN, tmp_path)
    with pytest.raises(
        ModelRejected, match=r"takes fixed shapes only, and axis 1 \(L\) of x is open: export"
    ):
        opened(path, device="QNN")
    assert opened(path, device="QNN", shapes={"x": (None, 6)}).inputs[0].shape == (1, 6)


async def test_qnn_takes_what_card_and_binding_say(qnn: Any, tmp_path: Path) -> None:
    """A card's shape and a binding's batch make a file with open extents one of fixed shapes; runs are filled up."""
    path = onnx_models.write(Kind.OPEN, tmp_path)
    build = Build(path=path, format=ONNX, inputs=(NumbersInput(name="x", shape=(6,)),))
    card = ModelCard(name="m", version="1", task=Task.RAW, folder=tmp_path, builds=(build,))
    choice = AcceleratorChoice(name="onnxruntime", device="QNN", batch=4)
    (candidate,) = Catalog().candidates(choice, [ONNX])
    fleet = Fleet()
    lane, _ = await fleet.acquire(candidate, choice, card)
    assert lane.session.inputs[0].shape == (4, 6)
    assert lane.session.traits.batch == Batch(kind="fixed", most=4)
    rows = [{"x": np.full((1, 6), n, np.float32)} for n in range(6)]
    answers = await lane.infer_many(rows, timeout=60)
    for n, answer in enumerate(answers):
        assert isinstance(answer, Mapping)
        assert np.allclose(answer["y"], np.full((1, 6), 2 * n + 1))
    await fleet.close()


def test_qnn_by_the_path_of_its_library(qnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "packages", tuple)
    path = onnx_models.write(Kind.ONE, tmp_path)
    loaded = opened(path, device="QNN", options=Options(library=qnn.get_library_path()))
    assert loaded.traits.placement == {"QNN": 2}


def test_qnn_is_listed_and_looked_for_in_a_child(qnn: Any) -> None:
    (candidate,) = Catalog().candidates(AcceleratorChoice(name="onnxruntime", device="QNN"), [ONNX])
    candidate.check()
    entry = next(one for one in Catalog().entries() if one.name == "onnxruntime")
    assert entry.devices == ("CPU", "QNN")


def test_options_reach_the_provider_as_they_are(qnn: Any, tmp_path: Path) -> None:
    path = onnx_models.write(Kind.ONE, tmp_path)
    reason = (
        "QNNExecutionProvider is installed and does not start with these options: it needs a Qualcomm NPU"
    )
    with pytest.raises(AcceleratorUnavailable, match=reason):
        opened(path, device="QNN", options=Options(provider_options={"backend_path": "/nowhere/libQnn.so"}))
