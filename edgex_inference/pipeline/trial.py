"""One event through one plan and nothing else: what would be published, and how long each stage took."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from edgex_inference.contracts.errors import EdgexInferenceError, MessageError
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.results import Result, Sample
from edgex_inference.edgex import envelope, events
from edgex_inference.edgex.ids import new_id
from edgex_inference.pipeline.planning.plan import Plan
from edgex_inference.pipeline.publishing import outputs
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.publishing.policy import Outgoing
from edgex_inference.pipeline.state import DeviceState, Memory
from edgex_inference.postprocess import decide

STAGES = ("preprocess", "infer", "postprocess", "encode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one event causes.

    `event` and `topic` are read back from the message as it would go out; `event` None: every output is without a
    value, so nothing goes out. `held` says why the publish policy would keep it back at this moment, `unfit` names
    outputs whose number does not fit their type, `seconds` has the time of each stage.
    """

    result: Result
    topic: str
    event: Event | None
    held: str
    unfit: tuple[str, ...]
    seconds: Mapping[str, float]


class Trial:
    """A plan that answers one event after the other; hysteresis and publish policy remember the ones before."""

    def __init__(self, plan: Plan, sender: Sender) -> None:
        self.plan = plan
        self._sender = sender
        self._memory = Memory()

    async def answer(self, event: Event) -> Answer:
        """Raises MessageError for an event that can never be processed, InferenceError when the run fails."""
        started = time.perf_counter()
        sample = self.plan.preprocess(event)
        prepared = time.perf_counter()
        tensors = await self.plan.lane.infer(sample.tensors, timeout=self.plan.binding.limits.timeout)
        inferred = time.perf_counter()
        result = self.plan.interpret(tensors, sample)
        state = self._memory.of(event.device_name)
        outgoing, unfit = self._readings(event, sample, result, state, inferred - started)
        interpreted = time.perf_counter()
        message = self._message(event, outgoing) if outgoing.readings else None
        encoded = time.perf_counter()
        marks = (started, prepared, inferred, interpreted, encoded)
        return Answer(
            result=result,
            topic=message.topic if message is not None else "",
            event=_read_back(message) if message is not None else None,
            held=self._held(state, outgoing),
            unfit=tuple(unfit),
            seconds={
                name: after - before for name, (before, after) in zip(STAGES, pairwise(marks), strict=True)
            },
        )

    def _readings(
        self, event: Event, sample: Sample, result: Result, state: DeviceState, latency: float
    ) -> tuple[Outgoing, list[str]]:
        wanted, decision = self.plan.decide, None
        if wanted is not None:
            state.decide, decision = decide.step(state.decide, decide.value_of(result, wanted), wanted)
        moment = outputs.Moment(
            result=result,
            state=decision,
            latency=latency,
            model=self.plan.card.name,
            accelerator=self.plan.accelerator,
            unknown_below=wanted.unknown_below if wanted is not None else None,
        )
        _, profile, name = self._sender.names(self.plan.binding, event.device_name)
        origin = sample.origin or event.origin
        readings, unfit = outputs.write(
            self.plan.columns, moment, device=name, profile=profile, origin=origin
        )
        return Outgoing(readings=readings, origin=origin, correlation_id=new_id()), unfit

    def _message(self, event: Event, outgoing: Outgoing) -> Message:
        return self._sender.result(
            self.plan.binding,
            event.device_name,
            outgoing.readings.values(),
            origin=outgoing.origin,
            correlation_id=outgoing.correlation_id,
            tags=self.plan.tags,
        )[0]

    def _held(self, state: DeviceState, outgoing: Outgoing) -> str:
        """Why the policy would keep this result back, by the clock of the events themselves."""
        if not outgoing.readings:
            return "no output has a value"
        state.publish, due = self.plan.policy.offer(state.publish, outgoing, outgoing.origin / 1e9)
        if due is not None:
            return ""
        publish = self.plan.binding.publish
        if state.publish.pending is not None:
            return f"publish.minInterval {publish.min_interval:g} s has not passed"
        return f"publish.when {publish.when}: nothing discrete has changed"


def _read_back(message: Message) -> Event:
    try:
        found = events.read(envelope.read(message))
    except MessageError as error:
        raise EdgexInferenceError(f"our own message cannot be read again: {error}") from error
    assert found is not None
    return found
