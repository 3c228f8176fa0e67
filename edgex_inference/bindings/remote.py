"""Profiles and devices that core-metadata holds, laid over those of the files.

What core-metadata says of a profile or a device counts before what a file says of the same one, as far as it says
anything: blocks in a file go on where core-metadata's profile of that name has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgex_inference.bindings.files import Device, Files, overrides_of, refuse_misplaced
from edgex_inference.bindings.profiles import Block, Profile, read_profile
from edgex_inference.config.places import Place, spell
from edgex_inference.config.problems import Document
from edgex_inference.contracts.errors import Problem

_SOURCE = "core-metadata"
_DIFFER = "{what} {name}: its inference blocks differ from those in {file}; core-metadata's are in force"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filed:
    """A record and the document that it makes."""

    record: Mapping[str, Any]
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Profiles and devices by name, each with the document of its record."""

    profiles: Mapping[str, Filed]
    devices: Mapping[str, Filed]

    def updated(
        self, profiles: Mapping[str, Mapping[str, Any]], devices: Mapping[str, Mapping[str, Any]]
    ) -> "Records":
        """These records as they are now; documents of records that say the same are kept, and self if all are."""
        ours = {name: _of_device(record) for name, record in devices.items()}
        found = Records(
            profiles=_filed("profile", profiles, self.profiles),
            devices=_filed("device", ours, self.devices),
        )
        return self if found == self else found


NO_RECORDS = Records(profiles={}, devices={})


def _filed(
    what: str, records: Mapping[str, Mapping[str, Any]], before: Mapping[str, Filed]
) -> Mapping[str, Filed]:
    found = {}
    for name, record in records.items():
        known = before.get(name)
        if known is None or (known.record is not record and known.record != record):
            known = Filed(record=record, document=Document.of(record, f"{_SOURCE}: {what} {name}"))
        found[name] = known
    return found


def _of_device(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a book makes of a device: its state is the router's business."""
    return {key: record[key] for key in ("name", "profileName", "properties", "protocols") if key in record}


def lay_over(files: Files, records: Records) -> None:
    """Puts the records in their places among what the files say."""
    for name, filed in records.profiles.items():
        _profile(files, name, filed.document)
    for name, filed in records.devices.items():
        _device(files, name, filed.document)


def _profile(files: Files, name: str, document: Document) -> None:
    problems: list[Problem] = []
    claimed: set[Problem] = set()
    profile = read_profile(document, problems, claimed, f"profile {name} in {_SOURCE}")
    written = files.profiles.get(name)
    if not profile.blocks:
        if written is None:
            files.profiles[name] = profile
        elif not written.resources:
            files.profiles[name] = replace(written, resources=profile.resources)
        return
    refuse_misplaced(document, problems)
    files.problems += problems
    files.profiles[name] = profile
    if written is not None and written.blocks and _said(written) != _said(profile):
        message = _DIFFER.format(what="profile", name=name, file=written.document.source.file)
        files.problems.append(document.problem((), message, severity="warning"))


def _said(profile: Profile) -> Mapping[str, Any]:
    return {block.name: (block.resource, block.node.plain()) for block in profile.blocks}


def _device(files: Files, name: str, document: Document) -> None:
    claimed: set[Problem] = set()
    overrides: Mapping[str, Block] = overrides_of(document, (), f"device {name}", files.problems, claimed)
    written = files.devices.get(name)
    if written is not None and written.overrides:
        overrides = _over(files, name, document, overrides, written)
    found = document.root.find("profileName")
    profile = found.value if found is not None and isinstance(found.value, str) else ""
    place = written.place if written is not None and not overrides else Place(source=document.source)
    files.devices[name] = Device(name=name, profile=profile, place=place, overrides=overrides)


def _over(
    files: Files, name: str, document: Document, overrides: Mapping[str, Block], written: Device
) -> Mapping[str, Block]:
    if not overrides:
        return written.overrides
    ours, theirs = (
        {key: block.node.plain() for key, block in found.items()} for found in (overrides, written.overrides)
    )
    if ours != theirs:
        message = _DIFFER.format(what="device", name=name, file=written.place.source.file)
        path = spell(("properties", "inference"))
        files.problems.append(Place(source=document.source).problem(path, message, severity="warning"))
    return overrides
