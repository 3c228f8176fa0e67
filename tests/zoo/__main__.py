"""`make zoo`: fetches, looks into, adds, checks and converts, and writes the table of docs/reference/zoo.md.

ZOO="silero magika" runs those whose names begin so; the rows of the others stay as they were. DOCS=1 writes the page,
once there is a row of every model. Exit code 1 when something ends otherwise than tests/zoo/models.py says, when a
traceback is seen, or when something cannot be fetched.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgex_inference.cli.models.arguments import TOLERANCE
from tests import dated
from tests.foreign.debian import Unavailable
from tests.zoo.fetching import HOME, archive, place
from tests.zoo.models import MODELS, Model

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "zoo.md"
PROGRAM = [sys.executable, "-m", "edgex_inference"]
ROWS, STORE = HOME / "rows", HOME / "store"
READERS = {
    "onnx": ("onnxruntime", "openvino", "reference"),
    "tflite": ("litert", "openvino"),
    "tensorflow": ("openvino",),
    "openvino-ir": ("openvino",),
}
_PATIENCE = 900


class Wrong(Exception):
    """Something ended otherwise than it should."""


def main() -> int:
    wanted = os.environ.get("ZOO", "").split()
    models = [one for one in MODELS if not wanted or any(one.name.startswith(word) for word in wanted)]
    if not models:
        print(f"ZOO={' '.join(wanted)}: no model's name begins so", file=sys.stderr)
        return 2
    ROWS.mkdir(parents=True, exist_ok=True)
    os.environ["INFERENCE_CACHEDIR"] = str(ROOT / "build" / "toolchains")
    began = time.monotonic()
    try:
        _fetch(models)
    except Unavailable as error:
        print(f"make zoo: {error}", file=sys.stderr)
        return 1
    rows = [_kept(model) for model in models]
    wrong = sum(bool(row["wrong"]) for row in rows)
    print(f"{len(rows) - wrong} fine, {wrong} wrong, in {time.monotonic() - began:.0f} s")
    if os.environ.get("DOCS") != "1" or wrong:
        return int(bool(wrong))
    return _write()


def _fetch(models: Sequence[Model]) -> None:
    """Everything that is needed, before the first is looked into; raises Unavailable."""
    for name in sorted({one.toolchain for one in models} - {""}):
        if subprocess.run([*PROGRAM, "toolchain", "install", name], check=False).returncode:
            raise Unavailable(f"the toolchain {name} cannot be had: the line above says why")
    packages = dict.fromkeys(one.package for one in models)
    print(f"fetching {len(packages)} packages, as far as they are not there …", file=sys.stderr)
    for package in packages:
        archive(package)


def _kept(model: Model) -> dict[str, Any]:
    """The row of a model, which is kept and said."""
    began = time.monotonic()
    row = _row(model)
    row["seconds"] = round(time.monotonic() - began)
    _file(model).write_text(json.dumps(row, indent=1))
    print(_line(model, row), flush=True)
    return row


def _file(model: Model) -> Path:
    return ROWS / f"{model.name}.json"


def _write() -> int:
    """The page, unless a model of an earlier run has no row here, or a wrong one: then the code is 1."""
    files = {one.name: _file(one) for one in MODELS}
    lacking = [
        name for name, file in files.items() if not file.exists() or json.loads(file.read_text())["wrong"]
    ]
    if lacking:
        print(
            f"docs/reference/zoo.md stays as it is: without a row are {', '.join(lacking)}", file=sys.stderr
        )
        return 1
    dated.write(PAGE, "measured: zoo", f"\n{_page()}\n\n")
    return 0


def _row(model: Model) -> dict[str, Any]:
    row: dict[str, Any] = {"wrong": "", "when": dated.today()}
    shutil.rmtree(STORE / model.name, ignore_errors=True)
    shutil.rmtree(STORE / f"{model.name}-ir", ignore_errors=True)
    try:
        path = place(model.package, model.path)
        row["info"] = _asked("model", "info", path)
        row["size"] = row["info"][0].get("size", 0) if isinstance(row["info"], list) else 0
        added = _asked("model", "add", path, "--name", model.name)
        if model.said:
            _holds(isinstance(added, str) and model.said in added, f"add: {added}")
            row["refused"] = added
            return row
        _holds(isinstance(added, dict), f"add: {added}")
        _complete(model, Path(added["card"]))
        row["task"] = re.search(r"^task: (\w+)", Path(added["card"]).read_text(), re.MULTILINE)[1]
        row["format"] = re.search(r"format: ([\w-]+)", Path(added["card"]).read_text())[1]
        row["checked"] = _checked(model, row["format"])
        row["converted"] = _converted(model, path, row["format"])
    except (Wrong, Unavailable, subprocess.SubprocessError, OSError, AssertionError) as error:
        row["wrong"] = str(error) or type(error).__name__
    return row


def _complete(model: Model, card: Path) -> None:
    """Says in the card what the file leaves open, as a person would after `model add` has asked."""
    text = card.read_text()
    if model.size is not None:
        text = text.replace(", fit: ", f", size: {list(model.size)}, fit: ", 1)
    for name, shape in () if model.size is not None else model.shapes.items():
        text = re.sub(
            rf"^(  {name}: {{kind: \w+)(}}|,)", rf"\1, shape: {list(shape)}\2", text, flags=re.MULTILINE
        )
    card.write_text(text)


def _holds(fine: bool, said: str) -> None:
    if not fine:
        raise Wrong(said)


def _checked(model: Model, format_: str) -> dict[str, Any]:
    """Who runs it, how far apart, how quick, where its nodes are."""
    readers = [one for one in READERS[format_] if not (model.slow and one == "reference")]
    found = _asked("model", "check", model.name, *(f"--accelerator={one}" for one in readers), fine=(0, 1))
    _holds(isinstance(found, list), f"check: {found}")
    rows = {one["accelerator"].partition(":")[0]: one for one in found}
    for name, one in rows.items():
        words = model.refused.get(name)
        if words is not None:
            _holds(
                words in one["reason"], f"{name} should refuse it ({words}): {one['answers']} {one['reason']}"
            )
        else:
            fine = one["p50"] is not None and not one["wrong"]
            _holds(fine, f"{name}: {one['answers']} {one['reason']}")
            _holds(not one["elsewhere"] and one["placement"], f"{name}: {one['placement']}")
    return rows


def _converted(model: Model, path: Path, format_: str) -> Any:
    """How far the conversion to OpenVINO is off, or the sentence that refuses it."""
    if format_ == "openvino-ir":
        return ""
    shapes = [f"--shape={name}={','.join(map(str, shape))}" for name, shape in model.shapes.items()]
    more = ["--to", "openvino", "--name", f"{model.name}-ir", *shapes, *model.convert]
    found = _asked("model", "convert", path, *more)
    words = model.refused.get("convert")
    if words is not None:
        _holds(isinstance(found, str) and words in found, f"convert should refuse it ({words}): {found}")
        return found
    _holds(isinstance(found, dict), f"convert: {found}")
    return found["parity"]


def _asked(*arguments: object, fine: Sequence[int] = (0,)) -> Any:
    """The JSON of a command, or the sentence with which it refuses; raises Wrong for anything else."""
    command = [*PROGRAM, *map(str, arguments), "--json", "--models", str(STORE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False, cwd=HOME)
    what = " ".join(map(str, arguments[:2]))
    if "Traceback" in done.stderr or done.returncode not in (0, 1):
        raise Wrong(f"{what} ended with code {done.returncode}: {done.stderr[-600:]}")
    if done.returncode in fine and done.stdout.strip():
        return json.loads(done.stdout)
    said = done.stderr.strip().splitlines()
    if not said:
        raise Wrong(f"{what} ended with code {done.returncode} and said nothing")
    return said[-1]


def _line(model: Model, row: dict[str, Any]) -> str:
    if row["wrong"]:
        return f"WRONG {model.name}: {row['wrong']}"
    if "refused" in row:
        return f"fine  {model.name}: {row['refused']}"
    cells = [f"{name} {_cell(one)}" for name, one in row["checked"].items()]
    return f"fine  {model.name} ({row['task']}, {row['seconds']} s): {', '.join(cells)}; {_conversion(row)}"


def _cell(one: dict[str, Any]) -> str:
    if one["p50"] is None:
        return "refuses"
    apart = "" if one["difference"] is None else f"{one['difference']:.0e} apart, "
    return f"{apart}{one['p50'] * 1e3:.2g} ms"


def _conversion(row: dict[str, Any]) -> str:
    found = row["converted"]
    if isinstance(found, str):
        return "refused"
    allowed = "" if found["tolerance"] == TOLERANCE else f", {found['tolerance']:g} allowed"
    return f"{found['difference']:.0e}{allowed}"


_COLUMNS = ("onnxruntime", "openvino", "litert", "reference")


def _page() -> str:
    known = [(model, json.loads(_file(model).read_text())) for model in MODELS]
    days = sorted({row["when"] for _, row in known})
    ran = [(model, row) for model, row in known if "checked" in row]
    lines = [f"Run on {' to '.join(dict.fromkeys((days[0], days[-1])))}: {len(ran)} models."]
    lines += [
        "",
        f"| Model | From | Format | Task | {' | '.join(_COLUMNS)} | To OpenVINO |",
        f"|{'---|' * 9}",
    ]
    lines += [_cells(model, row) for model, row in ran]
    lines += ["", "What is refused, and how:", "", "| Model | By | Sentence |", "|---|---|---|"]
    lines += [f"| {model.what} | {by} | {said} |" for model, row in known for by, said in _refusals(row)]
    return "\n".join(lines)


def _cells(model: Model, row: dict[str, Any]) -> str:
    package = f"{model.package.name} {model.package.version}, {model.package.licence}"
    size = f"{row['format']}, {row['size'] / 1e6:.2g} MB"
    rest = [_cell(row["checked"][name]) if name in row["checked"] else "-" for name in _COLUMNS]
    return f"| {' | '.join([model.what, package, size, row['task'], *rest, _conversion(row)])} |"


def _refusals(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Who refuses, and the sentence without the folders of this machine."""
    found = [(name, one["reason"]) for name, one in row.get("checked", {}).items() if one["reason"]]
    converted = row.get("converted")
    found += [("`model convert`", converted)] if isinstance(converted, str) and converted else []
    found += [("`model add`", row["refused"])] if "refused" in row else []
    return [(by, re.sub(r"/[^ '`]*/", "…/", said.removeprefix("edgex-inference: "))) for by, said in found]


if __name__ == "__main__":
    sys.exit(main())
