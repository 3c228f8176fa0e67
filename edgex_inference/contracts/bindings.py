"""A binding as typed values: which readings, which model, which accelerator, which readings out.

Times are in seconds. None is: not said, so the model card or the default decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Normalize, Postprocess, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class InputReading:
    """One resource that feeds the model; `pointer` is a JSON pointer into an Object ("" is the whole value)."""

    resource: str
    pointer: str = ""
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a device profile declares of one resource; `media_type` may carry `; dtype=…; shape=…` parameters."""

    name: str
    value_type: str
    media_type: str = ""
    units: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """The model that a binding names."""

    name: str
    version: str | None = None
    task: Task | None = None
    labels: tuple[str, ...] | str | None = None
    """the labels themselves, or the name of a set or file"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorChoice:
    """One candidate of the `accelerator` list; `name` may be `auto`.

    `batch` is how many samples a run may have together. `isolation` process has the session in a worker process of its
    own; None is what the plug-in says.
    """

    name: str
    device: str | None = None
    precision: str | None = None
    threads: int | None = None
    batch: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    isolation: Literal["none", "process"] | None = None

    def __str__(self) -> str:
        return f"{self.name}:{self.device}" if self.device else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """Hysteresis over one value; None is the default of the task or the card."""

    value: str | None = None
    raise_at: float | None = None
    clear_below: float | None = None
    raise_after: int = 1
    clear_after: int = 1
    unknown_below: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """When and under which name results go out."""

    when: Literal["always", "change", "interval"] = "always"
    min_interval: float = 0.0
    keep_alive: float | None = None
    as_: Literal["source", "device"] = "source"
    topic_prefix: str | None = None
    rules: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A reading on the bus that makes a binding fetch; `device` None is the device itself, `delay` in seconds."""

    resource: str
    device: str | None = None
    edge: Literal["rising", "falling", "change", "any"] = "rising"
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Readings that are fetched and not waited for: every `interval` seconds, or at a trigger where it is None.

    `command` is the device command or resource that is read, None each resource of the binding; `query` goes to the
    device service as it is.
    """

    interval: float | None = None
    command: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Overload policy; None is the default of the input's kind (pictures latest/1, the rest all/1000)."""

    overload: Literal["latest", "all"] | None = None
    queue: int | None = None
    max_age: float | None = None
    max_delay: float = 0.0
    timeout: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One reading that is published: `value` as in the table of output values, `type` None is its default."""

    name: str
    value: str
    type: ValueType | None = None
    units: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One inference block, effective for a profile (or, with overrides, for one device).

    `resource` is where the block sits: the only input when `inputs` is empty. `origins` says for each dotted key
    where its value came from (`profile`, `side-car FILE`, `device`, `writable`). `unsupported` lists valid keys that
    are not built yet: such a binding stays inactive and says so.
    """

    profile: str
    resource: str
    name: str
    model: ModelChoice | None
    outputs: tuple[Output, ...]
    enabled: bool = True
    inputs: tuple[InputReading, ...] = ()
    poll: Poll | None = None
    trigger: Trigger | None = None
    roi: tuple[float, float, float, float] | None = None
    normalize: Normalize | None = None
    accelerator: tuple[AcceleratorChoice, ...] = (AcceleratorChoice(name="auto"),)
    fallback: Literal["never", "warn", "allow"] = "warn"
    postprocess: Postprocess = Postprocess()
    decide: Decide | None = None
    publish: Publish = Publish()
    limits: Limits = Limits()
    origins: Mapping[str, str] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()

    @property
    def readings(self) -> tuple[InputReading, ...]:
        """The readings that feed the model, in order."""
        return self.inputs or (InputReading(resource=self.resource),)
