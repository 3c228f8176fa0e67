"""Who feeds the measured service: no event twice, results told from statuses, messages taken whole from the wire."""

import base64
import importlib
import json
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _loaded(name: str) -> ModuleType:
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module(f"tests.bench.{name}")
    finally:
        sys.path.remove(str(ROOT))


feeder, fresh, material, wires = (_loaded(name) for name in ("feeder", "fresh", "material", "wires"))


def _event(message: bytes) -> Any:
    envelope = {key.lower(): value for key, value in json.loads(message).items()}
    payload = envelope["payload"]
    return (json.loads(base64.b64decode(payload)) if isinstance(payload, str) else payload)["event"]


@pytest.mark.parametrize("major", ["4", "3", "2"])
def test_no_event_goes_out_twice_with_its_id(major: str) -> None:
    made = [
        material.envelope(fresh.marked(material.sensor_event(number)), major=major) for number in range(2)
    ]
    events = [_event(message) for message in islice(fresh.Fresh(made), 6)]
    assert len({event["id"] for event in events}) == 6
    assert all(len(event["id"]) == 36 for event in events)
    assert [event["origin"] for event in events] == [event["origin"] for event in events[:2]] * 3


def test_a_packet_without_a_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="no marked event"):
        fresh.Fresh([material.envelope(material.sensor_event(0), major="4")])


@pytest.mark.parametrize("before", range(3))
def test_a_status_is_no_result_in_base64_either(before: int) -> None:
    text = b"{" + b" " * before + b'"resourceName":"InferenceStatus"}'
    assert not feeder.is_result(text)
    assert not feeder.is_result(b'{"payload":"' + base64.b64encode(text) + b'"}')
    assert feeder.is_result(base64.b64encode(text.replace(b"Status", b"Result")))


class Clock:
    """Time that passes only while somebody waits for it."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(feeder, "time", made)
    return made


class Answering(feeder.Feeder):  # type: ignore[misc, name-defined]
    """Has a result for each event a tenth of a millisecond later, but for those that it loses; `late` came before."""

    def __init__(self, clock: Clock, *, late: int = 0, lost: Sequence[int] = ()) -> None:
        self._clock, self._waiting, self._lost = clock, late, lost
        self._last = b""

    def packet(self, topic: str, payload: bytes) -> Any:
        return payload

    def _burst(self, packets: Sequence[Any]) -> None:
        for one in packets:
            self._waiting += one not in self._lost
            self._last = str(one).encode()

    def _count(self, seconds: float) -> int:
        found, self._waiting = self._waiting, 0
        self._clock.now += 1e-4 if found else seconds
        return int(found)

    def _answer(self) -> bytes:
        return bytes(self._last)


def test_what_came_too_late_counts_for_nothing_afterwards(clock: Clock) -> None:
    assert Answering(clock, late=7).saturate(iter(range(100)), 20, window=4)[0] == 20
    assert Answering(clock, late=7).answers(range(3)) == [b"0", b"1", b"2"]


def test_a_lost_event_took_for_ever(clock: Clock) -> None:
    took = Answering(clock, lost=(4,)).paced(iter(range(100)), 5, interval=0.001)
    assert took == [pytest.approx(1e-4)] * 4 + [float("inf")]


def test_saturating_ends_when_what_is_missing_does_not_come(clock: Clock) -> None:
    came, seconds = Answering(clock, lost=(19,)).saturate(iter(range(100)), 20, window=4)
    assert came == 19
    assert seconds < 0.01  # up to the last result


def test_an_answer_that_does_not_come_is_waited_for_so_long(clock: Clock) -> None:
    with pytest.raises(TimeoutError, match="event 2"):
        Answering(clock, lost=(1,)).answers(range(3))


def _taken(kind: str, data: bytes, cut: int) -> list[bytes]:
    """The payloads of what comes in two pieces."""
    pump = getattr(wires, kind).__new__(getattr(wires, kind))
    found: list[bytes] = []
    pump._rest = b""
    for piece in (data[:cut], data[cut:]):
        pump._rest += piece
        found += pump._payloads()
    assert pump._rest == b""
    return found


def test_messages_of_redis_are_taken_whole_wherever_they_are_cut() -> None:
    data = b"".join(
        wires._command(b"pmessage", b"edgex.*", b"edgex.a", payload) for payload in (b"one", b"", b"a\r\nb")
    )
    for cut in range(len(data) + 1):
        assert _taken("RedisPump", data, cut) == [b"one", b"", b"a\r\nb"]


def test_messages_of_nats_are_taken_whole_wherever_they_are_cut() -> None:
    data = b"MSG edgex.a 1 3\r\none\r\n+OK\r\nHMSG edgex.a 1 _INBOX.x 12 15\r\nNATS/1.0\r\n\r\ntwo\r\n"
    for cut in range(len(data) + 1):
        assert _taken("NatsPump", data, cut) == [b"one", b"two"]


def test_nats_says_when_it_refuses_something() -> None:
    with pytest.raises(ConnectionError, match="Permissions"):
        _taken("NatsPump", b"-ERR 'Permissions Violation'\r\n", 3)
