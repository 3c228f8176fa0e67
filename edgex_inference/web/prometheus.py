"""The figures as Prometheus reads them: text format 0.0.4."""

import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite

from edgex_inference.telemetry.families import Family, Point, Points
from edgex_inference.telemetry.metrics import Spread

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_EVERY = 4
"""Of a histogram's fine buckets every fourth bound is told: steps of two, from 17 µs to 15 s."""

BUILD = Family(
    metric="",
    series="edgex_inference_build_info",
    kind="gauge",
    help="1 for the version that runs.",
    labels=("version",),
)
CPU = Family(
    metric="", series="process_cpu_seconds_total", kind="counter", help="Processor time of this process."
)
MEMORY = Family(
    metric="", series="process_resident_memory_bytes", kind="gauge", help="Memory of this process."
)
STARTED = Family(
    metric="", series="process_start_time_seconds", kind="gauge", help="When this process began, Unix time."
)
OF_THE_PROCESS = (BUILD, CPU, MEMORY, STARTED)

_TYPES = {"counter": "counter", "gauge": "gauge", "timer": "histogram"}
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_started = time.time()


def process(version: str) -> Points:
    """What the process itself uses."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return [
        Point(BUILD, 1, {"version": version}),
        Point(CPU, used.ru_utime + used.ru_stime),
        Point(MEMORY, _resident()),
        Point(STARTED, _started),
    ]


def render(points: Iterable[Point]) -> str:
    """The points family by family; those without a series are left out."""
    families: dict[str, list[Point]] = {}
    for point in points:
        if point.family.series:
            families.setdefault(point.family.series, []).append(point)
    lines: list[str] = []
    for name, found in families.items():
        family = found[0].family
        lines += (f"# HELP {name} {family.help}", f"# TYPE {name} {_TYPES[family.kind]}")
        for point in found:
            lines += _samples(name, point)
    return "\n".join((*lines, ""))


def _samples(name: str, point: Point) -> Iterator[str]:
    seen = point.value
    if not isinstance(seen, Spread):
        yield f"{name}{_labels(point.labels)} {_number(seen)}"
        return
    for bound, amount in seen.up_to(_EVERY):
        yield f"{name}_bucket{_labels(point.labels, le=f'{bound:.3g}')} {amount}"
    yield f"{name}_bucket{_labels(point.labels, le='+Inf')} {seen.count}"
    yield f"{name}_sum{_labels(point.labels)} {_number(seen.total)}"
    yield f"{name}_count{_labels(point.labels)} {seen.count}"


def _labels(labels: Mapping[str, str], **more: str) -> str:
    said = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in {**labels, **more}.items())
    return f"{{{said}}}" if said else ""


def _number(value: float) -> str:
    return repr(value) if isfinite(value) else "NaN"


def _resident() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
