"""`/deviceprofile` as a whole, and `/deviceresource`."""

import yaml
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
    labelled,
    page,
)
from edgex_inference.testing.metadata.shapes import Document, Mistyped
from edgex_inference.testing.metadata.state import Refused

LOCKED = "profile change is not allowed when StrictDeviceProfileChanges config is enabled"
_NOT_DELETED = "profile deletion is not allowed when StrictDeviceProfileDeletes config is enabled"
_UNITS = frozenset(("C", "F", "K", "lbs", "ounces", "kilos", "grams", ""))
"""of EdgeX's own dictionary"""


class Profiles:
    """Device profiles: what a device of a kind can say and be told."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._state = core.state
        self._shelf = core.state.profiles
        self._records = core.generation.records
        self._body = Body(
            go_type="DeviceProfileRequest",
            key="profile",
            member="Profile",
            shape=self._records.profile,
            check=checks.profile,
        )

    def routes(self) -> list[Route]:
        four_only = [Route("GET", "/deviceprofile/basicinfo/all", self.all_basic_info)]
        return [
            Route("POST", "/deviceprofile", self.add),
            Route("PUT", "/deviceprofile", self.put),
            Route("POST", "/deviceprofile/uploadfile", self.upload),
            Route("PUT", "/deviceprofile/uploadfile", self.upload_again),
            Route("GET", "/deviceprofile/all", self.all),
            Route("GET", "/deviceprofile/manufacturer/{manufacturer}", self.of_make),
            Route("GET", "/deviceprofile/model/{model}", self.of_make),
            Route("GET", "/deviceprofile/manufacturer/{manufacturer}/model/{model}", self.of_make),
            Route("GET", "/deviceprofile/name/{name}", self.get),
            Route("DELETE", "/deviceprofile/name/{name}", self.delete),
            Route("GET", "/deviceresource/profile/{name}/resource/{part}", self.get_resource),
            *(four_only if self._core.generation.four else ()),
        ]

    async def add(self, call: Call) -> web.Response:
        return await batch(self._core, call, self._body, self._add_one, 201)

    async def put(self, call: Call) -> web.Response:
        self._check_changes()
        return await batch(self._core, call, self._body, self._put_one, 200)

    async def upload(self, call: Call) -> web.Response:
        id = await self._add_one(call, Element(request_id="", record=await self._uploaded(call)))
        return answer(call, 201, call.said(201, id=id))

    async def upload_again(self, call: Call) -> web.Response:
        record = await self._uploaded(call)
        self._check_changes()
        await self._put_one(call, Element(request_id="", record=record))
        return answer(call, 200, call.said(200))

    async def all(self, call: Call) -> web.Response:
        found = [self._counted(record) for record in self._shelf.all(labelled(call))]
        return page(self._core, call, "profiles", found, self._records.profile)

    async def all_basic_info(self, call: Call) -> web.Response:
        found = [self._counted(record) for record in self._shelf.all(labelled(call))]
        return page(self._core, call, "profiles", found, self._records.basic_info)

    async def of_make(self, call: Call) -> web.Response:
        """By manufacturer, by model, or by both."""
        wanted = call.request.match_info.items()
        found = self._shelf.all(lambda record: all(record.get(key) == value for key, value in wanted))
        return page(self._core, call, "profiles", found, self._records.profile)

    async def get(self, call: Call) -> web.Response:
        record = self._counted(self._shelf.get(call.part("name")))
        return answer(call, 200, call.said(200) | {"profile": self._records.profile.write(record)})

    async def get_resource(self, call: Call) -> web.Response:
        for resource in self._shelf.get(call.part("name")).get("deviceResources", ()):
            if resource["name"] == call.part("part"):
                return answer(
                    call, 200, call.said(200) | {"resource": self._records.resource.write(resource)}
                )
        raise Refused(404, f"resource {call.part('part')} not exists")

    async def delete(self, call: Call) -> web.Response:
        if self._state.policies.strict_profile_deletes:
            raise Refused(423, _NOT_DELETED)
        name, noun = call.part("name"), self._shelf.noun
        if self._state.devices_with_profile(name):
            raise Refused(409, self._core.generation.in_use(noun, name, "device"))
        if self._state.watchers_with_profile(name):
            raise Refused(409, self._core.generation.in_use(noun, name, "provisionWatcher"))
        record = self._shelf.remove(name)
        await self.announce(call, "delete", record, ())
        return answer(call, 200, call.said(200))

    def _check_changes(self) -> None:
        if self._state.policies.strict_profile_changes:
            raise Refused(423, LOCKED)

    def _counted(self, record: Document) -> Document:
        return record | {"linkedDeviceCount": len(self._state.devices_with_profile(record["name"]))}

    async def _uploaded(self, call: Call) -> Document:
        """The YAML in the form field `file`; raises Refused."""
        form = await call.request.post()
        file = form.get("file")
        if not isinstance(file, web.FileField):
            raise Refused(400, "missing yaml file")
        try:
            record = self._records.profile.read(yaml.safe_load(file.file.read()))
        except (yaml.YAMLError, Mistyped, ValueError):
            raise Refused(400, "*dtos.DeviceProfile yaml decoding failed") from None
        if [*checks.profile("DeviceProfile", record, self._core.generation)]:
            raise Refused(400, "*dtos.DeviceProfile yaml decoding failed")
        return record

    async def _add_one(self, call: Call, element: Element) -> str:
        self.check_units(element.record.get("deviceResources", ()))
        made = self._shelf.add(_without_count(element.record))
        await self.announce(call, "add", made, ())
        return str(made["id"])

    async def _put_one(self, call: Call, element: Element) -> None:
        """4.0.2 stores what it got: a profile sent without id loses its id and its time of creation."""
        record = _without_count(element.record)
        self.check_units(record.get("deviceResources", ()))
        if record["name"] not in self._shelf and self._core.generation.four:
            raise Refused(404, f"device profile '{record['name']}' does not exist")
        old = self._shelf.get(record["name"])
        told = dict(record)
        if not self._core.generation.four:
            record |= {"id": old["id"], "created": old["created"]}
        changed = self._shelf.replace(record)
        told = told if self._core.generation.two else changed
        await self.announce(call, "update", told, self._state.services_with_profile(changed["name"]))

    def check_units(self, resources: list[Document] | tuple[()]) -> None:
        """Raises Refused (400) for a unit that EdgeX does not know, where units are validated."""
        for resource in resources if self._state.policies.validate_units else ():
            units = resource["properties"].get("units", "")
            if units not in _UNITS:
                raise Refused(400, f"DeviceResource {resource['name']} units {units} is invalid")

    async def announce(
        self, call: Call, action: str, record: Document, services: list[str] | tuple[()]
    ) -> None:
        """To everybody once, and once more to each service that has devices with this profile."""
        details = self._records.profile.write(record)
        for owner in ("core-metadata", *services):
            await self._core.bus.announce(
                "deviceprofile", action, owner, details, profile=record["name"], correlation=call.correlation
            )


def _without_count(record: Document) -> Document:
    return {key: value for key, value in record.items() if key != "linkedDeviceCount"}
