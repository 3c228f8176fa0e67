"""Events that come twice are known, and acknowledged no sooner than the first."""

import gc
import weakref

from edgex_inference.pipeline.intake import Receipt
from edgex_inference.pipeline.repeats import Repeats


def receipt(name: str, told: list[str]) -> Receipt:
    return Receipt(lambda: told.append(name))


def test_a_repeat_is_acknowledged_with_the_first() -> None:
    told: list[str] = []
    repeats, first, second = Repeats(), receipt("first", told), receipt("second", told)
    assert not repeats.came_before("a", first)
    repeats.remember("a", first)
    assert repeats.came_before("a", second)
    second.release()
    assert told == []
    first.release()
    assert told == ["first", "second"]


def test_a_repeat_of_what_is_through_is_acknowledged_at_once() -> None:
    told: list[str] = []
    repeats, first, second = Repeats(), receipt("first", told), receipt("second", told)
    repeats.remember("a", first)
    first.release()
    assert repeats.came_before("a", second)
    second.release()
    assert told == ["first", "second"]


def test_what_could_not_leave_is_done_again() -> None:
    told: list[str] = []
    repeats, first, second = Repeats(), receipt("first", told), receipt("second", told)
    repeats.remember("a", first)
    first.fail()
    first.release()
    assert told == []
    assert not repeats.came_before("a", second)
    repeats.remember("a", second)
    second.release()
    assert told == ["second"]
    assert repeats.came_before("a", receipt("third", told))


def test_other_events_are_no_repeats_and_old_ones_are_forgotten() -> None:
    told: list[str] = []
    repeats = Repeats(most=2)
    for name in ("a", "b", "c"):
        assert not repeats.came_before(name, receipt(name, told))
        repeats.remember(name, receipt(name, told))
    assert not repeats.came_before("a", receipt("again", told))
    assert repeats.came_before("b", receipt("again", told))
    assert repeats.came_before("c", receipt("again", told))


def test_nothing_hangs_on_what_is_through_or_has_failed() -> None:
    """The acknowledgement holds the message, and with it a picture."""
    repeats = Repeats()
    through, failed = Picture(), Picture()
    kept = [weakref.ref(through), weakref.ref(failed)]
    first, second = Receipt(through.acknowledge), Receipt(failed.acknowledge)
    repeats.remember("a", first)
    repeats.remember("b", second)
    first.release()
    second.fail()
    del through, failed, first
    gc.collect()
    assert [one() for one in kept] == [None, None]
    assert repeats.came_before("a", Receipt(lambda: None))
    assert not repeats.came_before("b", Receipt(lambda: None))


class Picture:
    def acknowledge(self) -> None:
        """Nothing to do."""
