"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

STRICT = os.environ.get("EDGEX_INFERENCE_STRICT") == "1"


def skip_or_fail(reason: str) -> None:
    """Skips with the reason; under EDGEX_INFERENCE_STRICT=1 a missing server or runtime is a failure."""
    if STRICT:
        pytest.fail(f"strict: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real models, pictures and messages; tests that need it are skipped without it."""
    folder = os.environ.get("EDGEX_INFERENCE_TESTDATA")
    if not folder:
        pytest.skip("EDGEX_INFERENCE_TESTDATA is not set: real models, pictures and messages are not at hand")
    path = Path(folder)
    assert path.is_dir(), f"EDGEX_INFERENCE_TESTDATA={folder} is no folder"
    return path
