"""What a core-metadata knows: services, profiles, devices, provision watchers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgex_inference.edgex.ids import new_id
from edgex_inference.testing.metadata.generations import Generation
from edgex_inference.testing.metadata.shapes import Document


class Refused(Exception):
    """A call, or one element of it, is answered with this HTTP status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Shelf:
    """All records of one kind under their names, which are unique."""

    def __init__(self, noun: str, generation: Generation) -> None:
        self.noun = noun
        self._generation = generation
        self._records: dict[str, Document] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def __len__(self) -> int:
        return len(self._records)

    def get(self, name: str) -> Document:
        """The record itself; raises Refused (404)."""
        if name not in self._records:
            raise Refused(404, self._generation.missing(self.noun, name))
        return self._records[name]

    def find(self, *, id: str = "", name: str = "") -> Document:
        """The record of that id if one is given, else of that name; raises Refused (404, or 400 if both differ)."""
        if not id:
            return self.get(name)
        for record in self._records.values():
            if record.get("id") == id:
                if name and name != record["name"]:
                    raise Refused(400, f"{self.noun} name '{name}' not match the exsting '{record['name']}' ")
                return record
        raise Refused(404, f"fail to query {self.noun} by id {id}")

    def add(self, record: Document) -> Document:
        """Stores a new record with an id and the time; raises Refused (409)."""
        if record["name"] in self._records:
            raise Refused(409, self._generation.duplicate(self.noun, record["name"]))
        now = _now()
        made = record | {"id": record.get("id") or new_id(), "created": now, "modified": now}
        self._records[record["name"]] = made
        return made

    def replace(self, record: Document) -> Document:
        """Stores the record in place of that of the same name, with the time of modification."""
        changed = record | {"modified": _now()}
        self._records[record["name"]] = changed
        return changed

    def remove(self, name: str) -> Document:
        """Raises Refused (404)."""
        if name not in self._records:
            raise Refused(404, self._generation.not_deleted(self.noun, name))
        return self._records.pop(name)

    def all(self, wanted: Callable[[Document], bool] = lambda _: True) -> list[Document]:
        """In the order of lists: 4.0 by creation, 3.1 the last modified first."""
        found = [record for record in self._records.values() if wanted(record)]
        if self._generation.four:
            return sorted(found, key=lambda record: int(record.get("created", 0)))
        return sorted(found, key=lambda record: -int(record.get("modified", 0)))


@dataclass(slots=True, kw_only=True)
class Policies:
    """core-metadata's settings that change its answers, as in its Writable and Service sections."""

    strict_profile_changes: bool = False
    strict_profile_deletes: bool = False
    validate_units: bool = False
    max_result_count: int = 1024
    escape_names: bool = False
    """names in topics are percent-encoded (EnableNameFieldEscape)"""
    cbor_messages: bool = False
    """whole envelopes are CBOR, as EDGEX_MSG_CBOR_ENCODE has it for EdgeX 4"""
    headers: bool = False
    """the envelope travels as headers, as NATS's Format `nats` has it"""
    request_timeout: float = 5.0
    """seconds that a device service has for saying whether it takes a device"""


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong, from now on until it is set back; `below` is how the paths begin that it concerns."""

    unavailable: bool = False
    """503 with the text that EdgeX answers past its own time limit"""
    hang: bool = False
    """no answer until the double stops"""
    garbage: bool = False
    """200 with something that is no JSON"""
    silent: bool = False
    """no system event reaches the bus"""
    below: str = "/"


class State:
    """The four shelves and what runs across them."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.policies = Policies()
        self.faults = Faults()
        self.services = Shelf("device service", generation)
        self.profiles = Shelf("device profile", generation)
        self.devices = Shelf("device", generation)
        self.watchers = Shelf("provision watcher", generation)

    def devices_with_profile(self, name: str) -> list[Document]:
        return self.devices.all(lambda device: device.get("profileName") == name)

    def watchers_with_profile(self, name: str) -> list[Document]:
        return self.watchers.all(lambda one: self.profile_of_watcher(one) == name)

    def profile_of_watcher(self, record: Document) -> str:
        """The profile that discovered devices get; EdgeX 2 has it beside the name."""
        place = record if self.generation.two else record.get("discoveredDevice", {})
        return str(place.get("profileName", ""))

    def services_with_profile(self, name: str) -> list[str]:
        """The device services that have devices with this profile, each once."""
        return list(dict.fromkeys(device["serviceName"] for device in self.devices_with_profile(name)))

    def descendants(self, name: str, levels: int) -> list[Document]:
        """Devices below this one, at most so many levels down; 0 means all."""
        return sorted(self._below(name, levels or -1), key=lambda record: int(record.get("created", 0)))

    def _below(self, name: str, levels: int) -> Iterator[Document]:
        if levels == 0:
            return
        for child in self.devices.all(lambda device: device.get("parent") == name):
            yield child
            yield from self._below(child["name"], levels - 1)


def _now() -> int:
    return time.time_ns() // 1_000_000
