"""`/deviceservice` and `/provisionwatcher`."""

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
from edgex_inference.testing.metadata.shapes import Document
from edgex_inference.testing.metadata.state import Refused

_WATCHER = "provisionWatcher"


class Services:
    """Device services: who owns devices, and where they are called."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._shelf = core.state.services
        self._shape = core.generation.records.service
        self._add_body = Body(
            go_type="AddDeviceServiceRequest",
            key="service",
            member="Service",
            shape=self._shape,
            check=checks.service,
        )
        self._patch_body = Body(
            go_type="UpdateDeviceServiceRequest",
            key="service",
            member="Service",
            shape=self._shape,
            check=checks.service_update,
        )

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/deviceservice", self.add),
            Route("PATCH", "/deviceservice", self.patch),
            Route("GET", "/deviceservice/all", self.all),
            Route("GET", "/deviceservice/name/{name}", self.get),
            Route("DELETE", "/deviceservice/name/{name}", self.delete),
        ]

    async def add(self, call: Call) -> web.Response:
        return await batch(self._core, call, self._add_body, self._add_one, 201)

    async def patch(self, call: Call) -> web.Response:
        return await batch(self._core, call, self._patch_body, self._patch_one, 200)

    async def all(self, call: Call) -> web.Response:
        return page(self._core, call, "services", self._shelf.all(labelled(call)), self._shape)

    async def get(self, call: Call) -> web.Response:
        record = self._shelf.get(call.part("name"))
        return answer(call, 200, call.said(200) | {"service": self._shape.write(record)})

    async def delete(self, call: Call) -> web.Response:
        name = call.part("name")
        state = self._core.state
        for shelf in (state.devices, state.watchers):
            if shelf.all(lambda record: record["serviceName"] == name):
                by = "device" if shelf is state.devices else "provisionWatcher"
                raise Refused(409, self._core.generation.in_use(self._shelf.noun, name, by))
        record = self._shelf.remove(name)
        await self._announce(call, "delete", record)
        return answer(call, 200, call.said(200))

    async def _add_one(self, call: Call, element: Element) -> str:
        made = self._shelf.add(element.record)
        await self._announce(call, "add", element.record)  # as it was sent: without id and times
        return str(made["id"])

    async def _patch_one(self, call: Call, element: Element) -> None:
        change = element.record
        old = self._shelf.find(id=change.get("id", ""), name=change.get("name", ""))
        changed = old | change | {"id": old["id"]}
        self._shelf.replace(changed)
        await self._announce(call, "update", changed)

    async def _announce(self, call: Call, action: str, record: Document) -> None:
        details = self._shape.write(record)
        await self._core.bus.announce(
            "deviceservice", action, details["name"], details, correlation=call.correlation
        )


class Watchers:
    """Provision watchers: rules by which device services take what they discover."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._shelf = core.state.watchers
        self._shape = core.generation.records.watcher

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/provisionwatcher", self.add),
            Route("PATCH", "/provisionwatcher", self.patch),
            Route("GET", "/provisionwatcher/all", self.all),
            Route("GET", "/provisionwatcher/profile/name/{name}", self.with_profile),
            Route("GET", "/provisionwatcher/service/name/{name}", self.of_service),
            Route("GET", "/provisionwatcher/name/{name}", self.get),
            Route("DELETE", "/provisionwatcher/name/{name}", self.delete),
        ]

    async def add(self, call: Call) -> web.Response:
        body = Body(
            go_type="AddProvisionWatcherRequest",
            key=_WATCHER,
            member="ProvisionWatcher",
            shape=self._shape,
            check=checks.watcher,
        )
        return await batch(self._core, call, body, self._add_one, 201)

    async def patch(self, call: Call) -> web.Response:
        body = Body(
            go_type="UpdateProvisionWatcherRequest",
            key=_WATCHER,
            member="ProvisionWatcher",
            shape=self._shape,
            check=checks.update,
        )
        return await batch(self._core, call, body, self._patch_one, 200)

    async def all(self, call: Call) -> web.Response:
        return self._page(call, self._shelf.all(labelled(call)))

    async def with_profile(self, call: Call) -> web.Response:
        return self._page(call, self._core.state.watchers_with_profile(call.part("name")))

    async def of_service(self, call: Call) -> web.Response:
        name = call.part("name")
        return self._page(call, self._shelf.all(lambda record: record["serviceName"] == name))

    async def get(self, call: Call) -> web.Response:
        record = self._shelf.get(call.part("name"))
        return answer(call, 200, call.said(200) | {_WATCHER: self._shape.write(record)})

    async def delete(self, call: Call) -> web.Response:
        record = self._shelf.remove(call.part("name"))
        await self._announce(call, "delete", record)
        return answer(call, 200, call.said(200))

    def _page(self, call: Call, found: list[Document]) -> web.Response:
        return page(self._core, call, f"{_WATCHER}s", found, self._shape)

    async def _add_one(self, call: Call, element: Element) -> str:
        profile = self._profile(element.record)
        if profile and profile not in self._core.state.profiles:
            raise Refused(404, f"device profile '{profile}' does not exists")
        made = self._shelf.add(element.record)
        await self._announce(call, "add", element.record)  # as it was sent: without id and times
        return str(made["id"])

    async def _patch_one(self, call: Call, element: Element) -> None:
        change = element.record
        old = self._shelf.find(id=change.get("id", ""), name=change.get("name", ""))
        changed = old | change | {"id": old["id"]}
        if not self._core.generation.two:
            discovered = old.get("discoveredDevice", {}) | change.get("discoveredDevice", {})
            changed["discoveredDevice"] = discovered
        self._shelf.replace(changed)
        await self._announce(call, "update", changed)

    async def _announce(self, call: Call, action: str, record: Document) -> None:
        await self._core.bus.announce(
            "provisionwatcher",
            action,
            record["serviceName"],
            self._shape.write(record),
            profile=self._profile(record),
            correlation=call.correlation,
        )

    def _profile(self, record: Document) -> str:
        return self._core.state.profile_of_watcher(record)
