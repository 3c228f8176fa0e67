"""How many models an inference device may have, and how much memory together: what is full takes no other one."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from edgex_inference.config.places import listed
from edgex_inference.config.schema import DeviceLimits
from edgex_inference.contracts.errors import AcceleratorUnavailable
from edgex_inference.contracts.models import Build, ModelCard
from edgex_inference.engine.catalog import Candidate
from edgex_inference.engine.files import mark, parts

_MB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """What a loaded model takes on a device; `size` in bytes is that of its files, which is the least it can be."""

    device: str
    model: str
    version: str
    files: Hashable
    size: int

    def makes_way_for(self, other: "Place") -> bool:
        """Whether it is an earlier form of the same model, which goes when the other one is loaded."""
        return self.model == other.model and (self.version, self.files) != (other.version, other.files)

    def __str__(self) -> str:
        return f"{self.model} {self.version}"


class Room:
    """The places on devices that have limits, by accelerator or `accelerator:DEVICE`; the others have room for all."""

    def __init__(self, limits: Mapping[str, DeviceLimits]) -> None:
        self._limits = {key.lower(): (key, value) for key, value in limits.items()}
        self._taken: dict[Hashable, Place] = {}

    def limited(self, candidate: Candidate) -> bool:
        """Whether there is any limit for this device."""
        return bool(self._keys(candidate))

    def enter(self, key: Hashable, candidate: Candidate, place: Place) -> None:
        """Takes a place until `leave`; raises AcceleratorUnavailable naming the limit and who is there."""
        for limit in self._keys(candidate):
            self._check(candidate, place, limit, [one for at, one in self._taken.items() if at != key])
        if self.limited(candidate):
            self._taken[key] = place

    def leave(self, key: Hashable, place: Place | None) -> None:
        """Gives a place back, unless somebody else has taken it up meanwhile."""
        if place is not None and self._taken.get(key) is place:
            del self._taken[key]

    def _check(self, candidate: Candidate, place: Place, limit: str, others: Sequence[Place]) -> None:
        written, said = self._limits[limit]
        there = [one for one in others if _is_on(one.device, limit) and not one.makes_way_for(place)]
        names = listed([str(one) for one in there], last="and")
        where = f'Inference.Devices."{written}"'
        if said.max_models and len(there) >= said.max_models:
            many = f"{len(there)} model{'' if len(there) == 1 else 's'}"
            reason = f"has {many}, as many as {where}.MaxModels allows: {names}"
            raise AcceleratorUnavailable(str(candidate), reason)
        taken = sum(one.size for one in there)
        if said.max_memory and taken + place.size > said.max_memory * _MB:
            beside = f" beside {names} with {taken / _MB:.1f}" if there else ""
            reason = (
                f"the files of {place} have {place.size / _MB:.1f} MB, too much{beside}: "
                f"{where}.MaxMemory is {said.max_memory} MB"
            )
            raise AcceleratorUnavailable(str(candidate), reason)

    def _keys(self, candidate: Candidate) -> Sequence[str]:
        name = candidate.accelerator.name.lower()
        return [key for key in (name, str(candidate).lower()) if key in self._limits]


def place_of(candidate: Candidate, card: ModelCard, build: Build) -> Place:
    """What a model would take there; reads the disk."""
    try:
        size = sum(one.stat().st_size for one in parts(build.path, build.format))
    except OSError:  # for whoever loads it to say
        size = 0
    return Place(
        device=str(candidate).lower(),
        model=card.name,
        version=card.version,
        files=mark(build.path),
        size=size,
    )


def _is_on(device: str, limit: str) -> bool:
    return device == limit or device.partition(":")[0] == limit
