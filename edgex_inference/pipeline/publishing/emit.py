"""Results and status leave as EdgeX events: names, topics, tags, encoding."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edgex_inference.contracts.bindings import Binding
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import topics, values, wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import new_id

STATUS, REASON = "InferenceStatus", "InferenceReason"


@dataclass(slots=True, kw_only=True)
class Sender:
    """How this service signs what it publishes; the dialect changes when the platform's major becomes known."""

    service_key: str = topics.SERVICE_KEY
    dialect: Dialect = field(default_factory=Dialect)

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
        """The messages of one result, as `messages` has them."""
        event = self.event(binding, device, readings, origin=origin, tags=tags)
        return self.messages(binding, event, correlation_id=correlation_id)

    def event(
        self,
        binding: Binding,
        device: str,
        readings: Iterable[Reading],
        *,
        origin: int,
        tags: Mapping[str, str],
    ) -> Event:
        """One result as an event."""
        _, profile, name = self.names(binding, device)
        return Event(
            api_version="v3",
            id=new_id(),
            device_name=name,
            profile_name=profile,
            source_name=binding.name,
            origin=origin,
            readings=tuple(readings),
            tags=dict(tags) or None,
        )

    def messages(self, binding: Binding, event: Event, *, correlation_id: str) -> Sequence[Message]:
        """The event itself, and its bare copy where `publish.rules` asks."""
        service, _, _ = self.names(binding, event.device_name)
        topic = topics.event_topic(
            self.dialect,
            service=service,
            profile=event.profile_name,
            device=event.device_name,
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
