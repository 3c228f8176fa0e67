"""Apache TVM beyond the contract: other machines, other products of its name, what the plug-in does with libraries."""

import importlib.metadata
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from accelerators.tvm import PLUGIN, session
from accelerators.tvm.library import read
from accelerators.tvm.options import Options
from edgex_inference.cli.main import main
from edgex_inference.contracts.accelerator import ONNX, TVM_LIBRARY, Artefact, LoadRequest
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected

ROOT = Path(__file__).parents[2]
SPINDLE = ROOT / "edgex_inference/demo/models/spindle-ae/2026.11/spindle-ae.onnx"


class _Other:
    version = "0.3.1"


def test_the_other_product_of_that_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyPI's `tvm`, which computes the time value of money, also where it lies over Apache's."""
    monkeypatch.setattr(session, "distribution", lambda name: _Other())
    with pytest.raises(
        AcceleratorUnavailable, match="pip uninstall tvm apache-tvm, then pip install"
    ) as caught:
        PLUGIN.devices()
    assert "tvm 0.3.1 of PyPI is another product" in str(caught.value)


if PLUGIN.version() is not None:
    from edgex_inference.testing import onnx_models
    from edgex_inference.testing.kinds import Kind

    def made(path: Path, folder: Path, device: str | None = None, **options: object) -> Artefact:
        assert PLUGIN.compile is not None
        given = Options(**options)  # type: ignore[arg-type]
        return PLUGIN.compile(LoadRequest(path=path, format=ONNX, device=device, options=given, cache=folder))

    def test_a_library_for_arm64_is_refused_here_and_says_for_what(tmp_path: Path) -> None:
        if shutil.which("aarch64-linux-gnu-ld") is None:
            pytest.skip("no linker for ARM64: apt-get install binutils-aarch64-linux-gnu")
        artefact = made(SPINDLE, tmp_path, "aarch64", mcpu="cortex-a72")
        assert artefact.made_with["cpu"] == "cortex-a72"
        assert artefact.path.read_bytes()[18:20] == (183).to_bytes(2, "little")
        assert PLUGIN.load is not None
        with pytest.raises(ModelRejected, match="is compiled for aarch64"):
            PLUGIN.load(LoadRequest(path=artefact.path, format=TVM_LIBRARY))
        with pytest.raises(AcceleratorUnavailable, match="it can compile for aarch64, and run CPU only"):
            PLUGIN.load(LoadRequest(path=artefact.path, format=TVM_LIBRARY, device="aarch64"))

    def test_the_command_compiles_for_a_board_elsewhere(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        if shutil.which("aarch64-linux-gnu-ld") is None:
            pytest.skip("no linker for ARM64: apt-get install binutils-aarch64-linux-gnu")
        words = ["compile", "spindle-ae", "--models", str(ROOT / "edgex_inference/demo/models")]
        words += ["--into", str(tmp_path / "cache"), "--json"]

        def found(target: str, cpu: str = "") -> dict[str, Any]:
            options = ["--options", json.dumps({"mcpu": cpu})] if cpu else []
            assert main([*words, "--for", target, *options]) == 0
            (one,) = json.loads(capsys.readouterr().out)
            return dict(one)

        board = found("tvm:aarch64", "cortex-a72")
        assert board["made"]
        assert board["reason"].startswith("not run here: ")
        path = Path(board["artefact"])
        assert path.read_bytes()[18:20] == (183).to_bytes(2, "little")
        provenance = json.loads((path.parent / "provenance.json").read_text())
        assert provenance["device"] == "aarch64"
        assert provenance["tools"]["cpu"] == "cortex-a72"
        assert provenance["tools"]["apache-tvm"] == PLUGIN.version()
        assert not found("tvm:aarch64", "cortex-a72")["made"]
        assert found("tvm:aarch64", "cortex-a76")["made"], "another processor is another library"
        here = found("tvm")
        assert here["made"]
        assert here["difference"] < 1e-2

    def test_an_unknown_processor_is_refused_by_name(tmp_path: Path) -> None:
        with pytest.raises(AcceleratorUnavailable, match=r"options\.mcpu: LLVM knows no processor z80"):
            made(SPINDLE, tmp_path, mcpu="z80")

    def test_code_for_a_processor_with_more_is_refused(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = onnx_models.write(Kind.ONE, tmp_path)
        artefact = made(path, tmp_path, mcpu="haswell")
        assert "avx2" in read(artefact.path)[1].needs
        monkeypatch.setattr(session, "flags", lambda: frozenset({"avx"}))
        assert PLUGIN.load is not None
        with pytest.raises(ModelRejected, match=r"is compiled for haswell, this processor lacks .*avx2"):
            PLUGIN.load(LoadRequest(path=artefact.path, format=TVM_LIBRARY))

    def test_a_library_of_another_tvm_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        artefact = made(onnx_models.write(Kind.ONE, tmp_path), tmp_path)
        monkeypatch.setattr(session, "version", lambda: "0.28.0")
        assert PLUGIN.load is not None
        with pytest.raises(ModelRejected, match=r"was compiled by TVM 0\.27\.\S+, here is 0\.28\.0"):
            PLUGIN.load(LoadRequest(path=artefact.path, format=TVM_LIBRARY))

    def test_a_running_library_does_not_need_its_file(tmp_path: Path) -> None:
        artefact = made(onnx_models.write(Kind.ONE, tmp_path), tmp_path)
        assert PLUGIN.load is not None
        one = PLUGIN.load(LoadRequest(path=artefact.path, format=TVM_LIBRARY))
        assert str(artefact.path) not in Path("/proc/self/maps").read_text()
        artefact.path.write_bytes(b"")
        x = np.ones((1, 4), np.float32)
        assert np.array_equal(one.infer({"x": x})["y"], 2 * x + 1)
        one.close()

    def test_an_old_operator_set_with_weights_among_the_inputs(testdata: Path, tmp_path: Path) -> None:
        """RFB-320 is of set 9, lists 244 weights as inputs, and answers as ONNX Runtime does."""
        from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME

        path = testdata / "models" / "face-rfb320" / "version-RFB-320.onnx"
        artefact = made(path, tmp_path)
        assert PLUGIN.load is not None
        assert ONNXRUNTIME.load is not None
        ours = PLUGIN.load(LoadRequest(path=artefact.path, format=TVM_LIBRARY))
        theirs = ONNXRUNTIME.load(LoadRequest(path=path, format=ONNX))
        x = np.random.default_rng(1).uniform(-1, 1, (1, 3, 240, 320)).astype(np.float32)
        wanted = theirs.infer({"input": x})
        for name, array in ours.infer({"input": x}).items():
            assert np.abs(array - wanted[name]).max() <= 2e-5
        ours.close()
        theirs.close()

    def test_a_full_disk_costs_neither_the_process_nor_the_artefact(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """LLVM ends the process that it cannot write in."""
        artefact = made(SPINDLE, tmp_path)
        load = LoadRequest(path=artefact.path, format=TVM_LIBRARY)
        with monkeypatch.context() as full:
            full.setattr(session.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=99_000))
            with pytest.raises(AcceleratorUnavailable, match=r"MB to link in, and /.* has 0\.1: make room"):
                made(SPINDLE, tmp_path / "again")

            def copy(_code: bytes) -> object:
                raise OSError(28, "No space left on device", "/tmp/library.so")

            full.setattr(session, "private_copy", copy)
            assert PLUGIN.load is not None
            with pytest.raises(
                AcceleratorUnavailable, match=r"nowhere to load it from: /tmp/library\.so: No sp"
            ):
                PLUGIN.load(load)
        PLUGIN.load(load).close()

else:

    @pytest.mark.skip(reason="apache-tvm is not installed: make tvm")
    def test_the_rest_needs_apache_tvm() -> None: ...


def test_the_version_is_that_of_the_right_distribution() -> None:
    try:
        wanted = importlib.metadata.version("apache-tvm")
    except importlib.metadata.PackageNotFoundError:
        wanted = None
    assert PLUGIN.version() == wanted
