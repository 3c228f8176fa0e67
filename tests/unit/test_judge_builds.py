"""What `tests/judge.py build` builds."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_what_only_the_benchmark_needs_is_not_built_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    sys.modules.pop("tests.judge", None)
    judge = importlib.import_module("tests.judge")
    built: list[tuple[str, str]] = []

    def program(generation: str, name: str, *, install: bool = False) -> Path:
        built.append((generation, name))
        return Path(name)

    monkeypatch.setattr(judge, "program", program)
    assert judge.main(["build"]) == 0
    assert {("4", "app"), ("3", "device"), ("2", "judge")} <= set(built)
    assert not {"bench", "golden"} & {name for _, name in built}
    assert (ROOT / "tests" / "peers" / "edgex4-bench" / "bench" / "main.go").is_file()
