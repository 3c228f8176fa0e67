"""A device that comes and goes is tried later and later; one that held for a while is tried soon."""

from edgex_inference.engine.reopening import Reopening


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Reopening, Clock]:
    clock = Clock()
    return Reopening(lambda: None, shortest=0.5, longest=30, steady=60, clock=clock), clock


def test_it_waits_longer_while_it_cannot_be_opened() -> None:
    reopening, _ = made()
    assert [reopening.wait() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_opening_for_a_moment_changes_nothing() -> None:
    reopening, clock = made()
    waits = []
    for _ in range(4):
        reopening.opened()
        clock.now += 59
        waits.append(reopening.wait())
    assert waits == [0.5, 1, 2, 4]


def test_having_been_open_for_long_starts_anew() -> None:
    reopening, clock = made()
    for _ in range(5):
        reopening.wait()
    reopening.opened()
    clock.now += 60
    assert [reopening.wait(), reopening.wait()] == [0.5, 1]
