"""The service as its pages show it and as its doors reach it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from edgex_inference.config.decode import wire
from edgex_inference.config.load import Loaded
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.events import Event
from edgex_inference.pipeline import door, page
from edgex_inference.pipeline.alerting.lookout import Lookout
from edgex_inference.pipeline.emission import DEGRADED, RUNNING
from edgex_inference.pipeline.measuring import figures
from edgex_inference.pipeline.measuring.ledger import Ledger
from edgex_inference.pipeline.outbox import Outbox
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.router import Router
from edgex_inference.telemetry.families import Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What is asked anew each time is a callable: it may be replaced while the service runs.

    `lost` counts unpublished metrics, `secret` takes values of a secret up, `compiling` says what is compiled.
    """

    bus: Bus
    outbox: Outbox | None
    router: Router
    ledger: Ledger
    lookout: Lookout
    loaded: Callable[[], Loaded]
    sender: Callable[[], Sender]
    lost: Callable[[], int]
    secret: Callable[[str, Mapping[str, str]], Awaitable[str]]
    compiling: Callable[[], Sequence[str]] = tuple

    @property
    def service_key(self) -> str:
        return self.loaded().service_key

    @property
    def version(self) -> str:
        return version("edgex-inference")

    @property
    def sdk_version(self) -> str:
        return self.major or "unknown"

    @property
    def major(self) -> str | None:
        return self.sender().dialect.major

    def config(self) -> Mapping[str, Any]:
        return wire(self.loaded().config)

    def bindings(self, device: str | None = None) -> Sequence[Mapping[str, Any]]:
        return page.rows(self.router.runs if device is None else self.router.runs_heard(device))

    def traffic(self) -> Mapping[str, Any]:
        return page.traffic(self.router.traffic, self.outbox, self.lookout)

    async def infer(self, event: Event, correlation_id: str, timeout: float) -> door.Asked:
        return await door.ask(self.router, event, correlation_id, timeout=timeout)

    async def store_secret(self, name: str, values: Mapping[str, str]) -> str:
        return await self.secret(name, values)

    async def points(self) -> Points:
        standing = figures.Standing(
            connected=self.bus.connected,
            ready=self.ready()[0],
            lost=self.lost(),
            lookout=self.lookout,
            outbox=self.outbox,
        )
        return await figures.points(self.ledger, self.router.traffic, standing)

    def ready(self) -> tuple[bool, Sequence[str]]:
        away = [] if self.bus.connected else ["the message bus is away"]
        runs = [run for run in self.router.runs if run.binding.enabled and run.status != RUNNING]
        reasons = [
            f"{run.binding.profile}: binding {run.binding.name} is {run.status}: {run.reason}" for run in runs
        ]
        served = all(run.status == DEGRADED for run in runs)
        told = [*self.lookout.told, *self.compiling()]
        if self.outbox is not None and self.outbox.waiting:
            told.append(f"{self.outbox.waiting} messages wait on disk for the message bus")
        return not away and served, [*away, *told, *reasons]
