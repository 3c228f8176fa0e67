"""Every EdgeX topic that we publish on or subscribe to, with names escaped where they must be."""

from urllib.parse import quote, unquote

from edgex_inference.contracts.events import Event
from edgex_inference.edgex.dialect import Dialect

SERVICE_KEY = "app-inference"
DEVICE_SERVICE_KEY = "device-inference"
COMPANION_SUFFIX = "-inference"
_GO_PATH_SAFE = "$&=:@"
_ALSO_ESCAPED = {ord("-"): "%2D", ord("."): "%2E", ord("_"): "%5F", ord("~"): "%7E"}
_BREAKS_TOPICS = frozenset("/+#%\0")


def escape(name: str) -> str:
    """A name as one topic level, escaped as EdgeX's own URLEncode does."""
    return quote(name, safe=_GO_PATH_SAFE).translate(_ALSO_ESCAPED)


def unescape(level: str) -> str:
    """The name in a topic level, escaped or not."""
    return unquote(level)


def event_topic(
    dialect: Dialect, *, service: str, profile: str, device: str, source: str, prefix: str | None = None
) -> str:
    """Where the event of these names is published: `<base>/events/device/<service>/<profile>/<device>/<source>`.

    EdgeX 2 has no service level; `prefix` stands in place of `events/device`. The last three levels are the
    event's own names, which core-data insists on.
    """
    names = [_level(dialect, name) for name in (profile, device, source)]
    if dialect.major != "2":
        names.insert(0, _level(dialect, service))
    return under_base(dialect, "/".join((prefix.strip("/") if prefix else "events/device", *names)))


def rules_topic(dialect: Dialect) -> str:
    """Where rule engines expect bare events; EdgeX 2 puts no base in front."""
    return "rules-events" if dialect.major == "2" else under_base(dialect, "rules-events")


def telemetry_topic(dialect: Dialect, *, service: str, metric: str) -> str:
    """Where a metric of a service is published; its names are never escaped."""
    return under_base(dialect, f"telemetry/{service}/{metric}")


def event_filter(
    dialect: Dialect, *, profile: str | None = None, device: str | None = None, source: str | None = None
) -> str:
    """The subscription to device events of these names, None meaning any; it may match more, never less.

    A name that breaks topics arrives in a form that depends on its publisher's switch, so it widens the filter.
    """
    levels = [] if dialect.major == "2" else ["+"]
    full = len(levels) + 3
    for name in (profile, device, source):
        if name is not None and not dialect.escape_names and not _BREAKS_TOPICS.isdisjoint(name):
            break
        levels.append("+" if name is None else _level(dialect, name))
    while levels and levels[-1] == "+":
        levels.pop()
    if len(levels) < full:
        levels.append("#")
    return under_base(dialect, "/".join(("events/device", *levels)))


def under_base(dialect: Dialect, topic: str) -> str:
    """A configured topic or filter, such as `events/#`, below the bus's base topic."""
    return f"{dialect.base_topic}/{topic}" if dialect.base_topic else topic


def is_own_topic(dialect: Dialect, topic: str, *, service_key: str = SERVICE_KEY) -> bool:
    """Whether an event topic names one of our services as its sender; cheap, before anything is decoded."""
    levels = topic.rsplit("/", 4)
    if len(levels) < 5 or dialect.major == "2":
        return False
    return unescape(levels[1]) in (service_key, SERVICE_KEY, DEVICE_SERVICE_KEY)


def is_own_event(event: Event) -> bool:
    """Whether an event is under a companion profile, as everything that we publish is."""
    return event.profile_name.endswith(COMPANION_SUFFIX)


def _level(dialect: Dialect, name: str) -> str:
    """Escaped where the bus's users agreed on it, or where the name would break the topic.

    Consumers unescape every level in any case, so a percent sign has to be escaped too.
    """
    if not name:
        raise ValueError("a topic level cannot be empty")
    return escape(name) if dialect.escape_names or not _BREAKS_TOPICS.isdisjoint(name) else name
