"""What the plug-in for AWS Neuron says of placeholders, machines, files and runs; over stand-ins of its stack."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from accelerators.neuron import PLUGIN
from accelerators.neuron import session as neuron
from edgex_inference.contracts.accelerator import NEURON, LoadRequest, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.engine.options import decode, option_problems

STAND_INS = Path(__file__).parents[1] / "simulators" / "neuron"
ONE = {"inputs": {"x": "FP32[1, 4]"}, "outputs": {"y": "FP32[1, 4]"}}
PLACEHOLDER = 'raise ImportError("WRONG PACKAGE. Please install the package from the Neuron repository")\n'


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The stand-ins on a machine with one chip; gives its /dev."""
    held = {name: sys.modules.pop(name, None) for name in ("torch", "torch_neuronx")}
    nodes = tmp_path / "dev"
    nodes.mkdir()
    (nodes / "neuron0").touch()
    monkeypatch.syspath_prepend(STAND_INS)
    monkeypatch.setattr(neuron, "_NODES", nodes)
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", "0")
    yield nodes
    for name, module in held.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


@pytest.fixture
def traced(tmp_path: Path) -> Callable[..., Path]:
    """`traced(said, **program)`: a file as the stand-in of PyTorch reads it."""
    spec = importlib.util.spec_from_file_location("stand_in_torch", STAND_INS / "torch.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def write(said: dict[str, Any] | None = ONE, **program: Any) -> Path:
        module.write(tmp_path / "m.pt", said, **program)
        return tmp_path / "m.pt"

    return write


def opened(path: Path, device: str | None = None, **options: Any) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(LoadRequest(path=path, format=NEURON, device=device, options=decode(PLUGIN, options)))


def test_pypis_placeholder_is_named_and_refused(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traced: Callable[..., Path]
) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "torch_neuronx.py").write_text(PLACEHOLDER)
    monkeypatch.syspath_prepend(wrong)
    with pytest.raises(
        AcceleratorUnavailable, match=r"torch-neuronx is PyPI's placeholder.*uninstall it.*AWS's own index"
    ):
        opened(traced())


def test_placeholders_are_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, told in (("0.0.1", None), ("1.0.0.0", None), ("2.8.0.2.10", "2.8.0.2.10")):
        monkeypatch.setattr(neuron, "distribution_version", lambda _name, number=number: number)
        assert PLUGIN.version() == told


def test_pypis_compilers_are_no_part_of_a_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, told in (("1.0.post1", True), ("1.0", True), ("2.21.18209.0+043b1bf7", False)):
        monkeypatch.setattr(neuron, "distribution_version", lambda _name, number=number: number)
        assert ("neuronx-cc" in neuron.placeholders()) is told
    monkeypatch.undo()
    assert neuron.placeholders().keys() == {"torch-neuronx", "torch-neuron"}


def test_a_machine_without_a_chip(machine: Path) -> None:
    assert [one.id for one in PLUGIN.devices()] == ["NEURON", "NEURON.0"]
    (machine / "neuron0").unlink()
    with pytest.raises(
        AcceleratorUnavailable, match=r"neuron0 on this machine: it is no inf1, inf2 or trn instance"
    ):
        PLUGIN.devices()


def test_names_and_shapes_come_from_the_file_or_from_options(
    machine: Path, traced: Callable[..., Path]
) -> None:
    with pytest.raises(ModelRejected, match=r"neither names nor shapes of its inputs: write options\.inputs"):
        opened(traced(None))
    session = opened(traced(None), inputs={"a": "FP16[2, 3]"}, outputs={"b": "FP16[2, 3]"})
    assert [str(one) for one in (*session.inputs, *session.outputs)] == ["a FP16[2, 3]", "b FP16[2, 3]"]
    assert (session.traits.batch.kind, session.traits.batch.most) == ("fixed", 2)
    assert np.all(session.infer({"a": np.ones((2, 3), np.float16)})["b"] == 3)
    session.close()
    with pytest.raises(ModelRejected, match=r"edgex-inference\.json cannot be read"):
        opened(traced({"inputs": {}}))


def test_answers_that_are_not_as_said_are_refused(machine: Path, traced: Callable[..., Path]) -> None:
    session = opened(traced({**ONE, "outputs": {"y": "FP32[1, 5]"}}))
    with pytest.raises(InferenceFailed, match=r"y is float32\[1, 4\], said is y FP32\[1, 5\]"):
        session.infer({"x": np.ones((1, 4), np.float32)})
    session.close()
    session = opened(traced({**ONE, "outputs": {"y": "FP32[1, 4]", "z": "FP32[1]"}}))
    with pytest.raises(InferenceFailed, match="it gives 1 outputs, 2 are said"):
        session.infer({"x": np.ones((1, 4), np.float32)})
    session.close()


def test_runs_and_files_that_fail(machine: Path, traced: Callable[..., Path]) -> None:
    session = opened(traced(), cores=2)
    assert session.parallel == 2
    with pytest.raises(DeviceLost, match=r"neuron:NEURON is lost: .*nrt_execute status=5"):
        session.infer({"x": np.full((1, 4), 2000, np.float32)})
    with pytest.raises(InferenceFailed, match="expected another shape"):
        session.infer({"x": np.full((1, 4), 3000, np.float32)})
    with pytest.raises(SignatureMismatch, match="x holds NaN, of which a chip may make a plausible number"):
        session.infer({"x": np.array([[1, np.nan, 2, 3]], np.float32)})
    session.close()
    with pytest.raises(InferenceFailed, match="the session is closed"):
        session.infer({"x": np.zeros((1, 4), np.float32)})
    with pytest.raises(ModelRejected, match="traced for another Neuron stack or chip"):
        opened(traced(chip="another"))


def test_options_are_checked() -> None:
    found = option_problems(PLUGIN, {"inputs": {"x": "float[1]"}, "cores": 0})
    assert "'float[1]' is no tensor: write FP32[1, 3, 224, 224]" in found["inputs"]
    assert "cores must be 1 to 128" in found["cores"]
