"""Ports of the loopback interface for servers that start later.

A port that the system chose is given to others as soon as it is released: to another test's server, or to any
connection as its own end. These lie outside of what the system gives away, and each is kept for who asked.
"""

import os
import random
import socket
from collections import deque
from pathlib import Path

_GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST, _USUAL = 20_000, 32_768
_KEPT = 200
"""How many ports a process keeps: each costs it a descriptor."""

_random = random.SystemRandom()  # the tests' own numbers begin anew with each of them
_held: deque[int] = deque()


def free_port() -> int:
    """Nobody listens on it, and nobody else gets it from here while this process lives and asks for no 200 more."""
    while True:
        port = _random.randrange(_FIRST, max(_FIRST + 1000, _lowest_given_away()))
        if _held_for_us(port) and _unused(port):
            return port


def _lowest_given_away() -> int:
    try:
        return int(_GIVEN_AWAY.read_text().split()[0])
    except OSError:  # no Linux
        return _USUAL


def _held_for_us(port: int) -> bool:
    """False when a process of the tests has it. A name in the abstract space ends with its process."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0edgex-inference-test-port-{port}")
    except OSError:
        name.close()
        return False
    _held.append(name.detach())
    while len(_held) > _KEPT:
        os.close(_held.popleft())
    return True


def _unused(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
