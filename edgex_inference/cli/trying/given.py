"""What a person hands to `try`, as events; and the one error for what cannot be read."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgex_inference.contracts.bindings import Binding, Resource
from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.edgex.ids import new_id

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
TABLES = frozenset({".csv", ".tsv"})
VIDEOS = frozenset({".mp4", ".m4v", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".mjpeg", ".ts"})


class InputError(SetupError):
    """An input that cannot be read; the text names the file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One event to answer; `name` is what a person calls it: a file, `file.csv:3`, `clip.mp4#60`."""

    name: str
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the binding needs: the readings by resource, and the device that made-up events come from.

    `forced` says that a person named the device: captured events are taken as if they came from it.
    """

    binding: Binding
    resources: frozenset[str]
    declared: Mapping[str, Resource]
    device: str
    forced: bool = False

    def event(self, source: str, readings: tuple[Reading, ...], origin: int, device: str = "") -> Event:
        """An event such as a device of this profile sends it."""
        return Event(
            api_version="v3",
            id=new_id(),
            device_name=device or self.device,
            profile_name=self.binding.profile,
            source_name=source,
            origin=origin,
            readings=readings,
        )

    def kind(self, resource: str) -> str:
        """The declared value type of a resource; empty where no profile says it."""
        declared = self.declared.get(resource)
        return declared.value_type if declared is not None else ""

    def picture(self, file: str) -> str:
        """The one resource that takes a picture; raises InputError when the binding needs something else."""
        takes = [name for name in sorted(self.resources) if self.kind(name) in ("", ValueType.BINARY)]
        if len(takes) == 1 and len(self.resources) == 1:
            return takes[0]
        needs = ", ".join(f"{name} ({self.kind(name) or 'unknown type'})" for name in sorted(self.resources))
        raise InputError(
            f"{file}: binding {self.binding.name} does not live on one picture, it needs {needs}: "
            "give a CSV with these columns, or a captured event"
        )
