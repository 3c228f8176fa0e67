"""Services that registered with the agent, and the checks of their health."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from edgex_inference.config import durations


@dataclass(slots=True)
class Check:
    id: str
    name: str
    notes: str
    service: str
    url: str
    interval: str
    status: str = "critical"

    def document(self) -> dict[str, Any]:
        return {
            "Node": "consul",
            "CheckID": self.id,
            "Name": self.name,
            "Status": self.status,
            "Notes": self.notes,
            "Output": "",
            "ServiceID": self.service,
            "ServiceName": self.service,
            "Type": "http",
        }


@dataclass(slots=True)
class Agent:
    """Everybody who registered; `services` is id → what was sent."""

    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def register(self, given: dict[str, Any]) -> None:
        self.services[given.get("ID") or given["Name"]] = given

    def check(self, given: dict[str, Any]) -> None:
        """Takes up a check; one of the same id makes way."""
        self._end(given["ID"])
        made = Check(
            id=given["ID"],
            name=given["Name"],
            notes=given.get("Notes", ""),
            service=given.get("ServiceID", ""),
            url=given["HTTP"],
            interval=given["Interval"],
        )
        self.checks[made.id] = made
        self._running[made.id] = asyncio.create_task(_watch(made), name=f"check {made.id}")

    def deregister(self, service: str) -> bool:
        """Forgets a service and its checks; whether it was there."""
        for check in [one for one in self.checks.values() if one.service == service]:
            self._end(check.id)
            del self.checks[check.id]
        return self.services.pop(service, None) is not None

    def documents(self) -> dict[str, Any]:
        return {
            id: {
                "ID": id,
                "Service": given["Name"],
                "Tags": given.get("Tags") or [],
                "Meta": {},
                "Address": given.get("Address", ""),
                "Port": given.get("Port", 0),
                "EnableTagOverride": False,
            }
            for id, given in self.services.items()
        }

    def _end(self, id: str) -> None:
        if (running := self._running.pop(id, None)) is not None:
            running.cancel()

    async def end(self) -> None:
        running, self._running = list(self._running.values()), {}
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _watch(check: Check) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session:
        while True:
            try:
                async with session.get(check.url) as response:
                    up = 200 <= response.status < 300
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                up = False
            check.status = "passing" if up else "critical"
            await asyncio.sleep(durations.seconds(check.interval))
