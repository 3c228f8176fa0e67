"""The error tree, sorted by the reaction that each branch calls for.

EdgexInferenceError
├── SetupError       a person must change something: refuse to start, or leave that binding inactive
│   ├── ConfigurationError · ProfileError · AcceleratorUnavailable · ModelNotFound · ModelRejected
├── MessageError     the same input fails again: drop it and count it under `reason`
│   ├── EnvelopeError · DecodeError · SignatureMismatch
├── InferenceError   this run failed: fail the item, others go on
│   ├── Overloaded · DeadlineExceeded · DeviceLost · InferenceFailed · SourceUnavailable
└── TransportError   the outside is away: retry with back-off
    ├── BusUnavailable · MetadataUnavailable · RegistryUnavailable · NotificationsUnavailable
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

Steps = tuple[str | int, ...]
"""The way to a value in something that a person wrote: keys and indexes."""


class EdgexInferenceError(Exception):
    """Everything this service raises on purpose; the text is fit for a user's eyes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in something a person wrote; `line` and `column` count from 1, 0 is unknown."""

    file: str
    path: str
    message: str
    line: int = 0
    column: int = 0
    source: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: "
        return place + (f"{self.path}: " if self.path else "") + self.message


class SetupError(EdgexInferenceError):
    """A person must change something before this can work."""

    @property
    def brief(self) -> str:
        """The text in one line, for a log and for a reading."""
        return " ".join(str(self).split())


class _Problems(SetupError):
    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def brief(self) -> str:
        """The first problem, and how many more there are."""
        first = next((one for one in self.problems if one.severity == "error"), None) or self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return " ".join(str(first).split()) + more


class ConfigurationError(_Problems):
    """The configuration has mistakes; all of them are in `problems`."""


class ProfileError(_Problems):
    """Profiles, side-cars, devices files or model cards have mistakes; all are in `problems`."""


class AcceleratorUnavailable(SetupError):
    """The named accelerator or inference device cannot be used on this machine; `late`: it did not load in time."""

    def __init__(self, accelerator: str, reason: str, *, late: bool = False) -> None:
        self.accelerator, self.reason, self.late = accelerator, reason, late
        super().__init__(f"accelerator {accelerator!r}: {reason}")


class ModelNotFound(SetupError):
    """No folder of the model store holds this model or version."""

    def __init__(self, model: str, reason: str, *, version: str | None = None) -> None:
        """`version` is the one that is missing where others are there."""
        self.model, self.reason, self.version = model, reason, version
        super().__init__(f"model {model!r}: {reason}")


class ModelRejected(SetupError):
    """The model is there but cannot be used as asked: broken, foreign, unfit, or it answers wrongly.

    `card` and `block` are the steps to the key of the model card and of the inference block that can mend it; where
    both can, the block's counts when it was written.
    """

    def __init__(self, model: str | Path, reason: str, *, card: Steps = (), block: Steps = ()) -> None:
        self.model, self.reason, self.card, self.block = str(model), reason, card, block
        key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in card or block)
        super().__init__(f"model {self.model!r}: {key.lstrip('.')}{': ' if key else ''}{reason}")


class MessageError(EdgexInferenceError):
    """This input can never be processed; `reason` is a short word that drops are counted under."""

    reason: str = "message"


class EnvelopeError(MessageError):
    """The bytes are no EdgeX envelope, or its payload is no event."""

    def __init__(self, topic: str, detail: str, *, reason: str = "envelope") -> None:
        self.topic, self.detail, self.reason = topic, detail, reason
        super().__init__(f"{topic or 'message'}: {detail}")


class DecodeError(MessageError):
    """A reading cannot become a tensor; names the device, the resource and why."""

    def __init__(self, device: str, resource: str, detail: str, *, reason: str = "decode") -> None:
        self.device, self.resource, self.detail, self.reason = device, resource, detail, reason
        super().__init__(f"{device}: resource {resource}: {detail}")


class SignatureMismatch(MessageError):
    """Tensors that do not fit the session's specs."""

    def __init__(self, model: str, detail: str) -> None:
        self.model, self.detail, self.reason = model, detail, "signature"
        super().__init__(f"model {model!r}: {detail}")


class InferenceError(EdgexInferenceError):
    """One run failed; other items go on. `kind` is what failures are counted under."""

    kind: ClassVar[str] = "inference"


class Overloaded(InferenceError):
    """The queue is full, or the item was overtaken by a newer one."""

    kind = "overloaded"


class DeadlineExceeded(InferenceError):
    """The run did not come back in time; its session is abandoned."""

    kind = "deadline"


class RunHung(DeadlineExceeded):
    """The run had begun: what was in it may be to blame."""


class DeviceLost(InferenceError):
    """The inference device is gone or in a state from which only reopening helps."""

    kind = "deviceLost"


class WorkerDied(DeviceLost):
    """The process in which the session lived has ended; what was in its runs may be to blame, or not."""


class InferenceFailed(InferenceError):
    """The backend refused or failed this run; the session is still good."""

    kind = "failed"


class SourceUnavailable(InferenceError):
    """What a binding polls could not be fetched this time."""

    kind = "source"


class TransportError(EdgexInferenceError):
    """Something outside is away; the same call may work later."""


class BusUnavailable(TransportError):
    """The message bus cannot be reached."""


class MetadataUnavailable(TransportError):
    """core-metadata cannot be reached."""


class RegistryUnavailable(TransportError):
    """The registry or configuration provider cannot be reached."""


class NotificationsUnavailable(TransportError):
    """support-notifications cannot be reached."""
