"""Results and status leave as EdgeX events: names, topics, tags, encoding."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgex_inference.contracts.bindings import Binding
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import topics, values, wire
from edgex_inference.edgex.dialect import Dialect, Major
from edgex_inference.edgex.envelope import Envelope
from edgex_inference.edgex.ids import new_id
from edgex_inference.edgex.major import guessed

log = logging.getLogger(__name__)

STATUS, REASON = "InferenceStatus", "InferenceReason"


@dataclass(slots=True, kw_only=True)
class Sender:
    """How this service signs what it publishes.

    A `dialect` without major gets one from `told`, or for want of that from `heard`.
    """

    service_key: str = topics.SERVICE_KEY
    dialect: Dialect = field(default_factory=Dialect)
    listening: bool = field(init=False)
    """whether messages can still change the dialect"""
    certain: bool = field(init=False)
    """whether the major is no guess"""

    def __post_init__(self) -> None:
        self.certain = self.dialect.major is not None
        self.listening = self.dialect.major in (None, "2")

    def told(self, major: Major) -> None:
        """Takes up the major that somebody knows; messages tell no other from then on."""
        self.certain, self.listening = True, major == "2"
        if self.dialect.major != major:
            self.dialect = replace(self.dialect, major=major, early=False)

    def heard(self, message: Message, read: Envelope, event: Event) -> None:
        """Somebody else's event: a major that nobody has told is what the first of them look like."""
        found = guessed(self.dialect, message, read, event)
        if found.major is None or (self.certain and found.major != self.dialect.major):
            return
        if found.major != self.dialect.major:
            log.info(
                "EdgeX %s is spoken from now on, as messages on %s look like it and nobody has said: "
                "Inference.EdgexVersion says it for certain",
                found.major,
                message.topic,
            )
        self.dialect, self.listening = found, found.major == "3"

    def names(self, binding: Binding, device: str) -> tuple[str, str, str]:
        """Service level, profile name and device name of the events about `device`."""
        profile = binding.profile + topics.COMPANION_SUFFIX
        if binding.publish.as_ == "device":
            return topics.DEVICE_SERVICE_KEY, profile, f"{device}-{binding.name}"
        return self.service_key, profile, device

    def result(
        self,
        binding: Binding,
        device: str,
        readings: Iterable[Reading],
        *,
        origin: int,
        correlation_id: str,
        tags: Mapping[str, str],
    ) -> Sequence[Message]:
        """The messages of one result: the event itself, and its bare copy where `publish.rules` asks."""
        service, profile, name = self.names(binding, device)
        event = Event(
            api_version=self.dialect.api_version,
            id=new_id(),
            device_name=name,
            profile_name=profile,
            source_name=binding.name,
            origin=origin,
            readings=tuple(readings),
            tags=dict(tags) or None,
        )
        topic = topics.event_topic(
            self.dialect,
            service=service,
            profile=profile,
            device=name,
            source=binding.name,
            prefix=binding.publish.topic_prefix,
        )
        message = wire.encode(event, topic=topic, correlation_id=correlation_id, dialect=self.dialect)
        if not binding.publish.rules:
            return (message,)
        rules = topics.rules_topic(self.dialect)
        bare = wire.encode_bare(event, topic=rules, correlation_id=correlation_id, dialect=self.dialect)
        return (message, bare)

    def status(
        self, binding: Binding, device: str, status: str, reason: str, *, origin: int
    ) -> Sequence[Message]:
        """The event that says whether a binding runs for a device, and why not."""
        _, profile, name = self.names(binding, device)
        readings = [
            values.reading(word, text, ValueType.STRING, device=name, profile=profile, origin=origin)
            for word, text in ((STATUS, status), (REASON, reason))
        ]
        return self.result(binding, device, readings, origin=origin, correlation_id=new_id(), tags={})
