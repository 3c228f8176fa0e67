"""What the pages need to know of the service."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from edgex_inference.contracts.events import Event
from edgex_inference.pipeline.door import Asked
from edgex_inference.telemetry.families import Points


class View(Protocol):
    """The service as the web sees it; every call is cheap, comes from the loop, and gives JSON-able values."""

    @property
    def service_key(self) -> str: ...

    @property
    def version(self) -> str:
        """This service's own version."""
        ...

    @property
    def sdk_version(self) -> str:
        """The EdgeX version that is spoken."""
        ...

    @property
    def major(self) -> str | None:
        """The major of the EdgeX that is spoken to; None while unknown."""
        ...

    def config(self) -> Mapping[str, Any]:
        """The configuration under EdgeX's keys; secrets are taken out by the page."""
        ...

    def bindings(self, device: str | None = None) -> Sequence[Mapping[str, Any]]:
        """All bindings, or those effective for one device; empty when nothing is known of the device."""
        ...

    def traffic(self) -> Mapping[str, Any]:
        """Bus messages by what became of them, and how long reading one took."""
        ...

    async def infer(self, event: Event, correlation_id: str, timeout: float) -> Asked:
        """What every binding makes of an event, within so many seconds."""
        ...

    async def store_secret(self, name: str, values: Mapping[str, str]) -> str:
        """Sets values of a secret at once; why they are gone at the next start, where a provider took none."""
        ...

    async def points(self) -> Points:
        """Every figure that is counted or timed."""
        ...

    def ready(self) -> tuple[bool, Sequence[str]]:
        """Whether events are served, and what is in the way or not as it should be."""
        ...
