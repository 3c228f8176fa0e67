"""`/deviceprofile/basicinfo`, `/resource`, `/deviceCommand` and `/tags`: edits of a profile's parts."""

from dataclasses import dataclass
from functools import partial
from typing import Any

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
    single,
)
from edgex_inference.testing.metadata.generations import Generation
from edgex_inference.testing.metadata.profiles import LOCKED, Profiles
from edgex_inference.testing.metadata.shapes import Document, Shape, flag, records, table, text, texts
from edgex_inference.testing.metadata.state import Refused

_IN_USE = "fail to update the device profile when associated device exists"
_TAGS = Shape((text("name"), table("tags")))
_INFO = Body(
    go_type="DeviceProfileBasicInfoRequest",
    key="basicinfo",
    member="BasicInfo",
    shape=Shape(
        (text("id"), text("name"), text("manufacturer"), text("description"), text("model"), texts("labels"))
    ),
    check=checks.update,
)
_TAG_CHANGE = Body(
    go_type="DeviceProfileTagsRequest",
    key="",
    member="",
    shape=Shape((records("deviceResources", _TAGS), records("deviceCommands", _TAGS))),
    check=lambda *_: iter(()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Resources or commands: the list in the profile, what they are called, how they are added and changed."""

    list: str
    noun: str
    add: Body
    change: Body


def _resource(generation: Generation) -> _Part:
    change = Shape((text("description"), text("name"), flag("isHidden")))
    return _Part(
        list="deviceResources",
        noun="device resource",
        add=_body("AddDeviceResourceRequest", "Resource", generation.records.resource, checks.resource),
        change=_body("UpdateDeviceResourceRequest", "Resource", change, checks.part_update),
    )


def _command(generation: Generation) -> _Part:
    change = Shape((text("name"), flag("isHidden")))
    return _Part(
        list="deviceCommands",
        noun="device command",
        add=_body("AddDeviceCommandRequest", "DeviceCommand", generation.records.command, checks.command),
        change=_body("UpdateDeviceCommandRequest", "DeviceCommand", change, checks.part_update),
    )


def _body(go_type: str, member: str, shape: Shape, check: Any) -> Body:
    return Body(go_type=go_type, key=member, member=member, shape=shape, check=check, with_profile=True)


class ProfileParts:
    """Deleting a part is refused while devices use the profile; adding and changing one is not."""

    def __init__(self, core: Core, profiles: Profiles) -> None:
        self._core = core
        self._profiles = profiles
        self._shelf = core.state.profiles

    def routes(self) -> list[Route]:
        tags = Route("PATCH", "/deviceprofile/name/{name}/tags", self.patch_tags)
        return [
            Route("PATCH", "/deviceprofile/basicinfo", self.patch_info),
            *self._part_routes("resource", _resource(self._core.generation)),
            *self._part_routes("deviceCommand", _command(self._core.generation)),
            *((tags,) if self._core.generation.four else ()),
        ]

    def _part_routes(self, word: str, part: _Part) -> list[Route]:
        async def add(call: Call) -> web.Response:
            return await batch(self._core, call, part.add, partial(self._add_one, part), 201)

        async def change(call: Call) -> web.Response:
            return await batch(self._core, call, part.change, partial(self._change_one, part), 200)

        async def delete(call: Call) -> web.Response:
            return await self._delete(call, part)

        return [
            Route("POST", f"/deviceprofile/{word}", add),
            Route("PATCH", f"/deviceprofile/{word}", change),
            Route("DELETE", f"/deviceprofile/name/{{name}}/{word}/{{part}}", delete),
        ]

    async def patch_info(self, call: Call) -> web.Response:
        return await batch(self._core, call, _INFO, self._patch_info, 200)

    async def patch_tags(self, call: Call) -> web.Response:
        """No batch: one request for one profile."""
        element = single(await call.request.read(), _TAG_CHANGE, self._core.generation)
        old = self._shelf.get(call.part("name"))
        changed = old | {
            part: _tagged(old.get(part, []), changes) for part, changes in element.record.items()
        }
        await self._store(call, changed)
        return answer(call, 200, call.said(200, request_id=element.request_id))

    async def _patch_info(self, call: Call, element: Element) -> None:
        change = element.record
        old = self._shelf.find(id=change.get("id", ""), name=change.get("name", ""))
        await self._store(call, old | {key: value for key, value in change.items() if key != "id"})

    async def _add_one(self, part: _Part, call: Call, element: Element) -> None:
        old = self._shelf.get(element.profile)
        if part.list == "deviceResources":
            self._profiles.check_units([element.record])
        changed = old | {part.list: [*old.get(part.list, ()), element.record]}
        self._check(changed)
        await self._store(call, changed)

    async def _change_one(self, part: _Part, call: Call, element: Element) -> None:
        old, change = self._shelf.get(element.profile), element.record
        kept = old.get(part.list, [])
        self._find(kept, change["name"], part)
        changed = [one | change if one["name"] == change["name"] else one for one in kept]
        await self._store(call, old | {part.list: changed})

    async def _delete(self, call: Call, part: _Part) -> web.Response:
        state = self._core.state
        if state.policies.strict_profile_changes:
            raise Refused(423, LOCKED)
        if state.devices_with_profile(call.part("name")):
            raise Refused(409, _IN_USE)
        old, name = self._shelf.get(call.part("name")), call.part("part")
        kept = old.get(part.list, [])
        self._find(kept, name, part)
        changed = old | {part.list: [one for one in kept if one["name"] != name]}
        self._check(changed)
        await self._store(call, changed)
        return answer(call, 200, call.said(200))

    def _find(self, kept: list[Document], name: str, part: _Part) -> None:
        if all(one["name"] != name for one in kept):
            raise Refused(404, f"{part.noun} not found")

    def _check(self, profile: Document) -> None:
        for problem in checks.profile("DeviceProfile", profile, self._core.generation):
            raise Refused(400, problem)

    async def _store(self, call: Call, changed: Document) -> None:
        """The event shows the time of the modification before this one, as core-metadata's does."""
        self._shelf.replace(changed)
        if self._core.generation.two:
            return  # device services are told of whole profiles only
        services = self._core.state.services_with_profile(changed["name"])
        await self._profiles.announce(call, "update", changed, services)


def _tagged(parts: list[Document], changes: list[Document]) -> list[Document]:
    """New tags come beside the old ones, or in place of those of the same key."""
    new = {change.get("name", ""): change.get("tags", {}) for change in changes}
    return [
        part | {"tags": part.get("tags", {}) | new[part["name"]]} if part["name"] in new else part
        for part in parts
    ]
