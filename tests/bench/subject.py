"""One who is measured: its process, the events made for it, the client that feeds it."""

from collections.abc import Iterator
from typing import Any

from tests.bench.feeder import Feeder
from tests.bench.outside import Process

INTERVAL = 0.002


class Subject:
    """Notes what every round took: `costs` in µs of processor time for each event, `paces` in events/s."""

    def __init__(self, process: Process, feeder: Feeder, packets: Iterator[Any], window: int) -> None:
        self.feeder, self.packets = feeder, packets
        self._process, self._window = process, window
        self.costs: list[float] = []
        self.paces: list[float] = []
        self.lost = 0

    def saturate(self, amount: int, *, counts: bool = True) -> None:
        """As many events as possible at a time."""
        before = self._process.cpu
        came, seconds = self.feeder.saturate(self.packets, amount, window=self._window)
        if not came:
            raise RuntimeError("nothing came through")
        if counts:
            self.costs.append((self._process.cpu - before) / came * 1e6)
            self.paces.append(came / seconds)
            self.lost += amount - came

    def paced(self, amount: int) -> tuple[float, list[float]]:
        """500 events each second: µs of processor time for each, and seconds from event to result."""
        before = self._process.cpu
        took = self.feeder.paced(self.packets, amount, interval=INTERVAL)
        return (self._process.cpu - before) / amount * 1e6, took
