"""Installs toolchains, converts, compares, and writes the dated table of docs/reference/formats.md with DOCS=1.

python -m tests.toolchains [NAME…]       exit code 1 when a conversion ends otherwise than it should
"""

import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.config.places import listed
from tests.toolchains.cases import BUILDERS, CASES, Case

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "toolchains"
PAGE = ROOT / "docs" / "reference" / "formats.md"
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

    names = names or sorted(manifest())
    os.environ["INFERENCE_CACHEDIR"] = str(HOME)
    started, rows, installs = time.monotonic(), list[Row](), dict[str, float]()
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            began, new = time.monotonic(), not (HOME / "toolchains" / name).exists()
            if subprocess.run([*PROGRAM, "toolchain", "install", name], check=False).returncode:
                return 1
            if new:
                installs[name] = time.monotonic() - began
            if subprocess.run([*PROGRAM, "toolchain", "check", name], check=False).returncode:
                return 1
            built = Path(folder, name)
            built.mkdir()
            _build(name, built)
            rows += [_run(case, built, Path(folder, "models")) for case in CASES if case.toolchain == name]
    wrong = [row for row in rows if row.wrong]
    print(f"{len(rows) - len(wrong)} passed, {len(wrong)} failed")
    text = _table(rows, installs, time.monotonic() - started)
    if set(names) != set(manifest()):
        text = _joined(PAGE.read_text(), text, names)
    (HOME / "table.md").write_text(text)
    if os.environ.get("DOCS") == "1" and not wrong:
        PAGE.write_text(MARKS.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", PAGE.read_text()))
    return int(bool(wrong))


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


def _run(case: Case, built: Path, models: Path) -> Row:
    data = os.environ.get("EDGEX_INFERENCE_TESTDATA", "")
    if case.real and not data:
        return _shown(Row(case, "not run: EDGEX_INFERENCE_TESTDATA is not set"))
    source = str(Path(data, "models", case.source)) if case.real else case.source
    name = f"m{len(list(models.glob('*'))) if models.exists() else 0}"
    command = [*PROGRAM, "model", "convert", source, *case.arguments, "--models", str(models), "--name", name]
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
    return _shown(Row(case, said, "should have been refused" if case.refused else ""))


def _shown(row: Row) -> Row:
    print(f"{row.case.what} {' '.join(row.case.arguments)}: {row.wrong or row.said}", flush=True)
    return row


def _table(rows: Sequence[Row], installs: dict[str, float], took: float) -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    lines = [
        f"Run on {today}, {took / 60:.0f} minutes in all on 2 cores"
        + ("; installing took " if installs else "")
        + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in installs.items())
        + ".",
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
