"""What core-metadata finds wrong in a record, in its own words: the reasons for answering a whole call with 400."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from edgex_inference.contracts.values import value_type
from edgex_inference.edgex.ids import is_id
from edgex_inference.testing.metadata.generations import Generation
from edgex_inference.testing.metadata.shapes import Document

_STATES = ("LOCKED", "UNLOCKED")
_OPERATING = ("UP", "DOWN", "UNKNOWN")
_ACCESS = ("R", "W", "RW", "WR")
_DURATION = re.compile(r"[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+")


def service(path: str, record: Document, generation: Generation) -> Iterator[str]:
    yield from _id(path, record, generation)
    yield from _name(f"{path}.Name", record.get("name"), generation)
    yield from _address(f"{path}.BaseAddress", record.get("baseAddress", ""), generation)
    yield from _one_of(f"{path}.AdminState", record.get("adminState", ""), _STATES)


def service_update(path: str, record: Document, generation: Generation) -> Iterator[str]:
    yield from _named(path, record)
    if "baseAddress" in record:
        yield from _address(f"{path}.BaseAddress", record["baseAddress"], generation)
    if "adminState" in record:
        yield from _one_of(f"{path}.AdminState", record["adminState"], _STATES)


def device(path: str, record: Document, generation: Generation) -> Iterator[str]:
    yield from _id(path, record, generation)
    yield from _name(f"{path}.Name", record.get("name"), generation)
    yield from _one_of(f"{path}.AdminState", record.get("adminState", ""), _STATES)
    yield from _one_of(f"{path}.OperatingState", record.get("operatingState", ""), _OPERATING)
    yield from _required(f"{path}.ServiceName", record.get("serviceName"))
    if not generation.four:
        yield from _required(f"{path}.ProfileName", record.get("profileName"))
    yield from _auto_events(path, record, generation)
    if record.get("protocols") is None:
        yield f"{path}.Protocols field is required"
    elif not generation.four and not record["protocols"]:
        yield f"{path}.Protocols field should greater than 0"


def device_update(path: str, record: Document, generation: Generation) -> Iterator[str]:
    yield from _named(path, record)
    if "adminState" in record:
        yield from _one_of(f"{path}.AdminState", record["adminState"], _STATES)
    if "operatingState" in record:
        yield from _one_of(f"{path}.OperatingState", record["operatingState"], _OPERATING)
    yield from _auto_events(path, record, generation)


def watcher(path: str, record: Document, generation: Generation) -> Iterator[str]:
    yield from _id(path, record, generation)
    yield from _name(f"{path}.Name", record.get("name"), generation)
    yield from _required(f"{path}.ServiceName", record.get("serviceName"))
    if not record.get("identifiers"):
        yield f"{path}.Identifiers field should greater than 0"
    yield from _one_of(f"{path}.AdminState", record.get("adminState", ""), _STATES)
    if generation.two:
        yield from _auto_events(path, record, generation)
        return
    discovered = record.get("discoveredDevice", {})
    yield from _one_of(f"{path}.DiscoveredDevice.AdminState", discovered.get("adminState", ""), _STATES)
    yield from _auto_events(f"{path}.DiscoveredDevice", discovered, generation)


def update(path: str, record: Document, generation: Generation) -> Iterator[str]:
    """A patch of which only the name matters."""
    yield from _named(path, record)


def part_update(path: str, record: Document, generation: Generation) -> Iterator[str]:
    """A patch of a resource or a command, which has no id."""
    yield from _name(f"{path}.Name", record.get("name"), generation)


def profile(path: str, record: Document, generation: Generation) -> Iterator[str]:
    """Its fields; if they are right, how resources and commands fit together (one complaint at most)."""
    wrong = [*_profile_fields(path, record, generation)]
    yield from wrong or _inconsistent(record)


def _profile_fields(path: str, record: Document, generation: Generation) -> Iterator[str]:
    yield from _id(path, record, generation)
    yield from _name(f"{path}.Name", record.get("name"), generation)
    if generation.first and not record.get("deviceResources"):
        yield f"{path}.DeviceResources field should greater than 0"
    for index, one in enumerate(record.get("deviceResources", ())):
        yield from resource(f"{path}.DeviceResources[{index}]", one, generation)
    for index, one in enumerate(record.get("deviceCommands", ())):
        yield from command(f"{path}.DeviceCommands[{index}]", one, generation)


def resource(path: str, record: Document, generation: Generation) -> Iterator[str]:
    yield from _name(f"{path}.Name", record.get("name"), generation)
    properties = record.get("properties", {})
    if not properties.get("valueType"):
        yield f"{path}.Properties.ValueType field is required"
    elif not _known_type(properties):
        yield generation.invalid(f"{path}.Properties.ValueType", "edgex-dto-value-type")
    yield from _access(f"{path}.Properties.ReadWrite", properties.get("readWrite"))


def command(path: str, record: Document, generation: Generation) -> Iterator[str]:
    yield from _name(f"{path}.Name", record.get("name"), generation)
    yield from _access(f"{path}.ReadWrite", record.get("readWrite"))
    operations = record.get("resourceOperations", [])
    if not operations:
        yield f"{path}.ResourceOperations field should greater than 0"
    for index, one in enumerate(operations):
        yield from _required(f"{path}.ResourceOperations[{index}].DeviceResource", one.get("deviceResource"))


def _inconsistent(record: Document) -> Iterator[str]:
    access: dict[str, str] = {}
    for one in record.get("deviceResources", ()):
        name, properties = one["name"], one["properties"]
        if properties["valueType"] == "Binary" and "W" in properties["readWrite"]:
            yield f"write permission not support Binary value type for resource '{name}'"
            return
        if name in access:
            yield f"device resource {name} is duplicated"
            return
        access[name] = properties["readWrite"]
    seen: set[str] = set()
    for one in record.get("deviceCommands", ()):
        if one["name"] in seen:
            yield f"device command {one['name']} is duplicated"
            return
        seen.add(one["name"])
        for problem in _operations(one, access):
            yield problem
            return


def _operations(one: Document, access: dict[str, str]) -> Iterator[str]:
    wanted = one["readWrite"]
    for operation in one["resourceOperations"]:
        name = operation["deviceResource"]
        if name not in access:
            yield f"device command's resource {name} doesn't match any device resource"
        elif access[name] not in ("RW", "WR", wanted):
            yield f"device command's ReadWrite permission '{wanted}' doesn't align the device resource"


def _known_type(properties: Document) -> bool:
    """Whether the value type exists; its spelling is brought to EdgeX's."""
    try:
        properties["valueType"] = value_type(properties["valueType"]).value
    except ValueError:
        return False
    return True


def _name(path: str, value: Any, generation: Generation) -> Iterator[str]:
    """A name of a record's own; EdgeX 2 takes few characters."""
    wrong = [*_required(path, value)]
    yield from wrong
    if not wrong and generation.two and not set(value) <= set(generation.name_characters):
        allowed = generation.name_characters
        yield f"{path} field only allows unreserved characters which are {allowed}"


def _required(path: str, value: Any) -> Iterator[str]:
    if not value:
        yield f"{path} field is required"
    elif not str(value).strip():
        yield f"{path} field should not be empty string"


def _id(path: str, record: Document, generation: Generation) -> Iterator[str]:
    if record.get("id") and not is_id(record["id"]):
        yield f"{path}.Id field needs a uuid"


def _named(path: str, record: Document) -> Iterator[str]:
    if "id" not in record and "name" not in record:
        yield f"{path}.Id field is required if the Name is not present"
        yield f"{path}.Name field is required if the Id is not present"
    elif "id" in record and not is_id(record["id"]) and not (record["id"] == "" and record.get("name")):
        yield f"{path}.Id field needs a uuid"
    elif not record.get("name", "x").strip():
        yield f"{path}.Name field should not be empty string"


def _one_of(path: str, value: str, allowed: tuple[str, ...]) -> Iterator[str]:
    if value not in allowed:
        yield f"{path} field should be one of {' '.join(repr(one) for one in allowed)}"


def _access(path: str, value: Any) -> Iterator[str]:
    yield from _one_of(path, value, _ACCESS) if value else _required(path, value)


def _address(path: str, value: str, generation: Generation) -> Iterator[str]:
    if not value:
        yield f"{path} field is required"
    elif not urlsplit(value).scheme and not value.startswith("/"):
        yield generation.invalid(path, "uri")


def _auto_events(path: str, record: Document, generation: Generation) -> Iterator[str]:
    for index, one in enumerate(record.get("autoEvents", ())):
        here = f"{path}.AutoEvents[{index}]"
        if not one.get("interval"):
            yield f"{here}.Interval field is required"
        elif not _DURATION.fullmatch(one["interval"]):
            yield generation.bad_interval(f"{here}.Interval")
        yield from _required(f"{here}.SourceName", one.get("sourceName"))
