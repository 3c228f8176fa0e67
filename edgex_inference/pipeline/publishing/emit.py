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
from edgex_inference.edgex.forms import escaped
from edgex_inference.edgex.ids import new_id
from edgex_inference.edgex.major import guessed

log = logging.getLogger(__name__)

STATUS, REASON = "InferenceStatus", "InferenceReason"


_MOST_KNOWN = 16_384
"""Pairs of a binding and a device whose names and topic are kept; a flood of device names must not fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    """Service level, profile and device of the events that a binding publishes about a device, and their topic."""

    names: tuple[str, str, str]
    escaped: str
    """the device as it stands in JSON"""
    topic: str
    dialect: Dialect


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
    _known: dict[tuple[str | None, ...], "_Address"] = field(default_factory=dict, compare=False, repr=False)

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
        return self._address(binding, device).names

    def where(self, binding: Binding, device: str) -> tuple[str, str]:
        """The topic of the events about `device`, and its name there as it stands in JSON."""
        address = self._address(binding, device)
        return address.topic, address.escaped

    @property
    def rules_topic(self) -> str:
        """Where the bare copies go."""
        return topics.rules_topic(self.dialect)

    def _address(self, binding: Binding, device: str) -> "_Address":
        publish = binding.publish
        key = binding.profile, binding.name, publish.as_, publish.topic_prefix, device
        found = self._known.get(key)
        if found is None or found.dialect is not self.dialect:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = self._new_address(binding, device)
        return found

    def _new_address(self, binding: Binding, device: str) -> "_Address":
        service, profile, name = self.service_key, binding.profile + topics.COMPANION_SUFFIX, device
        if binding.publish.as_ == "device":
            service, name = topics.DEVICE_SERVICE_KEY, f"{device}-{binding.name}"
        topic = topics.event_topic(
            self.dialect,
            service=service,
            profile=profile,
            device=name,
            source=binding.name,
            prefix=binding.publish.topic_prefix,
        )
        return _Address(
            names=(service, profile, name), escaped=escaped(name), topic=topic, dialect=self.dialect
        )

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
        return self.messages(binding, device, event, correlation_id=correlation_id)

    def event(
        self,
        binding: Binding,
        device: str,
        readings: Iterable[Reading],
        *,
        origin: int,
        tags: Mapping[str, str],
    ) -> Event:
        """One result as an event; `readings` are of `edgex.values`."""
        _, profile, name = self.names(binding, device)
        return Event(
            api_version=self.dialect.api_version,
            id=new_id(),
            device_name=name,
            profile_name=profile,
            source_name=binding.name,
            origin=origin,
            readings=tuple(readings),
            tags=dict(tags) or None,
        )

    def messages(
        self, binding: Binding, device: str, event: Event, *, correlation_id: str
    ) -> Sequence[Message]:
        """What `event` made, and its bare copy where `publish.rules` asks."""
        topic = self._address(binding, device).topic
        message = wire.encode(
            event, topic=topic, correlation_id=correlation_id, dialect=self.dialect, written=True
        )
        if not binding.publish.rules:
            return (message,)
        bare = wire.encode_bare(
            event, topic=self.rules_topic, correlation_id=correlation_id, dialect=self.dialect, written=True
        )
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
