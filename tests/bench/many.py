"""What an event costs with 1, 100 and 1000 bindings × devices, sent in turn over all of them."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from edgex_inference.cli.run import run_loop
from tests.bench.effort import Effort
from tests.bench.inside import running
from tests.bench.material import RING, auto_encoder, sensor_messages, sensor_profile
from tests.bench.rows import Goal, Row, ratio

SIZES = ((1, 1), (10, 10), (10, 100))
"""bindings, devices of each"""
WINDOW, BURST = 768, 192
"""Events under way and sent at once: enough that each of ten bindings has some of them."""

GOAL = Goal(least=0.8, most=1.2)


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """Three services by turns, fed alike."""
    found: list[Row] = []
    run_loop(_measured(effort, folder, found))
    return found


async def _measured(effort: Effort, folder: Path, found: list[Row]) -> None:
    amount = effort.of(6000, 1200)
    costs: list[list[float]] = [[] for _ in SIZES]
    async with AsyncExitStack() as stack:
        services = []
        for bindings, devices in SIZES:
            place = folder / f"{bindings}x{devices}"
            auto_encoder(place / "models")
            profiles = tuple(f"m{number}" for number in range(bindings))
            for profile in profiles:
                sensor_profile(place / "profiles", profile)
            names = tuple(f"d{number}" for number in range(devices))
            messages = list(sensor_messages(RING, profiles=profiles, devices=names))
            services.append(await stack.enter_async_context(running(place, messages)))
        for service in services:
            await service.cost(amount, window=WINDOW, burst=BURST)
        for _ in range(effort.of(7, 1)):
            for number, service in enumerate(services):
                costs[number].append(await service.cost(amount, window=WINDOW, burst=BURST))
    one, *more = costs
    found.append(
        Row(name="processor time for each event, 1 binding × 1 device", value=median(one), unit="µs")
    )
    for (bindings, devices), cost in zip(SIZES[1:], more, strict=True):
        name = f"processor time for each event, {bindings} bindings × {devices} devices ÷ 1 × 1"
        found.append(Row(name=name, value=ratio(cost, one), goal=GOAL))
