"""The catalogue: who is admitted, who is refused and why, and how a third party joins."""

import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

import accelerators
from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME
from edgex_inference.contracts.accelerator import ONNX, TFLITE, Format, InferenceDevice, LoadRequest
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable
from edgex_inference.engine import catalog
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.engine.options import decode
from edgex_inference.engine.probe import Found, probe

OURS = Path(accelerators.__file__).parent
THIRD_PARTY = Path(__file__).parents[1] / "third_party_accelerator"


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


FAKE = point("fake", "edgex_inference.testing.fake_accelerator:PLUGIN")
REAL = point("onnxruntime", "accelerators.onnxruntime:PLUGIN")
LITERT = point("litert", "accelerators.litert:PLUGIN")
OPENVINO = point("openvino", "accelerators.openvino:PLUGIN")
REFERENCE = point("reference", "accelerators.reference:PLUGIN")
VITISAI = point("vitisai", "accelerators.vitisai:PLUGIN")
NEURON = point("neuron", "accelerators.neuron:PLUGIN")
MIGRAPHX = point("migraphx", "accelerators.migraphx:PLUGIN")
PAPER = point("paper", "paper_plugin:PLUGIN")


def install(site: Path, distribution: str, sources: dict[str, str], declared: str) -> None:
    """Makes a distribution as an installer leaves it: its files, and a dist-info folder that lists them."""
    info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{declared}\n")
    for name, text in sources.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    lines = [f"{name},," for name in (*sources, f"{info.name}/METADATA", f"{info.name}/RECORD")]
    (info / "RECORD").write_text("\n".join(lines))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that counts as site-packages; modules imported from it are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def nothing(value: str, deadline: float) -> Found:
    """For tests that are not about looking for devices."""
    return Found()


def entry(catalog: Catalog, name: str) -> tuple[str, str]:
    found = next(one for one in catalog.entries() if one.name == name)
    return found.level, found.reason


def load_with(candidate: catalog.Candidate, choice: AcceleratorChoice) -> None:
    plugin = candidate.accelerator
    assert plugin.load is not None
    plugin.load(LoadRequest(path=Path("x"), format=ONNX, options=decode(plugin, choice.options)))


def test_installed_entry_points_are_our_folders() -> None:
    folders = {one.name for one in OURS.iterdir() if (one / "__init__.py").is_file()}
    installed = {
        one.name: one.value for one in entry_points(group=GROUP) if one.value.startswith("accelerators.")
    }
    assert installed == {name: f"accelerators.{name}:PLUGIN" for name in folders}, (
        "reinstall: entry points changed"
    )


def test_each_readme_states_the_level() -> None:
    for claim in entry_points(group=GROUP):
        if claim.value.startswith("accelerators."):
            readme = (OURS / claim.name / "README.md").read_text()
            assert f"Level: **{claim.load().level}**" in readme, claim.name
            (said,) = [part for part in readme.split("\n\n") if part.startswith("Level: ")]
            words = " ".join(said.split())
            assert all(f"**proven** on {device}" in words for device in claim.load().proven), claim.name


def test_our_folders_keep_to_their_bounds() -> None:
    for folder in OURS.iterdir():
        if (folder / "__init__.py").is_file():
            assert len((folder / "__init__.py").read_text().splitlines()) <= 60
            session = folder / "session.py"
            assert not session.exists() or len(session.read_text().splitlines()) <= 350


def test_the_installed_catalogue_lists_everything() -> None:
    entries = {one.name: one for one in Catalog().entries()}
    assert entries["onnxruntime"].devices[0] == "CPU"
    assert entries["onnxruntime"].reason == ""
    assert (entries["openvino"].level, entries["reference"].level) == ("tuned", "proven")
    assert (entries["litert"].level, entries["litert"].devices) == ("tuned", ("CPU",))
    assert (entries["edgetpu"].level, entries["edgetpu"].formats) == ("simulated", ("tflite-edgetpu",))
    assert entries["openvino"].devices[0] == entries["reference"].devices[0] == "CPU"
    assert {"AUTO", "HETERO", "BATCH"} < set(entries["openvino"].devices)
    assert entries["openvino"].formats == (
        "onnx", "openvino-blob", "openvino-ir", "paddle", "tensorflow", "tflite",
    )  # fmt: skip


def test_auto_takes_what_reads_the_model_in_order_of_level() -> None:
    catalog = Catalog([REFERENCE, OPENVINO, LITERT, FAKE, REAL])
    auto = AcceleratorChoice(name="auto")
    assert [str(one) for one in catalog.candidates(auto, [ONNX])] == ["onnxruntime:CPU", "openvino:CPU"]
    assert [str(one) for one in catalog.candidates(auto, [TFLITE])] == ["litert:CPU", "openvino:CPU"]
    assert [str(one) for one in catalog.candidates(auto, [ONNX, Format("fake")])] == [
        "onnxruntime:CPU",
        "openvino:CPU",
        "fake:CPU",
    ]
    with pytest.raises(AcceleratorUnavailable, match="nothing here reads xmodel"):
        catalog.candidates(auto, [Format("xmodel")])


def test_auto_never_takes_the_slow_reference() -> None:
    with pytest.raises(AcceleratorUnavailable, match=r"nothing here reads onnx \(reference must be named\)"):
        Catalog([REFERENCE]).candidates(AcceleratorChoice(name="auto"), [ONNX])
    (candidate,) = Catalog([REFERENCE]).candidates(AcceleratorChoice(name="reference"), [ONNX])
    candidate.check()


@pytest.mark.parametrize("device", ["auto:GPU,CPU", "HETERO:CPU", "BATCH:CPU(4)", "cpu"])
def test_devices_over_other_devices_are_there(device: str) -> None:
    (candidate,) = Catalog([OPENVINO]).candidates(AcceleratorChoice(name="openvino", device=device), [ONNX])
    candidate.check()


def test_a_device_of_an_earlier_generation_is_told_what_became_of_it() -> None:
    choice = AcceleratorChoice(name="openvino", device="MYRIAD")
    (candidate,) = Catalog([OPENVINO]).candidates(choice, [ONNX])
    with pytest.raises(AcceleratorUnavailable, match=r"'openvino:MYRIAD': Intel ended Movidius devices"):
        candidate.check()


@pytest.mark.parametrize("name", ["myriad", "nGraph", "DNNDK", "rocm"])
def test_an_old_name_written_as_an_accelerator_is_told_what_became_of_it(name: str) -> None:
    with pytest.raises(AcceleratorUnavailable, match=r"an old name for \w+: .+; installed: "):
        Catalog([OPENVINO, REAL, VITISAI]).candidates(AcceleratorChoice(name=name), [ONNX])


def test_without_its_runtime_an_old_device_is_no_reason_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("accelerators.vitisai.session.find_spec", lambda _name: None)
    choice = AcceleratorChoice(name="vitisai", device="DNNDK")
    with pytest.raises(AcceleratorUnavailable, match=r"ended with Vitis AI 1\.4"):
        Catalog([VITISAI]).candidates(choice, [Format("xmodel")])


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("migraphx", "ROCm's package migraphx"),
        ("neuron", "AWS's own index"),
        ("vitisai", "the Vitis AI image"),
    ],
)
def test_what_pip_cannot_bring_is_not_sent_for_with_pip(name: str, cure: str) -> None:
    plugin = import_module(f"accelerators.{name}").PLUGIN
    if plugin.version() is not None:
        return
    catalog = Catalog([point(name, f"accelerators.{name}:PLUGIN")])
    with pytest.raises(AcceleratorUnavailable, match=f"its runtime is missing: .*{cure}") as caught:
        catalog.candidates(AcceleratorChoice(name=name), plugin.formats)
    assert "pip install" not in str(caught.value)


def test_an_impostor_of_the_runtime_is_named(site: Path) -> None:
    install(site, "torch-neuronx", {"torch_neuronx.py": "raise ImportError('WRONG PACKAGE')\n"}, "")
    (site / "torch_neuronx-1.2.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch-neuronx\nVersion: 1.0.0.0\n"
    )
    with pytest.raises(
        AcceleratorUnavailable, match=r"torch-neuronx 1\.0\.0\.0 is PyPI's placeholder.*uninstall it"
    ):
        Catalog([NEURON]).candidates(AcceleratorChoice(name="neuron"), [Format("neuron")])


def test_an_option_that_brings_the_runtime_itself_is_left_to_load() -> None:
    choice = AcceleratorChoice(name="migraphx", options={"library": "/no/such/libmigraphx_c.so"})
    (candidate,) = Catalog([MIGRAPHX], probe=nothing).candidates(choice, [ONNX])
    candidate.check()
    with pytest.raises(AcceleratorUnavailable, match=r"/no/such/libmigraphx_c\.so is missing"):
        load_with(candidate, choice)


def test_an_option_may_bring_devices_that_only_loading_knows() -> None:
    choice = AcceleratorChoice(name="openvino", device="FPGA", options={"plugins": "/opt/fpga/plugins.xml"})
    (candidate,) = Catalog([OPENVINO], probe=nothing).candidates(choice, [ONNX])
    candidate.check()


def test_a_named_accelerator_must_exist_be_built_and_read_the_model(site: Path) -> None:
    (site / "paper_plugin.py").write_text(
        "from dataclasses import replace\nfrom edgex_inference.testing.fake_accelerator import PLUGIN as FAKE\n"
        "PLUGIN = replace(FAKE, name='paper', load=None, declared='declared only: there is no such chip yet')\n"
    )
    catalog = Catalog([FAKE, REAL, PAPER])
    with pytest.raises(AcceleratorUnavailable, match=r"did you mean onnxruntime\?"):
        catalog.candidates(AcceleratorChoice(name="onnxruntim"), [ONNX])
    with pytest.raises(AcceleratorUnavailable, match="declared only"):
        catalog.candidates(AcceleratorChoice(name="paper"), [ONNX])
    assert entry(catalog, "paper")[1] == "declared only: there is no such chip yet"
    with pytest.raises(
        AcceleratorUnavailable, match="reads fake, fake-artefact and fake-source; the model has onnx"
    ):
        catalog.candidates(AcceleratorChoice(name="fake"), [ONNX])


def test_a_device_that_is_absent_is_named_with_what_is_there() -> None:
    catalog = Catalog([REAL])
    (candidate,) = catalog.candidates(AcceleratorChoice(name="onnxruntime", device="CUDA"), [ONNX])
    assert str(candidate) == "onnxruntime:CUDA"
    with pytest.raises(
        AcceleratorUnavailable,
        match=r"'onnxruntime:CUDA': not on this machine \(found CPU.*\); it needs an NVIDIA GPU",
    ):
        candidate.check()


def test_a_device_that_was_not_found_is_looked_for_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there: list[InferenceDevice] = []
    probes: list[str] = []

    def look(value: str, _deadline: float) -> Found:
        probes.append(value)
        return Found(devices=tuple(there), reason="" if there else "no stick")

    (npu,) = Catalog([FAKE], probe=look).candidates(
        AcceleratorChoice(name="fake", device="NPU"), [Format("fake")]
    )
    for _ in range(2):
        with pytest.raises(AcceleratorUnavailable, match="no stick"):
            npu.check()
    assert len(probes) == 1, "it was looked for a moment ago"
    there.append(InferenceDevice(id="NPU", kind="npu"))
    monkeypatch.setattr(catalog, "_STALE", 0.0)
    npu.check()
    npu.check()
    assert len(probes) == 2, "what was found is believed"


def test_the_default_device_is_not_probed_and_others_once() -> None:
    asked: list[str] = []

    def count(value: str, deadline: float) -> Found:
        asked.append(value)
        return probe(value, deadline)

    catalog = Catalog([FAKE], probe=count)
    for device in (None, "CPU", "NPU", "NPU"):
        (candidate,) = catalog.candidates(AcceleratorChoice(name="fake", device=device), [Format("fake")])
        candidate.check()
    assert asked == [FAKE.value]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import os\nos.abort()", "ended the process by signal 6"),
        ("import threading\nthreading.Event().wait()", "did not end within 1.5 s"),
        ("raise RuntimeError('no driver')", "RuntimeError: no driver"),
    ],
)
def test_a_vendor_that_crashes_or_hangs_while_it_looks(site: Path, body: str, reason: str) -> None:
    lines = [
        "from dataclasses import replace",
        "from edgex_inference.testing.fake_accelerator import PLUGIN as FAKE",
        "def look():",
        *(f"    {line}" for line in body.splitlines()),
        "PLUGIN = replace(FAKE, name='wild', devices=look)",
    ]
    (site / "wild_plugin.py").write_text("\n".join(lines))
    catalog = Catalog([point("wild", "wild_plugin:PLUGIN")], deadline=1.5 if "wait" in body else 30)
    assert reason in entry(catalog, "wild")[1]
    (candidate,) = catalog.candidates(AcceleratorChoice(name="wild", device="NPU"), [Format("fake")])
    with pytest.raises(AcceleratorUnavailable):
        candidate.check()


def test_two_claimants_are_both_named(site: Path) -> None:
    for name in ("acme-one", "acme-two"):
        module = name.replace("-", "_")
        install(site, name, {f"{module}.py": "PLUGIN = None\n"}, f"acme = {module}:PLUGIN")
    level, reason = entry(Catalog(probe=nothing), "acme")
    assert level == ""
    assert "acme-one" in reason
    assert "acme-two" in reason
    with pytest.raises(AcceleratorUnavailable, match="uninstall all but one"):
        Catalog().get("acme")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("PLUGIN = 3\n", "is a int, not an Accelerator"),
        ("import no_such_vendor\n", "No module named 'no_such_vendor'"),
        ("raise SystemError('boom')\n", "SystemError: boom"),
        ("other = 1\n", "AttributeError"),
        (
            "from dataclasses import replace\nfrom edgex_inference.testing.fake_accelerator import PLUGIN as FAKE\n"
            "PLUGIN = replace(FAKE, name='acme', contract=0)\n",
            "version 0 of the accelerator contract",
        ),
        ("from edgex_inference.testing.fake_accelerator import PLUGIN\n", "calls itself 'fake'"),
    ],
)
def test_unfit_plugins_are_listed_with_a_sentence(site: Path, source: str, reason: str) -> None:
    install(site, "acme-bad", {"acme_bad.py": source}, "acme = acme_bad:PLUGIN")
    level, said = entry(Catalog(probe=nothing), "acme")
    assert level == ""
    assert reason in said
    assert "onnxruntime" in Catalog().names()


def test_a_foreign_folder_in_the_way_is_told(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "acme-good", {"acme_good/__init__.py": "PLUGIN = 1\n"}, "acme = acme_good:PLUGIN")
    shadow = tmp_path / "working-directory"
    (shadow / "acme_good").mkdir(parents=True)
    (shadow / "acme_good" / "__init__.py").write_text("PLUGIN = 2\n")
    monkeypatch.syspath_prepend(shadow)
    reason = entry(Catalog(probe=nothing), "acme")[1]
    assert "does not belong to acme-good" in reason
    assert str(shadow) in reason


def test_a_third_party_joins_without_touching_ours(site: Path) -> None:
    package = THIRD_PARTY / "acme_accelerator"
    sources = {f"acme_accelerator/{file.name}": file.read_text() for file in package.glob("*.py")}
    install(site, "acme-accelerator", sources, "acme = acme_accelerator:PLUGIN")
    shutil.copy(THIRD_PARTY / "pyproject.toml", site)
    catalog = Catalog()
    acme = next(one for one in catalog.entries() if one.name == "acme")
    assert (acme.level, acme.version, acme.formats, acme.devices) == ("simulated", "1.2", ("acme",), ("ONE",))
    (candidate,) = catalog.candidates(AcceleratorChoice(name="auto"), [Format("acme")])
    assert str(candidate) == "acme:ONE"
    candidate.check()
    assert catalog.get("onnxruntime") is ONNXRUNTIME
