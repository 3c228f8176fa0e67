"""Ports of servers that start later: nobody else gets them."""

import random
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import ports

ROOT = Path(__file__).parents[2]
GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Wishes(random.Random):
    """Takes the numbers that it is given."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__()
        self._numbers = iter(numbers)

    def randrange(self, *_: int) -> int:
        return next(self._numbers)


ONLY = """
import sys
from tests import ports
ports._random.randrange = lambda low, high, wishes=iter([int(word) for word in sys.argv[1:]]): next(wishes)
print(ports.free_port())
"""


def test_a_port_is_kept_while_its_process_lives() -> None:
    mine, other = ports.free_port(), ports.free_port()
    done = subprocess.run(
        [sys.executable, "-c", ONLY, str(mine), str(other), "20000", "20001", "20002", "20003"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=250,
    )  # fmt: skip
    assert int(done.stdout) not in {mine, other}


def test_a_port_on_which_somebody_listens_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes = iter(range(31_000, 32_000))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_held_for_us", lambda _: True)
        monkeypatch.setattr(ports, "_random", Wishes([port, *wishes]))
        assert ports.free_port() != port


def test_the_system_gives_none_of_them_away() -> None:
    lowest = int(GIVEN_AWAY.read_text().split()[0])
    assert all(20_000 <= ports.free_port() < max(21_000, lowest) for _ in range(50))


def test_old_ones_are_let_go() -> None:
    first = ports.free_port()
    for _ in range(ports._KEPT):
        ports.free_port()
    assert len(ports._held) == ports._KEPT
    assert ports._held_for_us(first), "nobody has it any more"
