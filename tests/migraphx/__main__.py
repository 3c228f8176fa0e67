"""`make migraphx`: the plug-in on the real MIGraphX, on its target `ref`, which needs no GPU.

Writes what came of it into the plug-in's README; exit code 1 when something does not hold. MIGRAPHX_ONLY=suite,journey
runs some of it: the rows of the others stay as they were.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping

from tests.foreign import outcomes
from tests.foreign.debian import ROOT, Unavailable
from tests.foreign.outcomes import Part
from tests.foreign.python import ForeignPython
from tests.migraphx import provision
from tests.migraphx.provision import HOME

README = ROOT / "accelerators" / "migraphx" / "README.md"
TESTS = "tests/contract/test_accelerator_migraphx_ref.py"
JOURNEYS = ("migraphx:REF", "migraphx:REF/mxr")
MODELS = ("spindle-ae",)
"""Its golden samples are quick enough; a run of the part detector outlasts the deadline that a service sets."""
_PATIENCE = 1800


def main() -> int:
    """0 when everything holds."""
    try:
        python = provision.provide()
    except Unavailable as error:
        print(f"make migraphx: {error}", file=sys.stderr)
        return 1
    parts: Mapping[str, Part] = {
        "contract suite": lambda: outcomes.suite(python, "suite", TESTS, without=(), patience=_PATIENCE),
        "journey": lambda: outcomes.journey(python, JOURNEYS, patience=_PATIENCE),
        "compiled ahead": lambda: compiled(python),
        "numbers": lambda: numbers(python),
    }
    wanted = [name for name in os.environ.get("MIGRAPHX_ONLY", "").split(",") if name] or list(parts)
    found = []
    for name in wanted:
        found.append(outcomes.measured(name, parts[name]))
        print(found[-1], flush=True)
    known = outcomes.kept(HOME / "outcomes.json", found)
    head = f"MIGraphX {provision.version()} of Debian's sid on its target `ref`, Python {python.series}:"
    shown = outcomes.table([known[name] for name in parts if name in known])
    outcomes.write(README, "migraphx ref", f"{head}\n\n{shown}")
    return 0 if all(one.holds for one in found) else 1


def compiled(python: ForeignPython) -> tuple[bool, str]:
    """Our models by the command, twice: made and saved, then loaded again from where they lie, on golden samples."""
    into = HOME / "artefacts"
    shutil.rmtree(into, ignore_errors=True)
    told, holds = [], True
    for model in MODELS:
        words = [
            "-m",
            "edgex_inference",
            "compile",
            model,
            "--for",
            "migraphx:REF",
            "--into",
            str(into),
            "--json",
        ]
        made, there = (python.run(*words, patience=_PATIENCE) for _ in range(2))
        if made.returncode or there.returncode:
            return False, ((made.stderr + there.stderr).strip().splitlines() or ["no word"])[-1]
        (first,), (second,) = json.loads(made.stdout), json.loads(there.stdout)
        holds = holds and first["made"] and not second["made"] and 0 <= second["difference"] < 0.01
        told.append(f"{model}: made in {first['seconds']:.1f} s, loaded again {second['difference']:.1e} off")
    return holds, "; ".join(told)


def numbers(python: ForeignPython) -> tuple[bool, str]:
    """The models of the other plug-ins' tables, against the evaluator of the package `onnx`."""
    done = python.run(str(ROOT / "tests" / "migraphx" / "numbers.py"), patience=_PATIENCE)
    (HOME / "numbers.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        return False, (done.stderr.strip().splitlines() or ["no word"])[-1]
    seen = f"{len(done.stdout.splitlines()) - 2} models"
    if not os.environ.get("EDGEX_INFERENCE_TESTDATA"):
        return True, f"{seen} of ours; the table below, with real ones, is an earlier run's"
    outcomes.write(README, "differences", done.stdout.strip())
    return True, f"{seen}, below"


if __name__ == "__main__":
    sys.exit(main())
