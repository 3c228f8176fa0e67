"""What is wanted of a run, and what it has: values only."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from edgex_inference.bindings.book import Book
from edgex_inference.contracts.bindings import Binding, Resource
from edgex_inference.engine.catalog import AUTO
from edgex_inference.pipeline.emission import Outlet
from edgex_inference.pipeline.intake import Intake, Queueing
from edgex_inference.pipeline.journey import Journey
from edgex_inference.pipeline.planning.plan import Engine, Plan, release


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """What every run needs: where plans come from, the way out, the threads for pictures."""

    engine: Engine
    outlet: Outlet
    pixels: Executor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """What is wanted of a run: a binding of a book, why it cannot be used as written, or that it is to go."""

    binding: Binding
    book: Book
    inactive: str = ""
    gone: bool = False

    def same(self, other: "Order") -> bool:
        """Whether another order comes to the same plan; where a setting was written does not matter."""
        plain, theirs = (replace(one.binding, origins={}) for one in (self, other))
        return (
            (plain, self.inactive, self.gone) == (theirs, other.inactive, other.gone)
            and self.resources == other.resources
        )  # fmt: skip

    @property
    def models(self) -> frozenset[str]:
        """The name of the model that it takes, if it names one."""
        model = self.binding.model
        return frozenset() if model is None else frozenset({model.name})

    @property
    def resources(self) -> Mapping[str, Resource]:
        return self.book.resources(self.binding.profile)

    def intake(self) -> Intake:
        """Where events wait while the first model is loaded."""
        wanted = [reading.resource for reading in self.binding.readings]
        kinds = {self.resources[name].value_type.lower() for name in wanted if name in self.resources}
        return Intake(Queueing.of(self.binding.limits, pixels="binary" in kinds))


def has_others(binding: Binding) -> bool:
    """Whether there is anybody else to ask when a device is lost."""
    choices = binding.accelerator
    several = len(choices) > 1 or any(choice.name == AUTO for choice in choices)
    return several and binding.fallback != "never"


@dataclass(slots=True, eq=False)
class Course:
    """A journey under way."""

    journey: Journey
    work: "asyncio.Task[None]" = field(repr=False)

    @property
    def plan(self) -> Plan:
        return self.journey.plan

    async def gone(self, engine: Engine) -> None:
        """The end of one that another has taken over: its last bursts land, its sessions are given back."""
        try:
            await self.journey.landed()
        finally:
            self.work.cancel()
            await release(self.plan, engine)
