"""A whole service on the memory bus, with the shipped fake accelerator, in a folder of its own."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from dataclasses import field as late
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.config.load import Loaded
from edgex_inference.config.schema import (
    CORE_COMMAND,
    CORE_METADATA,
    Client,
    Configuration,
    Inference,
    MessageBus,
    Seconds,
    Service,
    Trigger,
)
from edgex_inference.contracts.errors import MessageError
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, events, topics, wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import new_id
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.engine.probe import Found
from edgex_inference.engine.terms import LaneSettings
from edgex_inference.service import Service as InferenceService
from edgex_inference.testing.fake_accelerator import DEVICES, Control, control, write_model

PATIENCE = 60.0
"""Seconds until a test gives up on something that must happen, however busy the machine is."""

_PLUGIN = EntryPoint(name="fake", value="edgex_inference.testing.fake_accelerator:PLUGIN", group=GROUP)
DIALECT = Dialect(major="4")


@dataclass(frozen=True)
class Heard:
    """An event as somebody else on the bus hears it."""

    topic: str
    correlation_id: str
    event: Event

    @property
    def values(self) -> dict[str, Any]:
        """Resource name → the reading's text, or its object."""
        return {
            reading.resource_name: reading.object_value if reading.value is None else reading.value
            for reading in self.event.readings
        }

    @property
    def status(self) -> str | None:
        return self.values.get("InferenceStatus")


@dataclass
class Stage:
    """Profiles, models and a hub; `running` has a service on it. Everything said on the bus is in `heard`."""

    folder: Path
    hub: MemoryHub = late(default_factory=MemoryHub)
    heard: list[Heard] = late(default_factory=list)
    service: InferenceService = late(init=False)
    inference: Mapping[str, Any] = late(default_factory=dict)
    http: Mapping[str, Any] = late(default_factory=dict)
    topics: str = "events/#"
    trigger: str = "edgex-messagebus"
    lanes: LaneSettings = LaneSettings(backoff=0.01, backoff_most=0.02)
    bus: MemoryBus | None = None
    catalog: Catalog | None = None
    hardware: Sequence[str] = ()
    """what the kernel lists beside the processor: with something `auto` considers the fake's NPU too"""
    metadata: int | None = None
    """the port of a core-metadata; without one none is asked"""
    command: int = 59882
    clients: Mapping[str, Client] = late(default_factory=dict)

    # What lies in the folders

    def write(self, name: str, content: object) -> None:
        path = self.folder / "profiles" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))

    def profile(self, name: str, **resources: tuple[str, Mapping[str, Any]] | str) -> None:
        """Resource → value type, or (value type, its inference block)."""
        found = []
        for resource, said in resources.items():
            kind, block = (said, None) if isinstance(said, str) else said
            properties: dict[str, Any] = {"valueType": kind, "readWrite": "R"}
            if block is not None:
                properties["optional"] = {"inference": block}
            found.append({"name": resource, "properties": properties})
        self.write(f"{name}.yaml", {"apiVersion": "v3", "name": name, "deviceResources": found})

    def model(
        self, name: str = "double", *, card: Mapping[str, Any] | None = None, **keys: object
    ) -> Control:
        """A model whose answer is 2x + 1 unless `keys` say otherwise; the strings on it."""
        folder = self.folder / "models" / name / "1"
        path = write_model(folder / "model.fake", **{"shape": [None, 1], **keys})
        said: dict[str, Any] = {
            "schema": 1,
            "name": name,
            "version": "1",
            "task": "raw",
            "files": [{"path": "model.fake", "format": "fake"}],
            "inputs": {"x": {"kind": "vector"}},
            "outputs": {"y": {}},
            **(card or {}),
        }
        (folder / "model.yaml").write_text(yaml.safe_dump(said))
        return control(path)

    def add(self, model: str, name: str, content: bytes | object) -> None:
        """A file beside a model."""
        path = self.folder / "models" / model / "1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())

    def simple(self, profile: str = "pump", *, datatype: str = "FP32", **more: object) -> Control:
        """The smallest useful stage: resource X of a profile through the model `double` to Y."""
        self.profile(profile, X=("Float32", {"Twice": binding(**more)}))
        return self.model(datatype=datatype)

    # The service

    def loaded(self) -> Loaded:
        asked = "none" if self.metadata is None else "auto"
        defaults = {"drain_timeout": Seconds(5.0), "edgex_version": "4", "metadata": asked}
        inference = Inference(**{**defaults, **self.inference})
        config = Configuration(
            service=Service(port=0, server_bind_addr="127.0.0.1", **self.http),
            message_bus=MessageBus(type="memory"),
            trigger=Trigger(type=self.trigger, subscribe_topics=self.topics),
            clients={
                CORE_METADATA: Client(host="127.0.0.1", port=self.metadata or 59881),
                CORE_COMMAND: Client(host="127.0.0.1", port=self.command),
                **self.clients,
            },
            inference=inference,
        )
        return Loaded(
            config=config,
            service_key="app-inference",
            file=None,
            profiles=self.folder / "profiles",
            models=self.folder / "models",
            cache=None,
            notes=(),
            state=self.folder / "state",
        )

    @asynccontextmanager
    async def running(self, *, settled: bool = True) -> AsyncIterator[InferenceService]:
        """The service from its start to the end of `run`; `settled`: every binding runs or is inactive."""
        fake = Catalog(
            [_PLUGIN],
            probe=lambda _value, _deadline: Found(devices=DEVICES),
            hardware=lambda: self.hardware,
        )
        catalog = self.catalog or fake
        self.service = InferenceService(self.loaded(), self.bus or MemoryBus(self.hub), catalog=catalog)
        self.service.engine.fleet._settings = self.lanes
        witness = MemoryBus(self.hub, name="witness")
        await witness.open()
        listening = asyncio.create_task(self._listen(witness))
        work = asyncio.create_task(self.service.run())
        try:
            async with asyncio.timeout(PATIENCE):
                begun = asyncio.create_task(self.service.started.wait())
                await asyncio.wait((begun, work), return_when=asyncio.FIRST_COMPLETED)
                begun.cancel()
                if work.done():
                    await work
                for run in self.service.router.runs if settled else ():
                    await run.settled.wait()
            self.sender = MemoryBus(self.hub, name="sender")
            await self.sender.open()
            yield self.service
        finally:
            self.service.stop()
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(work, return_exceptions=True)
            await witness.close()
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
        await work

    async def stop(self) -> None:
        """Asks the service to stop, and waits until nothing of it is on the bus any more."""
        self.service.stop()
        await self.until(lambda: not self.service.bus.connected)

    async def _listen(self, witness: MemoryBus) -> None:
        async with witness.subscribe("#") as bursts:
            async for burst in bursts:
                self.heard += [one for message in burst if (one := _ours(message)) is not None]

    # What goes in

    async def send(self, *sent: Event | Message, correlation_id: str = "") -> None:
        for one in sent:
            message = one if isinstance(one, Message) else encode(one, correlation_id or new_id())
            await self.sender.publish(message)

    # What comes out

    async def until(self, true: Callable[[], bool]) -> None:
        """Lets the loop turn until something holds that nothing else tells of."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not true():  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
        except TimeoutError:
            known = [(one.topic, one.values) for one in self.heard[-5:]]
            counted = [run.measures.counters() for run in self.service.router.runs]
            raise AssertionError(f"it did not come true; heard last: {known}; counted: {counted}") from None

    def results(self, device: str | None = None) -> Sequence[Heard]:
        """The results heard so far, without the status events."""
        return [
            one
            for one in self.heard
            if one.status is None and (device is None or one.event.device_name == device)
        ]

    def statuses(self, device: str | None = None) -> list[str | None]:
        return [one.status for one in self.heard if one.status and device in (None, one.event.device_name)]

    async def have(self, count: int, device: str | None = None) -> Sequence[Heard]:
        """The results, once there are this many."""
        await self.until(lambda: len(self.results(device)) >= count)
        return self.results(device)

    def counters(self, name: str = "Twice") -> Mapping[str, Any]:
        """The counters of the binding of this name, which is the only one."""
        (found,) = [run for run in self.service.router.runs if run.binding.name == name]
        return found.measures.counters()

    async def through(self, count: int, name: str = "Twice") -> Mapping[str, Any]:
        """The counters, once each of `count` events has its fate."""
        await self.until(lambda: accounted(self.counters(name)) >= count)
        counters = self.counters(name)
        assert counters["received"] == accounted(counters) == count
        return counters

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and body of a page."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.service.port}{path}") as answer,
        ):
            return answer.status, await answer.json()


def binding(**more: object) -> dict[str, Any]:
    """A block over the model `double` that publishes Y."""
    return {"model": {"name": "double"}, "outputs": {"Y": {"value": "y.0", "type": "Float64"}}, **more}


def accounted(counters: Mapping[str, Any]) -> int:
    """How many events have their fate."""
    lost = sum(counters["dropped"].values()) + sum(counters["failed"].values())
    return int(counters["published"] + counters["suppressed"] + lost)


def reading(name: str, value: object, kind: ValueType = ValueType.FLOAT32) -> Reading:
    if kind is ValueType.BINARY:
        assert isinstance(value, bytes)
        return Reading(
            resource_name=name, value_type=kind, binary_value=value, media_type="image/png", origin=7
        )
    if kind is ValueType.OBJECT:
        return Reading(resource_name=name, value_type=kind, object_value=value, origin=7)
    return Reading(resource_name=name, value_type=kind, value=None if value is None else str(value), origin=7)


def event(
    device: str,
    *readings: Reading,
    profile: str = "pump",
    origin: int = 7,
    source: str = "All",
    **numbers: object,
) -> Event:
    """An event of these readings, and of numbers by resource name."""
    given = [*readings, *(reading(name, value) for name, value in numbers.items())]
    return Event(
        api_version="v3",
        id=new_id(),
        device_name=device,
        profile_name=profile,
        source_name=source,
        origin=origin,
        readings=tuple(
            Reading(
                origin=one.origin,
                device_name=device,
                profile_name=profile,
                resource_name=one.resource_name,
                value_type=one.value_type,
                value=one.value,
                binary_value=one.binary_value,
                media_type=one.media_type,
                object_value=one.object_value,
            )
            for one in given
        ),
    )


def encode(one: Event, correlation_id: str) -> Message:
    """The message of a device service; unlike ours it may carry what no consumer takes."""
    topic = topics.event_topic(
        DIALECT,
        service="device-virtual",
        profile=one.profile_name,
        device=one.device_name,
        source=one.source_name,
    )
    binary = any(reading.binary_value for reading in one.readings)
    return wire._message(one, topic, correlation_id, DIALECT, request=True, binary=binary)


def _ours(message: Message) -> Heard | None:
    try:
        read = envelope.read(message, max_bytes=1 << 20)
        found = events.read(read)
    except MessageError:
        return None
    if found is None or not topics.is_own_event(found):
        return None
    return Heard(message.topic, read.correlation_id, found)


@pytest.fixture
def stage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Stage:
    caplog.set_level(logging.INFO, logger="edgex_inference")
    made = Stage(tmp_path)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "models").mkdir()
    return made


@pytest.fixture
def make() -> Any:
    """The words that tests build their input from: `make.event`, `make.reading`, `make.binding`, `make.accounted`."""

    class Make:
        event = staticmethod(event)
        reading = staticmethod(reading)
        binding = staticmethod(binding)
        accounted = staticmethod(accounted)
        encode = staticmethod(encode)

    return Make


@pytest.fixture
def threads() -> Callable[[], set[str]]:
    """The names of the threads that were not there when the test began; the loop's own pool ends with the loop."""
    before = set(threading.enumerate())
    found = lambda: {one.name for one in set(threading.enumerate()) - before if one.is_alive()}  # noqa: E731
    return lambda: {name for name in found() if not name.startswith("asyncio_")}
