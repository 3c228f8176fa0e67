"""TVM's libraries as files: what is damaged, cut short, foreign or for another processor is refused before it runs."""

from pathlib import Path

import pytest

from accelerators.tvm import linking, targets
from accelerators.tvm.library import Label, private_copy, read, seal
from accelerators.tvm.targets import here, lacking, needs, target
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.contracts.tensors import Datatype, TensorSpec

LABEL = Label(
    tvm="0.27.0",
    triple="aarch64-linux-gnu",
    cpu="cortex-a72",
    needs=("asimddp",),
    inputs=(TensorSpec(name="x", datatype=Datatype.FP32, shape=(None, 4)),),
    outputs=(TensorSpec(name="y", datatype=Datatype.FP32, shape=(None, 4)),),
    calls=2,
    metadata={"author": "me"},
)


def code(machine: int) -> bytes:
    """The head of a shared object for a machine, and what could be its code."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00" + machine.to_bytes(2, "little") + b"code" * 100


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.so"
    path.write_bytes(content)
    return path


def test_a_label_comes_back_as_it_was(tmp_path: Path) -> None:
    whole = code(here().machine)
    found, label = read(written(tmp_path, seal(whole, LABEL)))
    assert found == whole
    assert (label.inputs, label.outputs, label.metadata) == (LABEL.inputs, LABEL.outputs, LABEL.metadata)
    assert label.needs == ("asimddp",)


def test_every_damage_is_seen(tmp_path: Path) -> None:
    whole = seal(code(here().machine), LABEL)
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 0x55
        with pytest.raises(ModelRejected):
            read(written(tmp_path, bytes(changed)))
    for length in range(0, len(whole), 11):
        with pytest.raises(ModelRejected):
            read(written(tmp_path, whole[:length]))


def test_a_library_for_another_machine_is_named(tmp_path: Path) -> None:
    other = target("x86_64" if here().id == "aarch64" else "aarch64")
    with pytest.raises(ModelRejected, match=f"is compiled for {other.id}, this machine is {here().id}"):
        read(written(tmp_path, seal(code(other.machine), LABEL)))
    with pytest.raises(ModelRejected, match="is no library"):
        read(written(tmp_path, b"plain text, no library at all"))
    with pytest.raises(ModelRejected, match="made without `edgex-inference compile`"):
        read(written(tmp_path, code(here().machine)))


def test_the_loaded_copy_is_out_of_reach(tmp_path: Path) -> None:
    with private_copy(b"code") as path:
        assert path.read_bytes() == b"code"
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.exists()


def test_devices_have_the_names_that_people_use() -> None:
    assert target("ARM64") == target("aarch64")
    assert target(None) == target("cpu") == here()
    with pytest.raises(AcceleratorUnavailable, match=r"riscv.*compiles for x86_64, aarch64"):
        target("riscv64")


def test_what_a_processor_must_have_is_said_in_the_kernels_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert needs(target("aarch64"), ["lse", "dotprod", "neon"]) == ("asimddp", "atomics")
    assert needs(target("x86_64"), ["avx512vnni", "sse2", "amx-tile"]) == ("amxtile", "avx512vnni")
    monkeypatch.setattr(targets, "flags", lambda: frozenset({"avx2", "fma"}))
    assert lacking(target("x86_64"), ["avx2", "avx512f", "sse2"]) == ("avx512f",)


def test_without_a_linker_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking.shutil, "which", lambda _: None)
    monkeypatch.setattr(linking.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(AcceleratorUnavailable, match="apt-get install binutils-aarch64-linux-gnu"):
        linking.linker(target("aarch64"), None) if here().id != "aarch64" else pytest.fail("binutils-aarch64")
    with pytest.raises(AcceleratorUnavailable, match=r"options\.linker: there is no program nothing"):
        linking.linker(here(), "nothing")


def test_a_linker_that_refuses_is_quoted(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.o")
    with pytest.raises(AcceleratorUnavailable, match="the linker ld refused"):
        linking.Linker(command=("ld",), driver=False).link([absent], tmp_path / "out.so")
