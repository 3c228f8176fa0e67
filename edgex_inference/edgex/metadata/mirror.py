"""A copy of core-metadata's records: read as a whole, changed by system events, kept on disk for bad days."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgex_inference.edgex.metadata.changes import Change
from edgex_inference.edgex.metadata.records import Barred, Kind, Record, barred, name_of, trimmed

KINDS: Sequence[Kind] = ("profile", "device", "service")
_FORMAT = 1


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The copy on disk; `url` and `version` tell whose it is."""

    format: int
    url: str
    version: str
    profile: list[dict[str, object]]
    device: list[dict[str, object]]
    service: list[dict[str, object]]


@dataclass(slots=True, eq=False)
class Mirror:
    """Profiles, devices and device services by name. A record that is the same stays the same object."""

    version: str = ""
    revision: int = 0
    """counts the changes"""
    _records: dict[Kind, dict[str, Record]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def records(self, kind: Kind) -> Mapping[str, Record]:
        """All records of a kind by name."""
        return self._records[kind]

    def replace(self, kind: Kind, records: Iterable[Record]) -> Sequence[str]:
        """What the whole list says; returns the names of what came, went or is different."""
        before = self._records[kind]
        after: dict[str, Record] = {}
        for record in records:
            name, kept = name_of(record), trimmed(kind, record)
            known = before.get(name)
            after[name] = known if known is not None and known == kept else kept
        self._records[kind] = after
        names = {**before, **after}
        different = [name for name in names if before.get(name) is not after.get(name)]
        self.revision += bool(different)
        return different

    def take(self, change: Change) -> bool:
        """Whether a system event changed something that matters here."""
        records, name = self._records[change.kind], name_of(change.record)
        kept = None if change.gone else trimmed(change.kind, change.record)
        if records.get(name) == kept:
            return False
        if kept is None:
            del records[name]
        else:
            records[name] = kept
        self.revision += 1
        return True

    def barred(self) -> Mapping[str, Barred]:
        """The devices that are not to be used, by name."""
        return dict(self._barred())

    def _barred(self) -> Iterator[tuple[str, Barred]]:
        services = self._records["service"]
        for name, device in self._records["device"].items():
            found = barred(device, services.get(str(device.get("serviceName", ""))))
            if found is not None:
                yield name, found

    def encoded(self, url: str) -> bytes:
        """The copy of the core-metadata at this address, for `write`."""
        lists = {kind: list(self._records[kind].values()) for kind in KINDS}
        return msgspec.json.encode({"format": _FORMAT, "url": url, "version": self.version, **lists})

    @classmethod
    def load(cls, file: Path, url: str) -> "Mirror | None":
        """The copy of the core-metadata at this address; None when there is none that can be read."""
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
        except (OSError, ValueError, RecursionError):
            return None
        if kept.format != _FORMAT or kept.url != url:
            return None
        found = cls(version=kept.version)
        lists: Mapping[Kind, Sequence[Record]] = {
            "profile": kept.profile,
            "device": kept.device,
            "service": kept.service,
        }
        for kind, records in lists.items():
            found.replace(kind, records)
        return found


def write(file: Path, data: bytes) -> None:
    """Writes a copy, whole or not at all, for this user's eyes only; raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(data)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
