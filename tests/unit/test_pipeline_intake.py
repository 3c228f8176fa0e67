"""pipeline.intake: overload policies, fairness, order, bounds, receipts."""

import time
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgex_inference.contracts.bindings import Limits
from edgex_inference.contracts.events import Event
from edgex_inference.pipeline import intake
from edgex_inference.pipeline.intake import Intake, Item, Queueing, Receipt


def item(device: str = "p", number: int = 0, origin: int = 1, arrived: float = 0.0) -> Item:
    event = Event(api_version="v3", id="i", device_name=device, profile_name="x", origin=origin, readings=())
    return Item(event, str(number), arrived, Receipt(lambda: None))


def queue(*, latest: bool, length: int, max_age: float | None = None) -> Intake:
    return Intake(Queueing(latest=latest, length=length, max_age=max_age))


def names(taken: list[Item]) -> list[str]:
    return [one.event.device_name + one.correlation_id for one in taken]


@pytest.mark.parametrize(
    ("limits", "pixels", "latest", "length"),
    [
        (Limits(), False, False, 1000),
        (Limits(), True, True, 1),
        (Limits(overload="all"), True, False, 1000),
        (Limits(overload="latest"), False, True, 1),
        (Limits(overload="latest", queue=8), False, True, 8),
        (Limits(queue=8), True, True, 8),
    ],
)
def test_defaults(limits: Limits, pixels: bool, latest: bool, length: int) -> None:
    assert Queueing.of(limits, pixels=pixels) == Queueing(latest=latest, length=length, max_age=None)


def test_latest_lets_the_oldest_go() -> None:
    waiting = queue(latest=True, length=2)
    offered = [item(number=number) for number in range(5)]
    assert [waiting.offer(one) for one in offered] == [None, None, *offered[:3]]
    assert list(waiting.take(9)) == offered[3:]
    assert len(waiting) == 0


def test_all_refuses_the_newest() -> None:
    waiting = queue(latest=False, length=2)
    offered = [item(number=number) for number in range(5)]
    assert [waiting.offer(one) for one in offered] == [None, None, *offered[2:]]
    assert list(waiting.take(9)) == offered[:2]


def test_devices_do_not_share_a_bound() -> None:
    waiting = queue(latest=True, length=1)
    assert waiting.offer(item("p")) is None
    assert waiting.offer(item("q")) is None
    assert len(waiting) == 2


def test_devices_take_turns_over_several_takes() -> None:
    """Also when there are more devices than are taken at once, and the first of them never run dry."""
    waiting = queue(latest=False, length=9)
    for number in range(3):
        for device in "abc":
            waiting.offer(item(device, number))
    taken = [*names(list(waiting.take(2))), *names(list(waiting.take(2)))]
    assert taken == ["a0", "b0", "c0", "a1"]
    assert names(list(waiting.take(9))) == ["b1", "c1", "a2", "b2", "c2"]


def test_a_device_that_is_overtaken_keeps_its_turn() -> None:
    waiting = queue(latest=True, length=1)
    for device in "abc":
        waiting.offer(item(device, 0))
    waiting.offer(item("a", 1))
    assert names(list(waiting.take(1))) == ["a1"]


@pytest.mark.parametrize("latest", [True, False])
def test_a_flood_of_devices_is_bounded(latest: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_MOST", 4)
    waiting = queue(latest=latest, length=2)
    offered = [item(f"d{number}-") for number in range(10)]
    gone = [waiting.offer(one) for one in offered]
    assert len(waiting) == 4
    assert gone[4:] == (offered[:6] if latest else offered[4:])
    assert list(waiting.take(9)) == (offered[6:] if latest else offered[:4])


@given(
    st.booleans(),
    st.integers(1, 3),
    st.lists(st.one_of(st.sampled_from("abc"), st.integers(1, 4)), max_size=60),
)
def test_everything_is_taken_once_or_let_go_in_order(
    latest: bool, length: int, steps: list[str | int]
) -> None:
    waiting, taken, gone, offered = queue(latest=latest, length=length), [], [], []
    for number, step in enumerate(steps):
        if isinstance(step, int):
            taken += list(waiting.take(step))
            continue
        offered.append(item(step, number))
        if (lost := waiting.offer(offered[-1])) is not None:
            gone.append(lost)
        assert len(waiting) == len(offered) - len(taken) - len(gone) <= 3 * length
    taken += list(waiting.take(99))
    assert {id(one) for one in taken} | {id(one) for one in gone} == {id(one) for one in offered}
    assert len(taken) + len(gone) == len(offered)
    by_device = defaultdict(list)
    for one in taken:
        by_device[one.event.device_name].append(int(one.correlation_id))
    assert all(numbers == sorted(numbers) for numbers in by_device.values())


def test_what_is_stale() -> None:
    waiting = queue(latest=False, length=1, max_age=0.5)
    assert not waiting.is_stale(item(origin=1_000_000_000), 1_500_000_000)
    assert waiting.is_stale(item(origin=1_000_000_000), 1_500_000_001)
    now = time.monotonic()
    ahead = item(origin=3_000_000_000, arrived=now + 60)
    assert not waiting.is_stale(ahead, 1), "a clock that is ahead: its arrival counts"
    assert waiting.is_stale(item(origin=3_000_000_000, arrived=now - 0.6), 1)
    assert waiting.is_stale(item(origin=1)), "of the wall clock"
    assert not queue(latest=False, length=1).is_stale(item(origin=1), 2**62)


def test_a_receipt_acknowledges_once_when_the_last_holder_lets_go() -> None:
    told = []
    receipt = Receipt(lambda: told.append(1))
    receipt.hold()
    receipt.hold()
    receipt.release()
    receipt.release()
    assert told == []
    receipt.release()
    receipt.release()
    assert told == [1]


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_all_at_once_come_in_the_turns_that_one_after_the_other_would(devices: list[str]) -> None:
    whole, single = queue(latest=False, length=100), queue(latest=False, length=100)
    for number, device in enumerate(devices):
        for one in (whole, single):
            one.offer(item(device, number))
    apart = [taken.correlation_id for _ in devices for taken in single.take(1)]
    assert [taken.correlation_id for taken in whole.take(100)] == apart
    assert len(whole) == len(single) == 0
