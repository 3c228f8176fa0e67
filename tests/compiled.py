"""The command `compile`, run in this process."""

import pytest

from edgex_inference.cli.main import main


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = main(["compile", *map(str, words)])
    told = capsys.readouterr()
    return code, told.out, told.err
