"""The EdgeX beside the service, as far as core-metadata tells: its major, its profiles and devices, our companions."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import get_args

from edgex_inference.bindings.remote import NO_RECORDS, Records
from edgex_inference.config.load import Loaded
from edgex_inference.config.schema import CORE_METADATA, Client
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import MetadataUnavailable
from edgex_inference.edgex import topics
from edgex_inference.edgex.dialect import Dialect, Major
from edgex_inference.edgex.metadata import changes
from edgex_inference.edgex.metadata.client import MetadataClient
from edgex_inference.edgex.metadata.mirror import Mirror
from edgex_inference.edgex.metadata.records import Barred
from edgex_inference.edgex.providers.ports import Locate
from edgex_inference.pipeline.platform.follower import Follower, Following
from edgex_inference.pipeline.platform.registrar import Registrar
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.running.run import Run

log = logging.getLogger(__name__)

_LOOK = 1.0
"""Seconds between two looks at whether companions say what is published."""

_VERSION = re.compile(r"v?([1-9][0-9]*)\.[0-9]+")


class Platform:
    """Follows the configured core-metadata, and registers what `runs` publish.

    `changed` is called when it says other things than before. `locate` is the registry, which may know its address;
    `startup` (s) is how long a start waits for a core-metadata that is required.
    """

    def __init__(
        self,
        loaded: Loaded,
        bus: Bus,
        dialect: Dialect,
        *,
        runs: Callable[[], Sequence[Run]],
        changed: Callable[[], None],
        locate: Locate | None = None,
        startup: float = 60.0,
    ) -> None:
        inference = loaded.config.inference
        file = f"core-metadata-{loaded.service_key}.json"
        following = Following(
            required=inference.metadata == "required",
            interval=inference.reconcile_interval,
            startup=startup,
            copy=loaded.state / file if loaded.state is not None else None,
        )
        self._client = MetadataClient(loaded.config.clients.get(CORE_METADATA, Client()).url, locate=locate)
        topic = topics.under_base(dialect, changes.TOPIC)
        self._follower = Follower(self._client, bus, topic, following, changed)
        self._registrar = Registrar(self._client, loaded.service_key, runs)
        self._configured = inference.edgex_version
        self._interval = following.interval
        self._records = NO_RECORDS
        self._barred: Mapping[str, Barred] = {}
        self._barred_at: tuple[Mirror, int] | None = None
        self._spoken = ""

    @classmethod
    def of(
        cls,
        loaded: Loaded,
        bus: Bus,
        dialect: Dialect,
        *,
        runs: Callable[[], Sequence[Run]],
        changed: Callable[[], None],
        locate: Locate | None = None,
        startup: float = 60.0,
    ) -> "Platform | None":
        """None where core-metadata is not to be asked."""
        if loaded.config.inference.metadata == "none":
            return None
        return cls(loaded, bus, dialect, runs=runs, changed=changed, locate=locate, startup=startup)

    @property
    def trouble(self) -> str:
        """Why core-metadata is not to be had; empty while it is."""
        return self._follower.trouble

    @property
    def version(self) -> str:
        """The release of core-metadata; empty while unknown."""
        return self._follower.mirror.version

    @property
    def major(self) -> Major | None:
        """EdgeX's generation; None while unknown, and for a development build."""
        return major_of(self.version)

    def speak(self, sender: Sender) -> None:
        """Lets `sender` speak the dialect of the EdgeX that is there, unless one is configured."""
        major, before = self.major, sender.dialect.major
        if major is None or self.version == self._spoken:
            return
        self._spoken = self.version
        if self._configured == "auto":
            sender.told(major)
            log.info("Inference.EdgexVersion auto: EdgeX %s, as core-metadata is %s", major, self.version)
            return
        if major == before:
            return
        words = "Inference.EdgexVersion is %s, but core-metadata is %s: consumers may not read the results"
        log.warning(words, before, self.version)

    def records(self) -> Records:
        """Profiles and devices as they are now; the same object as last time when they are the same."""
        mirror = self._follower.mirror
        self._records = self._records.updated(mirror.records("profile"), mirror.records("device"))
        return self._records

    def barred(self) -> Mapping[str, Barred]:
        """The devices that are not to be used."""
        mirror = self._follower.mirror
        if self._barred_at != (mirror, mirror.revision):
            self._barred_at, self._barred = (mirror, mirror.revision), mirror.barred()
        return self._barred

    async def first(self) -> None:
        """Reads everything for a start; raises ConfigurationError where core-metadata is required and away."""
        await self._follower.first()

    async def follow(self) -> None:
        """Keeps up with core-metadata until cancelled."""
        await self._follower.work()

    async def register(self) -> None:
        """Keeps the companions in core-metadata until cancelled."""
        clock = asyncio.get_running_loop().time
        checked = clock()
        while True:
            anew = clock() - checked >= self._interval > 0
            if self._follower.reached and not self._follower.trouble:
                with suppress(MetadataUnavailable):  # the follower says it
                    await self._registrar.write(all_anew=anew)
                checked = clock() if anew else checked
            await asyncio.sleep(_LOOK)

    async def close(self) -> None:
        """Legal at any time."""
        await self._client.close()


def major_of(version: str) -> Major | None:
    """`4` of `4.0.2`; None for what is no release that is known here, such as `0.0.0` of a development build."""
    found = _VERSION.match(version)
    return next((major for major in get_args(Major) if found is not None and found[1] == major), None)
