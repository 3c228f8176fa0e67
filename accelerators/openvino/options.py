"""What a binding may say to OpenVINO, and the runtime's properties that follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Properties = dict[str, object]
MOST_PARALLEL = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`; `properties` go to OpenVINO as they are, under its own names, and win.

    Without a hint and without numbers a CPU runs one thread a run and as many runs at once as it has cores. Threads
    are not pinned: several models share the cores, and pinned ones would all sit on the first.
    """

    performance_hint: Literal["latency", "throughput", "cumulative"] | None = None
    streams: int | None = None
    threads: int | None = None
    requests: int | None = None
    pinning: bool = False
    hyper_threading: bool | None = None
    execution_mode: Literal["performance", "accuracy"] | None = None
    cache_mode: Literal["speed", "size"] = "speed"
    batch_timeout: int = 1
    plugins: str = ""
    properties: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("streams", "threads", "requests"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"must be 1 or more, not {number}")
        if self.batch_timeout < 0:
            raise ValueError(f"must be 0 or more milliseconds, not {self.batch_timeout}")

    @property
    def left_to_us(self) -> bool:
        """Whether nobody said how many runs go on at once."""
        said = {"NUM_STREAMS", "INFERENCE_NUM_THREADS", "PERFORMANCE_HINT"} & self.properties.keys()
        return self.performance_hint is None and self.streams is None and not said


_HINTS = {"latency": "LATENCY", "throughput": "THROUGHPUT", "cumulative": "CUMULATIVE_THROUGHPUT"}


def properties(options: Options, *, precision: str, cpu: Properties, batches: bool) -> Properties:
    """What `compile_model` is told: the precision, `cpu` where the device is one, and what the options say."""
    said: Properties = {**cpu}
    if precision != "native":
        said["INFERENCE_PRECISION_HINT"] = precision
    if options.performance_hint is not None:
        said["PERFORMANCE_HINT"] = _HINTS[options.performance_hint]
    if options.execution_mode is not None:
        said["EXECUTION_MODE_HINT"] = options.execution_mode.upper()
    if batches:
        said["AUTO_BATCH_TIMEOUT"] = str(options.batch_timeout)
    return {**said, **options.properties}


def on_cpu(options: Options, *, cores: int, threads: int | None, streams: int | None) -> Properties:
    """Streams and threads of a CPU; `streams` overrules what would be taken where nobody says anything."""
    said: Properties = {"ENABLE_CPU_PINNING": options.pinning}
    if options.hyper_threading is not None:
        said["ENABLE_HYPER_THREADING"] = options.hyper_threading
    each = options.threads or threads
    if options.left_to_us or options.streams is not None:
        each = each or 1
        side_by_side = options.streams or streams or max(1, min(MOST_PARALLEL, cores // each))
        said["NUM_STREAMS"] = side_by_side
        said["INFERENCE_NUM_THREADS"] = side_by_side * each
    elif each is not None and "INFERENCE_NUM_THREADS" not in options.properties:
        said["INFERENCE_NUM_THREADS"] = each
    return said
