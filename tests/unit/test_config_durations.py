"""Durations as EdgeX writes them."""

import pytest

from edgex_inference.config import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5.0), ("800ms", 0.8), ("1m30s", 90.0), ("1.5h", 5400.0), ("0s", 0.0), ("0", 0.0), ("10us", 1e-5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert durations.seconds(text) == pytest.approx(seconds)
    assert durations.seconds(durations.text(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "5s ", "٥s", "5d", "1e3s", ".5s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        durations.seconds(text)


def test_spelling_of_durations() -> None:
    spelled = [durations.text(value) for value in (0.0, 5.0, 0.5, 90.0, 3600.0, 1e-9, 30.0)]
    assert spelled == ["0s", "5s", "500ms", "1m30s", "1h", "1ns", "30s"]
