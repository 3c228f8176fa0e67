"""Profiles and devices that core-metadata holds, laid over those of the files.

What core-metadata says of a profile or a device counts before what a file says of the same one, as far as it says
anything: blocks in a file go on where core-metadata's profile of that name has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgex_inference.bindings.files import Device, Files, overrides_of, refuse_misplaced
from edgex_inference.bindings.profiles import Profile, read_profile
from edgex_inference.config.places import Place, spell
from edgex_inference.config.problems import Document
from edgex_inference.contracts.errors import Problem

_SOURCE = "core-metadata"
_DIFFER = "{what} {name}: its inference blocks differ from those in {file}; core-metadata's are in force"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProfileRecord:
    """A profile's record, read once."""

    record: Mapping[str, Any]
    document: Document
    profile: Profile
    problems: tuple[Problem, ...]

    @classmethod
    def of(cls, name: str, record: Mapping[str, Any]) -> "ProfileRecord":
        document = Document.of(record, f"{_SOURCE}: profile {name}")
        problems: list[Problem] = []
        profile = read_profile(document, problems, set(), f"profile {name} in {_SOURCE}")
        if profile.blocks:
            refuse_misplaced(document, problems)
        return cls(record=record, document=document, profile=profile, problems=tuple(problems))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceRecord:
    """What a device's record says of bindings, read once; its state is the router's business."""

    record: Mapping[str, Any]
    device: Device
    problems: tuple[Problem, ...]

    @classmethod
    def of(cls, name: str, record: Mapping[str, Any]) -> "DeviceRecord":
        document = Document.of(record, f"{_SOURCE}: device {name}")
        problems: list[Problem] = []
        overrides = overrides_of(document, (), f"device {name}", problems, set())
        profile = record.get("profileName")
        device = Device(
            name=name,
            profile=profile if isinstance(profile, str) else "",
            place=Place(source=document.source),
            overrides=overrides,
        )
        return cls(record=record, device=device, problems=tuple(problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Profiles and devices by name, as core-metadata has them."""

    profiles: Mapping[str, ProfileRecord]
    devices: Mapping[str, DeviceRecord]

    def updated(
        self, profiles: Mapping[str, Mapping[str, Any]], devices: Mapping[str, Mapping[str, Any]]
    ) -> "Records":
        """These records as they are now; what says the same is kept as it is, and self if all of it is."""
        ours = {name: _of_device(record) for name, record in devices.items()}
        found = Records(
            profiles={name: self._profile(name, record) for name, record in profiles.items()},
            devices={name: self._device(name, record) for name, record in ours.items()},
        )
        return self if found == self else found

    def _profile(self, name: str, record: Mapping[str, Any]) -> ProfileRecord:
        known = self.profiles.get(name)
        if known is not None and (known.record is record or known.record == record):
            return known
        return ProfileRecord.of(name, record)

    def _device(self, name: str, record: Mapping[str, Any]) -> DeviceRecord:
        known = self.devices.get(name)
        return known if known is not None and known.record == record else DeviceRecord.of(name, record)


NO_RECORDS = Records(profiles={}, devices={})


def _of_device(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: record[key] for key in ("name", "profileName", "properties", "protocols") if key in record}


def lay_over(files: Files, records: Records) -> None:
    """Puts the records in their places among what the files say."""
    for name, read in records.profiles.items():
        _profile(files, name, read)
    for name, found in records.devices.items():
        _device(files, name, found)


def _profile(files: Files, name: str, read: ProfileRecord) -> None:
    profile, written = read.profile, files.profiles.get(name)
    if not profile.blocks:
        if written is None:
            files.profiles[name] = profile
        elif not written.resources:
            files.profiles[name] = replace(written, resources=profile.resources)
        return
    files.problems += read.problems
    files.profiles[name] = profile
    if written is not None and written.blocks and _said(written) != _said(profile):
        message = _DIFFER.format(what="profile", name=name, file=written.document.source.file)
        files.problems.append(read.document.problem((), message, severity="warning"))


def _said(profile: Profile) -> Mapping[str, Any]:
    return {block.name: (block.resource, block.node.plain()) for block in profile.blocks}


def _device(files: Files, name: str, read: DeviceRecord) -> None:
    files.problems += read.problems
    device, written = read.device, files.devices.get(name)
    if written is not None and written.overrides:
        if not device.overrides:
            device = replace(device, place=written.place, overrides=written.overrides)
        elif _plain(device) != _plain(written):
            message = _DIFFER.format(what="device", name=name, file=written.place.source.file)
            path = spell(("properties", "inference"))
            files.problems.append(device.place.problem(path, message, severity="warning"))
    files.devices[name] = device


def _plain(device: Device) -> Mapping[str, Any]:
    return {name: block.node.plain() for name, block in device.overrides.items()}
