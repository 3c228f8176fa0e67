"""From a run's tensors to what is published: result, decision, readings, policy, status."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from edgex_inference.contracts.errors import EdgexInferenceError, InferenceError, TransportError
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.results import Result, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.pipeline import outputs
from edgex_inference.pipeline.emit import Sender
from edgex_inference.pipeline.intake import Item
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.plan import Plan
from edgex_inference.pipeline.policy import Outgoing
from edgex_inference.pipeline.state import DeviceState, Memory
from edgex_inference.postprocess import decide

log = logging.getLogger(__name__)

Publish = Callable[[Sequence[Message]], Awaitable[None]]

RUNNING, DEGRADED, INACTIVE = "running", "degraded", "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """The way out that all bindings share: the bus, the signature, the clocks (seconds, nanoseconds)."""

    publish: Publish
    sender: Sender
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], int] = time.time_ns


class Emission:
    """What one binding says about its devices; keeps each device's memory and timers."""

    def __init__(self, plan: Plan, outlet: Outlet, measures: Measures) -> None:
        self._plan = plan
        self._outlet = outlet
        self._measures = measures
        self._memory = Memory()
        self._repeats: set[asyncio.Task[None]] = set()

    def result(self, item: Item, sample: Sample, tensors: Tensors) -> Sequence[Message]:
        """The messages that this run's answer causes now; more may follow by timer."""
        started = self._outlet.clock()
        try:
            result = self._plan.interpret(tensors, sample)
        except InferenceError as error:
            return self.failed(item, error)
        state = self._memory.of(item.event.device_name)
        moment = self._moment(state, result, started - item.arrived)
        _, profile, device = self._outlet.sender.names(self._plan.binding, item.event.device_name)
        origin = sample.origin or item.event.origin
        readings, unfit = outputs.write(
            self._plan.columns, moment, device=device, profile=profile, origin=origin
        )
        self._measures.stages["postprocess"].add(self._outlet.clock() - started)
        if unfit:
            self._measures.events.add("unfit", len(unfit))
            messages = self.announce(
                item, DEGRADED, f"{', '.join(unfit)}: a number that does not fit its type"
            )
        else:
            messages = self.announce(item, RUNNING, self._plan.standing)
        outgoing = Outgoing(readings=readings, origin=origin, correlation_id=item.correlation_id)
        return [*messages, *self._offer(state, item.event.device_name, outgoing)]

    def failed(self, item: Item, error: EdgexInferenceError) -> Sequence[Message]:
        """Counts a failed run and announces the binding as degraded for this device."""
        self._measures.failed.add(error.kind if isinstance(error, InferenceError) else "failed")
        log.debug("%s: binding %s: %s", item.event.device_name, self._plan.binding.name, error)
        return self.announce(item, DEGRADED, str(error))

    def announce(self, item: Item, status: str, reason: str) -> Sequence[Message]:
        """The status event of a device, when its status is not the one announced last."""
        device, binding = item.event.device_name, self._plan.binding
        state = self._memory.of(device)
        if state.status == status:
            return ()
        first, state.status = state.status is None, status
        level = logging.WARNING if status == DEGRADED else logging.DEBUG if first else logging.INFO
        log.log(level, "%s: binding %s: %s: %s", device, binding.name, status, reason)
        return self._outlet.sender.status(binding, device, status, reason, origin=item.event.origin)

    async def publish(self, messages: Sequence[Message]) -> bool:
        """Hands messages to the bus; False when it was away (counted, said by the bus once)."""
        if not messages:
            return True
        started = self._outlet.clock()
        try:
            await self._outlet.publish(messages)
        except TransportError as error:
            self._measures.failed.add("bus", len(messages))
            log.debug("binding %s: not published: %s", self._plan.binding.name, error)
            return False
        self._measures.stages["publish"].add(self._outlet.clock() - started)
        return True

    def close(self) -> None:
        """Stops the timers of keepAlive and minInterval."""
        for task in self._repeats:
            task.cancel()
        self._memory.clear()

    def _moment(self, state: DeviceState, result: Result, latency: float) -> outputs.Moment:
        decision = None
        wanted = self._plan.decide
        if wanted is not None:
            state.decide, decision = decide.step(state.decide, decide.value_of(result, wanted), wanted)
        return outputs.Moment(
            result=result,
            state=decision,
            latency=latency,
            model=self._plan.card.name,
            accelerator=self._plan.accelerator,
            unknown_below=wanted.unknown_below if wanted is not None else None,
        )

    def _offer(self, state: DeviceState, device: str, outgoing: Outgoing) -> Sequence[Message]:
        due = None
        if outgoing.readings:
            state.publish, due = self._plan.policy.offer(state.publish, outgoing, self._outlet.clock())
            self._arm(state, device)
        if due is None:
            self._measures.events.add("suppressed")
            return ()
        return self._messages(device, due)

    def _messages(self, device: str, outgoing: Outgoing) -> Sequence[Message]:
        self._measures.events.add("published")
        return self._outlet.sender.result(
            self._plan.binding,
            device,
            outgoing.readings.values(),
            origin=outgoing.origin,
            correlation_id=outgoing.correlation_id,
            tags=self._plan.tags,
        )

    def _arm(self, state: DeviceState, device: str) -> None:
        if state.timer is not None:
            state.timer.cancel()
            state.timer = None
        due = self._plan.policy.due_at(state.publish)
        if due is not None:
            delay = max(0.0, due - self._outlet.clock())
            state.timer = asyncio.get_running_loop().call_later(delay, self._tick, state, device)

    def _tick(self, state: DeviceState, device: str) -> None:
        state.publish, due = self._plan.policy.tick(state.publish, self._outlet.clock())
        self._arm(state, device)
        if due is not None:
            task = asyncio.create_task(self._repeat(device, due), name=f"{self._plan.binding.name} due")
            self._repeats.add(task)
            task.add_done_callback(self._repeats.discard)

    async def _repeat(self, device: str, outgoing: Outgoing) -> None:
        await self.publish(self._messages(device, outgoing))
