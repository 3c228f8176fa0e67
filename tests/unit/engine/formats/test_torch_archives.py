"""PyTorch's archives: what torch would evaluate, load or write is seen before torch opens them."""

import json
import zipfile
from pathlib import Path

import pytest

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine.formats.kinds import Kind
from edgex_inference.engine.formats.screen import screen


def archive(path: Path, names: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in names.items():
            file.writestr(name, content)
    return path


def program(path: Path, *, size: str = "", guard: str = "") -> Path:
    value = {"as_expr": {"expr_str": size, "hint": None}}
    said = {"graph_module": {"sizes": [value]}, "guards_code": [guard] if guard else []}
    return archive(path, {"m/archive_format": "pt2", "m/models/model.json": json.dumps(said)})


@pytest.mark.parametrize(
    "size",
    [
        "Symbol('s77', positive=True, integer=True)",
        "Mul(Integer(512), Pow(Symbol('s69', positive=True, integer=True), Integer(2)))",
        "s0 + 2*s1 // 8",
        "Max(1, s0)",
    ],
)
def test_sizes_as_torch_writes_them(size: str, tmp_path: Path) -> None:
    screen(program(tmp_path / "m.pt2", size=size), Kind.TORCH_EXPORT, trust=False)


@pytest.mark.parametrize(
    "size",
    [
        "__import__('os').system('true')",
        "exec(chr(49))",
        "S('open(1)')",
        "Add('open(1)', 1)",
        "Symbol('s0').__class__",
        "().real",
        "Integer(open (1))",
        "[x for x in (1,)].append(1)",
        "Symbol('x\\'')",
        "Lambda(1, lambda: 2)",
    ],
)
def test_sizes_that_are_programs(size: str, tmp_path: Path) -> None:
    path = program(tmp_path / "m.pt2", size=size)
    with pytest.raises(ModelRejected, match="a size that is a program"):
        screen(path, Kind.TORCH_EXPORT, trust=False)
    screen(path, Kind.TORCH_EXPORT, trust=True)


def test_conditions(tmp_path: Path) -> None:
    fine = "L['flat_args'][0].size()[1] >= 2 and not (L['x'].stride()[0] == 4)"
    screen(program(tmp_path / "m.pt2", guard=fine), Kind.TORCH_EXPORT, trust=False)
    with pytest.raises(ModelRejected, match="a size that is a program"):
        screen(
            program(tmp_path / "m.pt2", guard="L['x'].numpy().tofile('a')"), Kind.TORCH_EXPORT, trust=False
        )


def test_machine_code_is_not_loaded(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "m.pt2", {"m/archive_format": "pt2", "m/data/aotinductor/model/a.wrapper.so": "\x7fELF"}
    )
    with pytest.raises(ModelRejected, match="machine code"):
        screen(path, Kind.TORCH_EXPORT, trust=False)


@pytest.mark.parametrize("said", ["torch.from_file(a, True, 4)", "torch.save(x, b)", "ops.aten.from_file(a)"])
def test_operators_of_torchscript_that_reach_files(said: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "m.pt", {"m/data.pkl": "", "m/code/__torch__/m.py": f"  return {said}"})
    with pytest.raises(ModelRejected, match="reaches out of the model"):
        screen(path, Kind.TORCHSCRIPT, trust=False)
    screen(path, Kind.TORCHSCRIPT, trust=True)


def test_other_operators_of_torchscript(tmp_path: Path) -> None:
    code = "  x = torch.add(y, torch.load_factor)\n  return ops.prim.NumToTensor(x)"
    screen(archive(tmp_path / "m.pt", {"m/data.pkl": "", "m/code/m.py": code}), Kind.TORCHSCRIPT, trust=False)
