"""The sensor path on the memory bus: processor time for each event, against the straightforward script."""

import os
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median

from edgex_inference.cli.run import run_loop
from edgex_inference.contracts.messages import Message
from tests.bench.effort import Effort
from tests.bench.inside import Inside, running
from tests.bench.material import RING, auto_encoder, sensor_messages, sensor_profile
from tests.bench.rows import Goal, Row, ratio

GOAL = Goal(least=4)


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """Ours and the script's by turns, on the same messages."""
    handle = script(auto_encoder(folder / "models"))
    sensor_profile(folder / "profiles", "m")
    found: list[Row] = []
    for major in ("4", "3"):
        messages = list(sensor_messages(RING, major=major))
        run_loop(_measured(effort, folder, messages, handle, major, found))
    return found


def script(model: Path) -> Callable[[bytes], bytes]:
    """The straightforward script's own function, its model loaded."""
    os.environ["STRAIGHTFORWARD_MODEL"] = os.fspath(model)
    handle: Callable[[bytes], bytes] = import_module("tests.bench.straightforward").handle
    del os.environ["STRAIGHTFORWARD_MODEL"]  # the script as a process of its own is told otherwise
    return handle


async def _measured(
    effort: Effort,
    folder: Path,
    messages: Sequence[Message],
    handle: Callable[[bytes], bytes],
    major: str,
    found: list[Row],
) -> None:
    amount = effort.of(8000, 500)
    payloads = [message.payload for message in messages]
    async with running(folder, messages, major=major) as inside:
        await inside.cost(amount)
        by_hand(handle, payloads, amount // 4)
        ours, theirs = await _by_turns(effort.of(7, 3), inside, handle, payloads, amount)
    name = f"sensor path, EdgeX {major}, memory bus"
    found += [
        Row(name=f"{name}: the script's processor time ÷ ours", value=ratio(theirs, ours), goal=GOAL),
        Row(name=f"{name}: ours", value=median(ours), unit="µs"),
        Row(name=f"{name}: the script", value=median(theirs), unit="µs"),
    ]  # fmt: skip


async def _by_turns(
    rounds: int, inside: Inside, handle: Callable[[bytes], bytes], payloads: Sequence[bytes], amount: int
) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        theirs.append(by_hand(handle, payloads, amount // 4))
        ours.append(await inside.cost(amount))
        theirs[-1] = (theirs[-1] + by_hand(handle, payloads, amount // 4)) / 2
    return ours, theirs


def by_hand(handle: Callable[[bytes], bytes], payloads: Sequence[bytes], amount: int) -> float:
    """Processor time of the script for each event, in µs: without any bus."""
    began = time.process_time()
    for number in range(amount):
        handle(payloads[number % len(payloads)])
    return (time.process_time() - began) / amount * 1e6
