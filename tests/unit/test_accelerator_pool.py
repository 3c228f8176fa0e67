"""Slots of a session: one caller each, the last one used first, and nobody left waiting when it closes."""

import threading

import pytest

from accelerators.pool import Pool
from edgex_inference.contracts.errors import DeadlineExceeded, InferenceFailed


def test_the_last_one_used_comes_first_and_more_callers_wait() -> None:
    pool = Pool("m", ["a", "b"], "machine")
    first, second = pool.take(1), pool.take(1)
    assert {first, second} == {"a", "b"}
    with pytest.raises(DeadlineExceeded, match=r"model 'm': no free machine within 0\.01 s"):
        pool.take(0.01)
    pool.give(first)
    pool.give(second)
    assert pool.take(None) == second


def test_closing_refuses_everybody_who_waits_and_keeps_nothing() -> None:
    pool = Pool("m", [object()], "machine")
    held = pool.take(1)
    told: list[str] = []

    def wait() -> None:
        try:
            pool.take(None)
        except InferenceFailed as error:
            told.append(str(error))

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    pool.close()
    pool.give(held)
    pool.close()
    for thread in threads:
        thread.join(20)
    assert told == ["model 'm': the session is closed"] * 3
    with pytest.raises(InferenceFailed):
        pool.take(1)


def test_many_callers_share_two_slots_and_none_waits_for_ever() -> None:
    pool = Pool("m", [[0], [0]], "machine")
    rounds, callers = 2_000, 6

    def work() -> None:
        for _ in range(rounds):
            held = pool.take(None)
            before = held[0]
            held[0] = before + 1
            pool.give(held)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    counted = pool.take(None), pool.take(None)
    assert sum(one[0] for one in counted) == rounds * callers, "two callers had the same slot at once"
