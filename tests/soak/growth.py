"""Loads and closes again and again what a contract suite tests, and notes what that left behind.

A plug-in of pytest, for the suites' own test: each accelerator is soaked on the models and the simulator that its suite
has. `SOAK_CYCLES` is how often, `SOAK_GROWTH` the file that gets {"grown": bytes, "threads": …} for each class.
"""

import json
import os
from pathlib import Path

import pytest

_PROMISE = "test_loading_and_closing_does_not_grow"
_noted: list[dict[str, object]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the one test, and makes it longer."""
    items[:] = [item for item in items if item.name == _PROMISE]
    for item in items:
        assert isinstance(item, pytest.Function)
        assert item.cls is not None
        item.cls.cycles = int(os.environ["SOAK_CYCLES"])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What the test has measured, or why it could not."""
    if report.when == "call" or report.outcome != "passed":
        text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else report.longreprtext
        reason = (text.strip().splitlines() or [""])[-1] if report.outcome != "passed" else ""
        _noted.append({**dict(report.user_properties), "outcome": report.outcome, "reason": reason})


def pytest_sessionfinish() -> None:
    """Hands it over."""
    Path(os.environ["SOAK_GROWTH"]).write_text(json.dumps(_noted))
