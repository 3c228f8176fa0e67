"""The records of EdgeX 2: numbers of properties are texts, watchers are flat, and times of contact are kept."""

from edgex_inference.testing.metadata.shapes import (
    Shape,
    Without,
    flag,
    free,
    list_of,
    of,
    record,
    records,
    table,
    text,
    texts,
    whole,
)

KEYS = {
    "device service": "md|ds:name",
    "device profile": "md|dp:name",
    "provision watcher": "md|pw:name",
}
"""the keys of 2.1's data base, which it names when something is not there"""

_STAMPS = (whole("created", Without.OMITTED), whole("modified", Without.OMITTED))
_SEEN = (whole("lastConnected", Without.OMITTED), whole("lastReported", Without.OMITTED))
_PROPERTIES = Shape(
    tuple(
        text(name, "")
        for name in (
            "valueType",
            "readWrite",
            "units",
            "minimum",
            "maximum",
            "defaultValue",
            "mask",
            "shift",
            "scale",
            "offset",
            "base",
            "assertion",
            "mediaType",
        )
    )
)
_EVENTS = records("autoEvents", Shape((text("interval", ""), flag("onChange"), text("sourceName", ""))))

RESOURCE = Shape(
    (
        text("description", ""),
        text("name", ""),
        flag("isHidden"),
        text("tag", ""),
        record("properties", _PROPERTIES, _PROPERTIES.write({})),
        table("attributes", None),
    )
)
COMMAND = Shape(
    (
        text("name", ""),
        flag("isHidden"),
        text("readWrite", ""),
        records(
            "resourceOperations",
            Shape((text("deviceResource", ""), text("defaultValue", ""), table("mappings", None, of(str)))),
            [],
        ),
    )
)
BASIC_INFO = Shape(
    (
        *_STAMPS,
        text("id", ""),
        text("name", ""),
        text("manufacturer", ""),
        text("description", ""),
        text("model", ""),
        texts("labels", None),
    )
)
PROFILE = Shape(
    (*BASIC_INFO.fields, records("deviceResources", RESOURCE, []), records("deviceCommands", COMMAND, []))
)
SERVICE = Shape(
    (
        *_STAMPS,
        text("id"),
        text("name", ""),
        text("description"),
        *_SEEN,
        texts("labels"),
        text("baseAddress", ""),
        text("adminState", ""),
    )
)
_PROTOCOLS = table("protocols", {}, table("", {}, of(str)).read)
DEVICE = Shape(
    (
        *_STAMPS,
        text("id"),
        text("name", ""),
        text("description"),
        text("adminState", ""),
        text("operatingState", ""),
        *_SEEN,
        texts("labels"),
        free("location"),
        text("serviceName", ""),
        text("profileName", ""),
        _EVENTS,
        _PROTOCOLS,
    )
)
WATCHER = Shape(
    (
        *_STAMPS,
        text("id"),
        text("name", ""),
        texts("labels"),
        table("identifiers", {}, of(str)),
        table("blockingIdentifiers", values=list_of(of(str))),
        text("profileName", ""),
        text("serviceName", ""),
        text("adminState", ""),
        _EVENTS,
    )
)

CHANGED_DEVICE = Shape(
    (
        text("id", ""),
        text("name", ""),
        text("description", ""),
        text("adminState", ""),
        text("operatingState", ""),
        whole("lastConnected", 0),
        whole("lastReported", 0),
        text("serviceName", ""),
        text("profileName", ""),
        texts("labels", []),
        free("location", None),
        records("autoEvents", _EVENTS.shape or Shape(()), None),
        _PROTOCOLS,
        flag("notify"),
    )
)
"""as device services are told of changes"""
CHANGED_SERVICE = Shape(
    (
        text("id", ""),
        text("name", ""),
        text("description", ""),
        whole("lastConnected", 0),
        whole("lastReported", 0),
        text("baseAddress", ""),
        texts("labels", []),
        text("adminState", ""),
    )
)
CHANGED_WATCHER = Shape(
    (
        text("id", ""),
        text("name", ""),
        texts("labels", []),
        table("identifiers", {}, of(str)),
        table("blockingIdentifiers", None, list_of(of(str))),
        text("profileName", ""),
        text("serviceName", ""),
        text("adminState", ""),
        records("autoEvents", _EVENTS.shape or Shape(()), None),
    )
)
