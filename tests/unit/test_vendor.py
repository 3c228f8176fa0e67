"""Which version of a vendor's library works in this process."""

import sys
from types import ModuleType

import pytest

from edgex_inference.contracts.vendor import in_use


def test_another_version_of_what_is_imported_counts_from_the_next_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert in_use("acme_runtime", "1.0") == "1.0"
    assert in_use("acme_runtime", "1.1") == "1.1", "nothing is imported yet"
    monkeypatch.setitem(sys.modules, "acme_runtime", ModuleType("acme_runtime"))
    assert in_use("acme_runtime", "1.2") == "1.1"
    assert in_use("acme_runtime", None) is None, "uninstalled"
    assert in_use("acme_runtime", "1.2") == "1.1"
