"""How far `ref` is from the evaluator of the package `onnx`: prints the table, with real models where there are any.

Exit code 1 when an answer is further off than the other plug-ins may be.
"""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

NAME, DEVICE = "migraphx", "REF"
FLOATS, STEPS = 2e-5, 1
REFUSED = ("isolation forest",)
"""Of operators that MIGraphX lacks."""


def neighbor() -> Any:
    """The module tests/agreement.py: nothing is imported from the working tree here."""
    spec = importlib.util.spec_from_file_location("agreement", Path(__file__).parents[1] / "agreement.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["agreement"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> int:
    agreement, testdata = neighbor(), os.environ.get("EDGEX_INFERENCE_TESTDATA", "")
    allowed = agreement.Stated(floats=FLOATS, steps=STEPS, rows={}, largest={})
    print("| Model | Format | Largest number | Difference |", "|---|---|---|---|", sep="\n")
    far = []
    for model in agreement.models(NAME):
        if model.ours or testdata:
            found = agreement.compared(NAME, model, Path(testdata), device=DEVICE)
            print(agreement.row(model, found), flush=True)
            refused = bool(found.refused) and model.name not in REFUSED
            far += [model.name] if refused or not found.within(allowed) else []
    if far:
        print(f"{', '.join(far)}: refused, or off by more than {FLOATS:g}", file=sys.stderr)
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
