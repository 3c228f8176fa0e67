"""What core-metadata holds, cut down to what matters here: plain maps as they are on the wire, and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Record = Mapping[str, Any]
"""A DTO as core-metadata sends it: a device profile, a device or a device service."""

Kind = Literal["profile", "device", "service"]

LOCKED, DOWN = "deviceLocked", "deviceDown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """Why nothing is to be inferred for a device; `word` is what its events are counted under."""

    word: str
    reason: str


def name_of(record: Record) -> str:
    """The name of a record; empty for one that has none."""
    name = record.get("name")
    return name if isinstance(name, str) else ""


def trimmed(kind: Kind, record: Record) -> Record:
    """A record without what is of no use here: times, addresses, and a device's protocols with their passwords."""
    if kind == "profile":
        return {key: record[key] for key in ("name", "deviceResources") if key in record}
    if kind == "service":
        return {key: record[key] for key in ("name", "adminState") if key in record}
    kept: dict[str, Any] = {
        key: record[key]
        for key in ("name", "profileName", "serviceName", "adminState", "operatingState")
        if key in record
    }
    for place in ("properties", "protocols"):
        around = record.get(place)
        if isinstance(around, Mapping) and "inference" in around:
            kept[place] = {"inference": around["inference"]}
    return kept


def barred(device: Record, service: Record | None) -> Barred | None:
    """Whether core-metadata says that a device, or the service that owns it, is not to be used."""
    name = name_of(device)
    if device.get("adminState") == "LOCKED":
        return Barred(word=LOCKED, reason=f"device {name} is LOCKED in core-metadata")
    if service is not None and service.get("adminState") == "LOCKED":
        owner = name_of(service)
        return Barred(
            word=LOCKED, reason=f"device service {owner} of device {name} is LOCKED in core-metadata"
        )
    if device.get("operatingState") == "DOWN":
        return Barred(word=DOWN, reason=f"device {name} is DOWN in core-metadata")
    return None
