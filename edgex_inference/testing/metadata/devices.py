"""`/device`."""

import re

from aiohttp import web

from edgex_inference.testing.metadata import checks
from edgex_inference.testing.metadata.calls import (
    Body,
    Call,
    Core,
    Element,
    Route,
    answer,
    batch,
    integer,
    labelled,
    page,
)
from edgex_inference.testing.metadata.shapes import Document
from edgex_inference.testing.metadata.state import Refused


class Devices:
    """Devices: each belongs to a device service, which is asked over the bus before one is taken or changed."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._state = core.state
        self._shelf = core.state.devices
        self._shape = core.generation.records.device

    def routes(self) -> list[Route]:
        four_only = [Route("GET", "/device/id/{id}", self.get_by_id)] if self._core.generation.four else []
        return [
            Route("POST", "/device", self.add),
            Route("PATCH", "/device", self.patch),
            Route("GET", "/device/all", self.all),
            Route("GET", "/device/check/name/{name}", self.check),
            Route("GET", "/device/profile/name/{name}", self.with_profile),
            Route("GET", "/device/service/name/{name}", self.of_service),
            Route("GET", "/device/name/{name}", self.get),
            Route("DELETE", "/device/name/{name}", self.delete),
            *four_only,
        ]

    async def add(self, call: Call) -> web.Response:
        body = Body(
            go_type="AddDeviceRequest", key="device", member="Device", shape=self._shape, check=checks.device
        )
        return await batch(self._core, call, body, self._add_one, 201)

    async def patch(self, call: Call) -> web.Response:
        body = Body(
            go_type="UpdateDeviceRequest",
            key="device",
            member="Device",
            shape=self._shape,
            check=checks.device_update,
        )
        return await batch(self._core, call, body, self._patch_one, 200)

    async def all(self, call: Call) -> web.Response:
        wanted = labelled(call)
        parent = call.request.query.get("descendantsOf", "") if self._core.generation.four else ""
        if parent:
            levels = integer(call, "maxLevels", 0, 0)
            return self._page(call, [one for one in self._state.descendants(parent, levels) if wanted(one)])
        return self._page(call, self._shelf.all(wanted))

    async def check(self, call: Call) -> web.Response:
        status = 200 if call.part("name") in self._shelf else 404
        return answer(call, status, call.said(status))

    async def with_profile(self, call: Call) -> web.Response:
        return self._page(call, self._state.devices_with_profile(call.part("name")))

    async def of_service(self, call: Call) -> web.Response:
        name = call.part("name")
        found = self._shelf.all(lambda record: record["serviceName"] == name)
        return page(self._core, call, "devices", found, self._shape, service=name)

    async def get(self, call: Call) -> web.Response:
        return self._shown(call, self._shelf.get(call.part("name")))

    async def get_by_id(self, call: Call) -> web.Response:
        return self._shown(call, self._shelf.find(id=call.part("id")))

    async def delete(self, call: Call) -> web.Response:
        name = call.part("name")
        self._shelf.get(name)
        if self._core.generation.four and self._state.descendants(name, 1):
            raise Refused(409, "cannot delete device with children")
        record = self._shelf.remove(name)
        await self._announce(call, "delete", record["serviceName"], record)
        return answer(call, 200, call.said(200))

    def _page(self, call: Call, found: list[Document]) -> web.Response:
        return page(self._core, call, "devices", found, self._shape)

    def _shown(self, call: Call, record: Document) -> web.Response:
        return answer(call, 200, call.said(200) | {"device": self._shape.write(record)})

    async def _add_one(self, call: Call, element: Element) -> str:
        record, four = element.record, self._core.generation.four
        self._check_service(record["serviceName"])
        forced = four and call.flag("force")
        if four:
            self._check_profile(record)
            if record["name"] in self._shelf:
                return await self._overwrite(call, record, forced)
        if not (forced or (four and call.flag("bypassValidation"))):
            await self._core.bus.validate(self._shape.write(record))
        if not four:
            self._check_profile(record)
        made = self._shelf.add(record)
        told = record if self._core.generation.two else made  # 2.3 tells what was sent: without id and times
        await self._announce(call, "add", made["serviceName"], told)
        return str(made["id"])

    async def _overwrite(self, call: Call, record: Document, forced: bool) -> str:
        """What `force` does to a device that exists: replaced without asking, and announced as an update."""
        if not forced:
            raise Refused(409, self._core.generation.duplicate(self._shelf.noun, record["name"]))
        old = self._shelf.get(record["name"])
        changed = {"id": old["id"], "created": old["created"]} | record
        self._shelf.replace(changed)
        await self._announce_update(call, old, changed)
        return str(changed["id"])

    async def _patch_one(self, call: Call, element: Element) -> None:
        change = element.record
        if "serviceName" in change:
            self._check_service(change["serviceName"])
        old = self._shelf.find(id=change.get("id", ""), name=change.get("name", ""))
        changed = old | change | {"id": old["id"], "name": old["name"]}
        if self._core.generation.four:
            self._check_profile(changed)
        if not (self._core.generation.four and call.flag("bypassValidation")):
            await self._core.bus.validate(self._shape.write(changed))
        if not self._core.generation.four:
            self._check_profile(changed)
        self._shelf.replace(changed)
        await self._announce_update(call, old, changed)

    def _check_service(self, name: str) -> None:
        if name in self._state.services:
            return
        said, generation = f"device service '{name}' does not exists", self._core.generation
        if generation.two and not generation.first:
            said = generation.missing("device service", name)
        raise Refused(404 if generation.two else 400, said)

    def _check_profile(self, record: Document) -> None:
        """4.0 looks at the sources of auto events too, and calls a missing profile a bad request."""
        name, four = record.get("profileName", ""), self._core.generation.four
        if four and not name:
            return
        if name not in self._state.profiles and four:
            raise Refused(
                400, f"device profile '{name}' not found during validating device '{record['name']}'"
            )
        if name not in self._state.profiles:
            raise Refused(404, f"device profile '{name}' does not exists")
        for event in record.get("autoEvents", ()) if four else ():
            if not self._is_source(name, event["sourceName"]):
                said = f"auto event source '{event['sourceName']}' cannot be found in the device profile '{name}'"
                raise Refused(400, said)

    def _is_source(self, profile: str, source: str) -> bool:
        """Whether a resource or a command has this name; resources may be named by a regular expression."""
        record = self._state.profiles.get(profile)
        commands = (one["name"] for one in record.get("deviceCommands", ()))
        resources = (one["name"] for one in record.get("deviceResources", ()))
        return source in commands or any(source == one or re.fullmatch(source, one) for one in resources)

    async def _announce_update(self, call: Call, old: Document, changed: Document) -> None:
        """To the former owner too, where the device has moved."""
        for owner in dict.fromkeys((old["serviceName"], changed["serviceName"])):
            await self._announce(call, "update", owner, changed)

    async def _announce(self, call: Call, action: str, owner: str, record: Document) -> None:
        await self._core.bus.announce(
            "device",
            action,
            owner,
            self._shape.write(record),
            profile=record.get("profileName", ""),
            correlation=call.correlation,
        )
