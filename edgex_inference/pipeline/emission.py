"""From a run's tensors to what is published: result, decision, readings, policy, status."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from edgex_inference.contracts.bus import Refusal
from edgex_inference.contracts.errors import (
    EdgexInferenceError,
    InferenceError,
    MessageError,
    TransportError,
)
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.results import Result
from edgex_inference.pipeline.intake import Item
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.planning.plan import Plan
from edgex_inference.pipeline.press import Press
from edgex_inference.pipeline.publishing import outputs
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.publishing.policy import Outgoing, PublishState
from edgex_inference.pipeline.reply import Outcome, Reply
from edgex_inference.pipeline.state import DeviceState, Memory
from edgex_inference.postprocess import decide

log = logging.getLogger(__name__)

Publish = Callable[[Sequence[Message]], Awaitable[None]]
PublishAll = Callable[[Sequence[Message]], Awaitable[Sequence[Refusal]]]

RUNNING, DEGRADED, INACTIVE = "running", "degraded", "inactive"

_ALOUD = 60.0
"""Seconds for which a device's trouble, once said at WARN, is not said again however often it comes and goes."""

_MOST_ALOUD = 10
"""Devices in trouble at once that are named at WARN: a lost accelerator has all of them in trouble."""

_LATEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """The way out that all bindings share: the bus (`at_once` as of its bursts), the signature, the clocks (s, ns)."""

    publish: Publish
    sender: Sender
    publish_all: PublishAll | None = None
    at_once: bool = False
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], int] = time.time_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the binding as a whole is: what each device is told as long as its own items go well."""

    status: str = RUNNING
    reason: str


class Parcel(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """What one item causes at once: a status event where the status changed, a result where one is due."""

    state: DeviceState
    status: Sequence[Message] = ()
    result: Sequence[Message] = ()
    reply: Reply | None = None


class Emission:
    """What one binding says about its devices; keeps each device's memory and timers."""

    def __init__(self, plan: Plan, outlet: Outlet, measures: Measures) -> None:
        self.standing = Standing(reason=plan.standing)
        self._plan = plan
        self._outlet = outlet
        self._measures = measures
        self._memory = Memory()
        self._press = Press.of(plan, outlet.sender)
        self._repeats: dict[asyncio.Task[None], bool] = {}  # by timer; whether it had been held back

    @property
    def trouble(self) -> str:
        """Why the binding is degraded for one of its devices; empty when all is well."""
        device = next(iter(self._memory.degraded), None)
        return "" if device is None else f"{device}: {self._memory.degraded[device]}"

    @property
    def devices(self) -> Sequence[str]:
        """The devices that it remembers."""
        return tuple(name for name, _ in self._memory.items())

    @property
    def leaving(self) -> Sequence[asyncio.Task[None]]:
        """What a timer brought, on its way out."""
        return tuple(self._repeats)

    def result(self, item: Item, origin: int, result: Result, *, spent: float = 0.0) -> Parcel:
        """What a result causes now; more may follow by timer.

        `origin` is the capture time of its inputs in ns, `spent` the seconds that reading the answer took.
        """
        started = self._outlet.clock()
        device = item.event.device_name
        state = self._memory.of(device, item.arrived)
        moment = self._moment(state, result, started - item.arrived)
        _, profile, name = self._outlet.sender.names(self._plan.binding, device)
        origin = origin if 0 < origin <= _LATEST else item.event.origin
        readings, unfit = outputs.write(
            self._plan.columns, moment, device=name, profile=profile, origin=origin
        )
        self._measures.stages["postprocess"].add(self._outlet.clock() - started + spent)
        if unfit:
            self._measures.events.add("unfit", len(unfit))
            status = self._announce(
                state, item, DEGRADED, f"{', '.join(unfit)}: a value that is missing or does not fit its type"
            )
        else:
            status = self._announce(state, item, self.standing.status, self.standing.reason, lasting=True)
        outgoing = Outgoing(readings=readings, origin=origin, correlation_id=item.correlation_id)
        due = self._offer(state, device, outgoing)
        if due is None and item.reply is None:
            return Parcel(state=state, status=status)
        event = self._event(device, outgoing) if readings else None
        if item.reply is not None:
            item.tell(Outcome(fate="result", event=event))
        messages: Sequence[Message] = ()
        if due is not None and event is not None:
            messages = self._messages(device, event, item.correlation_id)
        return Parcel(state=state, status=status, result=messages, reply=item.reply)

    def printed(
        self, items: Sequence[Item], origins: Sequence[int], results: Sequence[Result], *, spent: float
    ) -> Sequence[Parcel] | None:
        """As `result` for a whole burst; None, and nothing has happened, where one of them is no plain case.

        That is: a device's status is to be announced, somebody waits for a reply, an output has no value.
        """
        states = self._settled(items) if self._press is not None else None
        if self._press is None or states is None:
            return None
        started = self._outlet.clock()
        latencies = [started - item.arrived for item in items]
        origins = [
            origin if 0 < origin <= _LATEST else item.event.origin
            for item, origin in zip(items, origins, strict=True)
        ]
        messages = self._press.print(items, states, results, origins, latencies)
        if messages is None:
            return None
        now = self._outlet.clock()
        self._measures.stages["postprocess"].repeat((now - started) / len(items) + spent, len(items))
        self._measures.stages["total"].add_all([now - item.arrived for item in items])
        return [Parcel(state=state, result=result) for state, result in zip(states, messages, strict=True)]

    def _settled(self, items: Sequence[Item]) -> Sequence[DeviceState] | None:
        """The states of the items' devices, where nothing but the results is to be said about them."""
        standing, memory, found = self.standing, self._memory, []
        device = state = None
        for item in items:
            if item.event.device_name != device or state is None:
                device = item.event.device_name
                state = memory.of(device, item.arrived)
                if (
                    state.stray
                    or state.status != standing.status
                    or state.lasting != standing.reason
                    or state.timer is not None
                    or state.publish.pending is not None
                ):
                    return None
                if state.publish.last is not None:  # nobody compares with it as long as all is published
                    state.publish = PublishState()
            if item.reply is not None:
                return None
            found.append(state)
        return found

    def failed(self, item: Item, error: EdgexInferenceError) -> Parcel:
        """Counts a failed run and announces the binding as degraded for this device."""
        kind = error.kind if isinstance(error, InferenceError) else "failed"
        self._measures.failed.add(kind)
        item.tell(Outcome(fate="failed", reason=kind, message=str(error)))
        device = item.event.device_name
        log.debug("%s: binding %s: %s", device, self._plan.binding.name, error)
        state = self._memory.of(device, item.arrived)
        status = self._announce(state, item, DEGRADED, str(error))
        if state.timer is None:
            self._arm(state, device)
        return Parcel(state=state, status=status)

    async def send(self, parcel: Parcel) -> bool:
        """Publishes it; False when a result must not count as out because the bus is away.

        The bus says itself, once, that it is away. The device's status is announced again with its next item then,
        and its next result is a change whatever it says.
        """
        if parcel.status and await self._hand_over(parcel.status) is not None:
            parcel.state.status = None
        if not parcel.result:
            return True
        started = self._outlet.clock()
        try:
            await self._outlet.publish(parcel.result)
        except (TransportError, MessageError) as error:
            log.debug("binding %s: not published: %s", self._plan.binding.name, error)
            return self.missed(parcel.state, error)
        self._measures.stages["publish"].add(self._outlet.clock() - started)
        self._measures.events.add("published")
        if parcel.reply is not None:
            parcel.reply.sent()
        return True

    def take_over(self, before: "Emission") -> None:
        """Goes on where another plan of the same binding stopped: with its devices' states and timers."""
        self._memory, before._memory = before._memory, self._memory
        was, now = before._plan, self._plan
        renamed = (was.columns, was.binding.publish.as_) != (now.columns, now.binding.publish.as_)
        for device, state in self._memory.items():
            if renamed:  # what was said last would be repeated under names that are no more
                self._measures.events.add("suppressed", state.publish.pending is not None)
                state.publish = PublishState()
            if (was.decide and was.decide.value) != (now.decide and now.decide.value):
                state.decide = decide.DecideState()
            self._arm(state, device)

    def forget(self, device: str) -> None:
        """Nothing is remembered of a device any more; a result that was held back counts as suppressed.

        What is still under way for it is published, once, and tells nobody that all is well.
        """
        state = self._memory.depart(device, self._outlet.clock())
        if state is not None and state.publish.pending is not None:
            self._measures.events.add("suppressed")

    def close(self) -> None:
        """Stops the timers of keepAlive and minInterval; a result that they held, or let out, counts as suppressed."""
        for task, held in self._repeats.items():
            self._measures.events.add("suppressed", task.cancel() and held)
        for state in self._memory.states():
            if state.publish.pending is not None:
                self._measures.events.add("suppressed")
        self._memory.clear()

    def missed(self, state: DeviceState, error: EdgexInferenceError) -> bool:
        """Counts the one reason why a result did not go out; whether that was its own fault."""
        state.publish = replace(state.publish, arrived=False)
        if isinstance(error, MessageError):
            self._measures.dropped.add(error.reason)
            now = self._outlet.clock()
            fresh = state.said_at is None or now - state.said_at >= _ALOUD
            state.said_at = now if fresh else state.said_at
            level = logging.WARNING if fresh else logging.DEBUG
            log.log(level, "binding %s: %.300s; dropped as %s", self._plan.binding.name, error, error.reason)
            return True
        self._measures.failed.add("bus")
        return False

    async def _hand_over(self, messages: Sequence[Message]) -> EdgexInferenceError | None:
        started = self._outlet.clock()
        try:
            await self._outlet.publish(messages)
        except (TransportError, MessageError) as error:
            log.debug("binding %s: not published: %s", self._plan.binding.name, error)
            return error
        self._measures.stages["publish"].add(self._outlet.clock() - started)
        return None

    def _announce(
        self, state: DeviceState, item: Item, status: str, reason: str, *, lasting: bool = False
    ) -> Sequence[Message]:
        """The status event of a device, when it is not the one announced last.

        `lasting`: the status is the binding's own, and another reason is news too; else it is this item's.
        """
        if state.stray:
            return ()
        device, binding = item.event.device_name, self._plan.binding
        known = state.status == status and (not lasting or state.lasting == reason)
        state.reason, state.lasting = reason, reason if lasting else ""
        if status == DEGRADED and not lasting:
            self._memory.degraded[device] = reason
        else:
            self._memory.degraded.pop(device, None)
        if known:
            return ()
        state.status = status
        self._say(state, device, aloud=not lasting)
        return self._outlet.sender.status(binding, device, status, reason, origin=item.event.origin)

    def _say(self, state: DeviceState, device: str, *, aloud: bool) -> None:
        """Logs a change of status: aloud, but not for each of many devices nor each time it comes and goes."""
        now = self._outlet.clock()
        if state.status == DEGRADED and aloud:
            fresh = state.said_at is None or now - state.said_at >= _ALOUD
            state.aloud = fresh and len(self._memory.degraded) <= _MOST_ALOUD
            state.said_at = now if state.aloud else state.said_at
            level = logging.WARNING if state.aloud else logging.DEBUG
        else:
            level = logging.INFO if state.aloud else logging.DEBUG
            state.aloud = False
        log.log(level, "%s: binding %s: %s: %s", device, self._plan.binding.name, state.status, state.reason)

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

    def _offer(self, state: DeviceState, device: str, outgoing: Outgoing) -> Outgoing | None:
        """What the policy lets out now: this or nothing; each item that it holds back for good counts as suppressed."""
        if not outgoing.readings:
            self._measures.events.add("suppressed")
            return None
        held = state.publish.pending
        state.publish, due = self._plan.policy.offer(state.publish, outgoing, self._outlet.clock())
        self._arm(state, device)
        if held is not None:
            self._measures.events.add("suppressed")
        if due is None and state.publish.pending is not outgoing:
            self._measures.events.add("suppressed")
        return due

    def _event(self, device: str, outgoing: Outgoing) -> Event:
        plan, readings = self._plan, outgoing.readings.values()
        return self._outlet.sender.event(
            plan.binding, device, readings, origin=outgoing.origin, tags=plan.tags
        )

    def _messages(self, device: str, event: Event, correlation_id: str) -> Sequence[Message]:
        sender = self._outlet.sender
        return sender.messages(self._plan.binding, device, event, correlation_id=correlation_id)

    def _arm(self, state: DeviceState, device: str) -> None:
        if state.timer is not None:
            state.timer.cancel()
            state.timer = None
        if state.stray:
            return
        due, now = self._plan.policy.due_at(state.publish), self._outlet.clock()
        keep_alive = self._plan.binding.publish.keep_alive
        if due is None and keep_alive is not None and state.status == DEGRADED:
            due = now + keep_alive
        if due is not None:
            wait = max(0.0, due - now)
            state.timer = asyncio.get_running_loop().call_later(wait, self._tick, state, device)

    def _tick(self, state: DeviceState, device: str) -> None:
        state.timer = None
        before = state.publish
        state.publish, due = self._plan.policy.tick(before, self._outlet.clock())
        self._arm(state, device)
        if due is not None or (before.last is None and state.status == DEGRADED):
            work = self._late(state, device, before, due)
            task = asyncio.create_task(work, name=f"{self._plan.binding.name} due")
            self._repeats[task] = before.pending is not None
            task.add_done_callback(self._repeated)

    def _repeated(self, task: asyncio.Task[None]) -> None:
        self._repeats.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s stopped with a defect of ours: %r", task.get_name(), error)

    async def _late(
        self, state: DeviceState, device: str, before: PublishState, due: Outgoing | None
    ) -> None:
        """Publishes what a timer brought: the newest held result, or the last one and a bad status once more."""
        binding, sender = self._plan.binding, self._outlet.sender
        was_held = before.pending is not None
        if not was_held and state.status == DEGRADED:
            now = self._outlet.wall_clock()
            await self._hand_over(sender.status(binding, device, DEGRADED, state.reason, origin=now))
        if due is None:
            return
        if state.publish.last is not due:  # a newer one left meanwhile
            self._measures.events.add("suppressed", was_held)
            return
        error = await self._hand_over(self._messages(device, self._event(device, due), due.correlation_id))
        if was_held and error is not None:
            self.missed(state, error)
        elif was_held:
            self._measures.events.add("published")
        else:
            self._measures.events.add("repeated", error is None)
