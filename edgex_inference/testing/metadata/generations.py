"""core-metadata 4.0.2, 3.1.1, 2.3.0 and 2.1.1: the records that each writes, and what else differs between them."""

from dataclasses import dataclass, field

from edgex_inference.testing.metadata.shapes import (
    Field,
    Shape,
    Without,
    flag,
    free,
    list_of,
    number,
    of,
    record,
    records,
    table,
    text,
    texts,
    whole,
)
from edgex_inference.testing.metadata.two import records as two


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The shapes of one generation."""

    service: Shape
    profile: Shape
    basic_info: Shape
    resource: Shape
    command: Shape
    device: Shape
    watcher: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One released core-metadata."""

    version: str
    four: bool
    """4.x: profiles are optional, devices have parents, `force` and `bypassValidation` are obeyed"""
    two: bool = False
    """2.x: /api/v2, device services are called over REST"""
    first: bool = False
    """2.1: nothing is validated by device services, nothing is said on the bus, profiles are edited whole"""
    records: Records = field(repr=False)
    router_json: str
    """the content type of answers that come from the router itself"""
    timeout_text: str
    timeout_type: str

    @property
    def api_version(self) -> str:
        return "v2" if self.two else "v3"

    @property
    def api(self) -> str:
        """How the path of every call begins."""
        return f"/api/{self.api_version}"

    @property
    def name_characters(self) -> str:
        """What names may consist of in EdgeX 2."""
        known = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~"
        return known if self.first else f"{known}:;="

    def missing(self, noun: str, name: str) -> str:
        key = two.KEYS.get(noun, "") if self.first else ""
        if key:
            kind = "".join(word.capitalize() for word in noun.split())
            return f"fail to query object *models.{kind}, because {name}: {key} doesn't exist in the database"
        return f"no {noun} with name '{name}' found" if self.four else f"fail to query {noun} by name {name}"

    def not_deleted(self, noun: str, name: str) -> str:
        """The text for deleting what is not there."""
        if self.two and noun in ("device profile", "device service"):
            return f"fail to delete the {noun} with name {name}"
        return self.missing(noun, name)

    def invalid(self, path: str, tag: str) -> str:
        """The text for a field that broke a rule which has no text of its own."""
        said = f"{path} field validation failed on the {tag} tag"
        return f"{said} with value ''" if self.four else said

    def bad_interval(self, path: str) -> str:
        said = f"{path} field should follows the ISO 8601 Durations format"
        if self.four:
            return f"{said}, e.g.,100ms, 24h, or be greater than or equal to the minimum value 1ms "
        return f"{said}. Eg,100ms, 24h"

    def duplicate(self, noun: str, name: str) -> str:
        exists = "exists" if not self.four and noun == "device profile" else "already exists"
        return f"{noun} name {name} {exists}"

    def in_use(self, noun: str, name: str, by: str) -> str:
        """The text for deleting what others refer to."""
        if self.four or self.first:
            return f"fail to delete the {noun} when associated {by} exists"
        return f"fail to delete the {noun} with name {name}"

    def out_of_range(self, total: int, offset: int, limit: int, service: str) -> str:
        if service and not self.four:
            return f"fail to query devices by offset {offset}, limit {limit} and name {service}"
        said = f"query objects bounds out of range. length:{total}"
        return f"{said} offset:{offset}" if self.four else said


def generation(version: str) -> Generation:
    """The generation of this version; raises ValueError naming those there are."""
    for one in _ALL:
        if one.version == version:
            return one
    raise ValueError(
        f"no double of core-metadata {version}; there are {', '.join(one.version for one in _ALL)}"
    )


def _records_of(*, four: bool) -> Records:
    """4.0 leaves most empty fields out; 3.1 writes many of them as `""` or null."""
    resource, command, info = _resource(four), _command(four), _basic_info(four)
    version = (text("apiVersion", "v3"),) if four else ()
    parts = (records("deviceResources", resource, []), records("deviceCommands", command, []))
    events = records("autoEvents", _auto_event(four))
    return Records(
        service=_service(four),
        profile=Shape((*info, *parts, *version)),
        basic_info=Shape(info),
        resource=resource,
        command=command,
        device=_device(four, events),
        watcher=_watcher(four, events),
    )


_STAMPS = (whole("created", Without.OMITTED), whole("modified", Without.OMITTED))
_PROPERTIES = Shape(
    (
        text("valueType", ""),
        text("readWrite", ""),
        text("units"),
        number("minimum"),
        number("maximum"),
        text("defaultValue"),
        whole("mask"),
        whole("shift"),
        number("scale"),
        number("offset"),
        number("base"),
        text("assertion"),
        text("mediaType"),
        table("optional"),
    )
)


def _properties(four: bool) -> Field:
    return table("properties", {} if four else Without.OMITTED)


def _basic_info(four: bool) -> tuple[Field, ...]:
    nothing = Without.OMITTED if four else ""
    info = (
        *_STAMPS,
        text("id", nothing),
        text("name", ""),
        text("manufacturer", nothing),
        text("description", nothing),
        text("model", nothing),
        texts("labels", Without.OMITTED if four else None),
    )
    return (*info, whole("linkedDeviceCount", 0)) if four else info


def _resource(four: bool) -> Shape:
    return Shape(
        (
            text("description", Without.OMITTED if four else ""),
            text("name", ""),
            flag("isHidden"),
            record("properties", _PROPERTIES, _PROPERTIES.write({})),
            table("attributes", Without.OMITTED if four else None),
            table("tags"),
        )
    )


def _command(four: bool) -> Shape:
    operation = Shape(
        (
            text("deviceResource", ""),
            text("defaultValue", Without.OMITTED if four else ""),
            table("mappings", Without.OMITTED if four else None, of(str)),
        )
    )
    return Shape(
        (
            text("name", ""),
            flag("isHidden"),
            text("readWrite", ""),
            records("resourceOperations", operation, []),
            table("tags"),
        )
    )


def _auto_event(four: bool) -> Shape:
    retention = Shape((whole("maxCap", 0), whole("minCap", 0), text("duration", "")))
    kept = record("retention", retention, retention.write({}))
    if four:
        threshold = number("onChangeThreshold", 0)
        return Shape((text("interval", ""), flag("onChange"), threshold, text("sourceName", ""), kept))
    return Shape((text("interval", ""), flag("onChange"), text("sourceName", "")))


def _service(four: bool) -> Shape:
    fields = (
        *_STAMPS,
        text("id"),
        text("name", ""),
        text("description"),
        texts("labels"),
        text("baseAddress", ""),
        text("adminState", ""),
    )
    return Shape((*fields, _properties(four)) if four else fields)


def _device(four: bool, events: Field) -> Shape:
    return Shape(
        (
            *_STAMPS,
            text("id"),
            text("name", ""),
            *((text("parent"),) if four else ()),
            text("description"),
            text("adminState", ""),
            text("operatingState", ""),
            texts("labels"),
            free("location"),
            text("serviceName", ""),
            text("profileName", Without.OMITTED if four else ""),
            events,
            table("protocols", {}, values=table("", {}).read),
            table("tags"),
            _properties(four),
        )
    )


def _watcher(four: bool, events: Field) -> Shape:
    discovered = Shape((text("profileName", ""), text("adminState", ""), events, _properties(four)))
    return Shape(
        (
            *_STAMPS,
            text("id"),
            text("name", ""),
            text("serviceName", ""),
            texts("labels"),
            table("identifiers", {}, of(str)),
            table("blockingIdentifiers", values=list_of(of(str))),
            text("adminState", ""),
            record("discoveredDevice", discovered, discovered.write({})),
        )
    )


_TIMEOUT_PAGE = "<html><head><title>Timeout</title></head><body><h1>Timeout</h1></body></html>"
_ALL = (
    Generation(
        version="4.0.2",
        four=True,
        records=_records_of(four=True),
        router_json="application/json",
        timeout_text="request timeout",
        timeout_type="text/plain",
    ),
    Generation(
        version="3.1.1",
        four=False,
        records=_records_of(four=False),
        router_json="application/json; charset=UTF-8",
        timeout_text=_TIMEOUT_PAGE,
        timeout_type="text/html",
    ),
    *(
        Generation(
            version=version,
            four=False,
            two=True,
            first=version == "2.1.1",
            records=Records(
                service=two.SERVICE,
                profile=two.PROFILE,
                basic_info=two.BASIC_INFO,
                resource=two.RESOURCE,
                command=two.COMMAND,
                device=two.DEVICE,
                watcher=two.WATCHER,
            ),
            router_json="text/plain",
            timeout_text=_TIMEOUT_PAGE,
            timeout_type="text/html",
        )
        for version in ("2.3.0", "2.1.1")
    ),
)
