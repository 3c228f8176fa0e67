"""Memory at rest and the time until ready, of the service as a process with one ONNX model."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tests.bench.effort import Effort
from tests.bench.material import auto_encoder, sensor_profile
from tests.bench.outside import service
from tests.bench.rows import Goal, Row

IDLE = 3.0
"""Seconds after which a service that has started is at rest."""


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """Several starts; the median of their times, the most of their memory."""
    auto_encoder(folder / "models")
    sensor_profile(folder / "profiles", "m")
    starts, sizes, spent = [], [], []
    for _ in range(effort.of(5, 1)):
        with service(folder, MESSAGEBUS_TYPE="memory") as (process, seconds):
            starts.append(seconds)
            time.sleep(effort.of(1, 0) * IDLE)
            before = process.cpu
            time.sleep(effort.of(1, 0) * IDLE)
            spent.append((process.cpu - before) / IDLE * 100)
            sizes.append(process.resident)
    return [
        Row(name="resident memory at rest, one ONNX model", value=max(sizes), unit="MB", goal=Goal(most=150)),
        Row(name="from the start of the process to ready", value=median(starts), unit="s", goal=Goal(most=2)),
        Row(name="processor time at rest", value=median(spent), unit="%"),
    ]
