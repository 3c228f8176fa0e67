"""Installs toolchains, converts, compares, and writes the dated table of docs/reference/formats.md with DOCS=1.

python -m tests.toolchains [NAME…]       exit code 1 when a conversion ends otherwise than it should
"""

import datetime
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.config.places import listed
from tests.toolchains.cases import BUILDERS, CASES, DEMO, Case

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "toolchains"
PAGE = ROOT / "docs" / "reference" / "formats.md"
_LEFT = "not run: "
MARKS = re.compile(r"(<!-- measured: toolchains -->\n).*?(<!-- end -->)", re.DOTALL)
PROGRAM = [sys.executable, "-m", "edgex_inference"]


@dataclass(frozen=True, slots=True)
class Row:
    """How a conversion ended; `wrong` says why where it should have ended otherwise."""

    case: Case
    said: str
    wrong: str = ""


def main(names: Sequence[str]) -> int:
    from edgex_inference.engine.formats.toolchains import manifest

    cases = [case.toolchain for case in CASES]
    names = names or sorted(manifest(), key=cases.count, reverse=True)
    os.environ["INFERENCE_CACHEDIR"] = str(HOME)
    whence = "with what was there" if (HOME / "toolchains").exists() else "from nothing"
    started, installs = time.monotonic(), dict[str, float]()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        waiting: list[tuple[Case, Future[Row]]] = []
        ready: dict[str, Future[str]] = {}
        for name in names:  # conversions with what is there go on while the next one is installed
            began = time.monotonic()
            if subprocess.run([*PROGRAM, "toolchain", "install", name], check=False).returncode:
                return 1
            installs[name] = time.monotonic() - began
            built = Path(folder, name)
            built.mkdir()
            ready[name] = pool.submit(_ready, name, built)
            for case in CASES:
                if name in case.needs <= ready.keys():
                    into = Path(folder, "models", f"m{len(waiting)}")
                    there = [ready[one] for one in case.needs]
                    waiting.append((case, pool.submit(_run, case, Path(folder, case.toolchain), into, there)))
        rows = [future.result() for _, future in sorted(waiting, key=lambda one: CASES.index(one[0]))]
    wrong = [row for row in rows if row.wrong]
    left = [row for row in rows if row.said.startswith(_LEFT)]
    print(f"{len(rows) - len(wrong) - len(left)} passed, {len(wrong)} failed, {len(left)} skipped")
    text = _table(rows, installs, whence, time.monotonic() - started)
    if set(names) != set(manifest()):
        text = _joined(PAGE.read_text(), text, names)
    (HOME / "table.md").write_text(text)
    if os.environ.get("DOCS") == "1" and not wrong and not left:
        PAGE.write_text(MARKS.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", PAGE.read_text()))
    return int(bool(wrong))


def _lacking(names: Sequence[str]) -> int:
    """1 where one has no Python here, with its sentence: before gigabytes are fetched for the others."""
    from edgex_inference.contracts.errors import SetupError
    from edgex_inference.engine.formats.toolchains import Toolchains

    known, lacking = Toolchains(HOME / "toolchains"), 0
    for name in names or known.known:
        try:
            known.get(name).interpreter()
        except SetupError as error:
            print(f"make toolchains: {error}", file=sys.stderr)
            lacking = 1
    return lacking


def _ready(name: str, folder: Path) -> str:
    """Everything in it imported, and synthetic models made; what is wrong otherwise."""
    checked = subprocess.run(
        [*PROGRAM, "toolchain", "check", name], capture_output=True, text=True, check=False
    )
    print(checked.stdout.strip(), flush=True)
    if checked.returncode:
        return checked.stdout.strip().splitlines()[-1]
    try:
        _build(name, folder)
    except subprocess.CalledProcessError as error:
        return f"its models could not be made: {error}"
    return ""


def _build(name: str, folder: Path) -> None:
    """Synthetic models, by the framework itself."""
    python = HOME / "toolchains" / name / "bin" / "python"
    for script, arguments, variables in BUILDERS.get(name, ()):
        path = Path(__file__).parent / "builders" / script
        command = [str(python), "-W", "ignore", str(path), str(folder), *arguments]
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run(
            command, check=True, env={**os.environ, **quiet, **variables}, stderr=subprocess.DEVNULL
        )


def _run(case: Case, built: Path, into: Path, there: Sequence[Future[str]]) -> Row:
    """One conversion into the store `into`, once its toolchains and its source are there."""
    for one in there:
        if one.result():
            return _shown(Row(case, "", one.result()))
    data = os.environ.get("EDGEX_INFERENCE_TESTDATA", "")
    if case.real and not data:
        return _shown(Row(case, f"{_LEFT}EDGEX_INFERENCE_TESTDATA is not set"))
    source = str(Path(data, "models", case.source)) if case.real else case.source
    command = [*PROGRAM, "model", "convert", source, *case.arguments, "--models", str(into), "--name", "m"]
    done = subprocess.run([*command, "--json"], cwd=built, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1]
        fine = bool(case.refused) and case.refused in said
        fine = fine and not (built / "sprung").exists()
        return _shown(Row(case, "refused", "" if fine else said))
    parity = json.loads(done.stdout.splitlines()[-1])["parity"]
    said = (
        f"{parity['difference']:.1e} of {parity['tolerance']:g}; {parity['source']}; {parity['checked_on']}"
    )
    if case.refused:
        return _shown(Row(case, said, "should have been refused"))
    return _shown(Row(case, said, _golden(case, into) if case.golden else ""))


def _golden(case: Case, into: Path) -> str:
    """What is wrong with the answers to golden samples, of pictures that are laid out as the new file wants them."""
    folder = into / case.golden
    shutil.copytree(DEMO / case.golden, folder)
    made = into / "m" / "1" / "model.tflite"
    shutil.copy(made, folder)
    card = re.sub(r"(?m)^  - \{path: .*$", f"  - {{path: {made.name}}}", (folder / "model.yaml").read_text())
    (folder / "model.yaml").write_text(card.replace("layout: NCHW", "layout: NHWC"))
    command = [*PROGRAM, "model", "check", Path(case.golden).parts[0], "--models", str(into)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if not done.returncode else (done.stderr or done.stdout).strip().splitlines()[-1]


def _shown(row: Row) -> Row:
    print(f"{row.case.what} {' '.join(row.case.arguments)}: {row.wrong or row.said}", flush=True)
    return row


def _table(rows: Sequence[Row], installs: dict[str, float], whence: str, took: float) -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    long = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in installs.items() if seconds > 3)
    lines = [
        f"Run on {today} {whence}, {took / 60:.0f} minutes in all on {len(os.sched_getaffinity(0))} cores, "
        f"{_worked() / 60:.0f} minutes of processor time"
        + (f"; beside the conversions, installing took {long}." if long else "."),
        "",
        "| Source | To | Largest difference | Answered by | On |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        case = row.case
        to = case.arguments[case.arguments.index("--to") + 1] if "--to" in case.arguments else "onnx"
        to += ", edges cut" if "cut" in case.arguments else ""
        what = f"{case.what}{'' if case.real else ' *synthetic*'}"
        parts = row.said.split("; ") if "; " in row.said else [row.said, "", ""]
        lines.append(f"| {what} | {to} | {parts[0].partition(' of ')[0]} | {parts[1]} | {parts[2]} |")
    return "\n".join(lines)


def _joined(page: str, text: str, names: Sequence[str]) -> str:
    """What the page says, its rows of other toolchains as they were, and when these ran."""
    found = MARKS.search(page)
    assert found is not None
    said = found[0].removeprefix(found[1]).removesuffix(found[2]).strip().splitlines()
    again = "Again with " + listed(names, last="and") + ": "
    prose = [line for line in said if not line.startswith(("|", again))]
    new = text.splitlines()
    rows = {tuple(line.split("|")[1:3]): line for line in said if line.startswith("|")}
    rows |= {tuple(line.split("|")[1:3]): line for line in new if line.startswith("|")}
    ran = again + new[0][0].lower() + new[0][1:]
    return "\n".join((*"\n".join(prose).strip().splitlines(), "", ran, "", *rows.values()))


def _worked() -> float:
    """Seconds of processor time of everything that was started."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    sys.exit(_lacking(sys.argv[1:]) or main(sys.argv[1:]))
