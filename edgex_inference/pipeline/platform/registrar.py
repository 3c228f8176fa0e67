"""Keeping companion profiles in core-metadata in line with what is published, without fighting over them."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from edgex_inference.edgex.metadata.client import MetadataClient, Verdict
from edgex_inference.edgex.metadata.records import Record
from edgex_inference.pipeline.platform.companion import Companion, companions, fresh, merged, owner
from edgex_inference.pipeline.running.run import Run

log = logging.getLogger(__name__)

_TAKEN, _INVALID, _FAULT = 409, 400, 500


class Registrar:
    """Writes a companion when what it says has changed, or when it is not as it was left.

    Two instances that publish different things keep each what is theirs; where they differ about one resource the
    first one keeps it, and the other says so once.
    """

    def __init__(self, client: MetadataClient, service: str, runs: Callable[[], Sequence[Run]]) -> None:
        self._client = client
        self._service = service
        self._runs = runs
        self._seen: object = None
        self._wanted: Sequence[Companion] = ()
        self._done: dict[str, Companion] = {}
        self._said: set[str] = set()
        self._without_units: set[str] = set()

    @property
    def stale(self) -> bool:
        """Whether what is published has changed since the last `write`; cheap."""
        runs = self._runs()
        seen = tuple((id(run), run.settled.is_set(), id(run.journey), id(run.binding)) for run in runs)
        if seen != self._seen:
            self._seen, self._wanted = seen, companions(runs, self._service)
        return any(self._done.get(one.profile) != one for one in self._wanted)

    async def write(self, *, all_anew: bool = False) -> None:
        """Writes what has changed, with `all_anew` also what is missing there; raises MetadataUnavailable."""
        if not self.stale and not all_anew:
            return
        for companion in self._wanted:
            known = self._done.get(companion.profile) == companion
            if (not known or all_anew) and await self._settle(companion, add_only=known):
                self._done[companion.profile] = companion

    async def _settle(self, companion: Companion, *, add_only: bool) -> bool:
        """Whether there is nothing to try again."""
        there = await self._client.profile(companion.name)
        if there is None:
            whole = fresh(companion, self._client.api)
            return await self._write(companion, whole, self._client.add_profile)
        found = merged(companion, there, self._service, add_only=add_only)
        if found.foreign:
            self._say_once(
                f"{companion.name}: {', '.join(found.foreign)} published with another type or units by another "
                "service: core-metadata keeps its description"
            )
        if found.profile is None:
            return True
        return await self._write(companion, found.profile, self._client.replace_profile)

    async def _write(
        self, companion: Companion, profile: Record, write: Callable[[Record], Awaitable[Verdict]]
    ) -> bool:
        bare = self._bare(profile)
        verdict = await write(bare if companion.name in self._without_units else profile)
        if verdict.status == _INVALID and "units" in verdict.message and bare != profile:
            self._without_units.add(companion.name)
            self._say_once(f"{companion.name}: registered without units: {verdict.message}")
            verdict = await write(bare)
        if verdict.ok:
            log.info("%s is registered in core-metadata", companion.name)
        elif verdict.status != _TAKEN:  # another instance was faster: the next look adds what is missing
            self._say_once(f"{companion.name} is not registered in core-metadata: {verdict.message}")
        return verdict.ok or (verdict.status != _TAKEN and verdict.status < _FAULT)

    def _bare(self, profile: Record) -> Record:
        """The profile without the units of what is ours."""
        resources = [
            _unit_less(one) if owner(one) == self._service else one
            for one in profile.get("deviceResources", ())
        ]
        return {**profile, "deviceResources": resources}

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            log.warning("%s", text)


def _unit_less(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = {key: value for key, value in resource.get("properties", {}).items() if key != "units"}
    return {**resource, "properties": properties}
