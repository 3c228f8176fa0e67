"""Where a binding's readings come from when it does not wait for them on the bus: `poll` and `trigger`."""

from typing import Literal, cast

from edgex_inference.bindings.later import Later
from edgex_inference.config.places import suggest
from edgex_inference.config.reader import Reader
from edgex_inference.contracts.bindings import Poll, Trigger

_OURS = frozenset({"ds-pushevent", "ds-returnevent", "ds-regexcmd"})
_SHORTEST = 0.01


def sources(
    reader: Reader, later: Later, resources: frozenset[str] | None
) -> tuple[Poll | None, Trigger | None]:
    """`poll: {when, interval, command, query}` and `trigger: {device, resource, edge, delay}`.

    `resources` are those of the profile, where it is known.
    """
    trigger = _trigger(reader, resources)
    poll = _poll(reader, later, triggered="trigger" in reader.keys)
    if trigger is not None and "poll" not in reader.keys:
        later.note_key(reader, "trigger")
    return poll, trigger


def _poll(around: Reader, later: Later, *, triggered: bool) -> Poll | None:
    reader = around.at("poll").reader()
    if reader is None:
        return None
    interval = reader.at("interval").duration()
    if interval is not None and interval < _SHORTEST:
        reader.at("interval").say("must be at least 10ms")
        interval = None
    default = "trigger" if triggered and interval is None else "interval"
    when = reader.at("when").choice(("interval", "trigger")) or default
    if when == "interval" and not reader.at("interval").given:
        reader.lack("interval", "needs an interval, such as interval: 1s, or when: trigger")
    elif when == "trigger" and not triggered:
        around.lack("trigger", "poll.when: trigger needs a trigger, such as trigger: {resource: Motion}")
    elif when == "trigger" and interval is not None:
        reader.at("interval").say("when: trigger takes no interval: remove one of them")
    later.note(reader.at("mediaProfile")).text()
    command = reader.at("command").text()
    query = {}
    if given := reader.at("query").reader():
        for key, cursor in given.each():
            if key in _OURS:
                given.say_key(key, f"{key} is set by the service: remove it")
            text = cursor.text()
            if text is not None:
                query[key] = text
    reader.close()
    return Poll(interval=None if when == "trigger" else interval, command=command, query=query)


def _trigger(around: Reader, resources: frozenset[str] | None) -> Trigger | None:
    reader = around.at("trigger").reader()
    if reader is None:
        return None
    device = reader.at("device").text()
    resource = reader.need("resource").text()
    if device is None and resource is not None and resources is not None and resource not in resources:
        hint = suggest(resource, resources) or "; name the device that has it in trigger.device"
        reader.at("resource").say(f"{resource!r} is no resource of this profile{hint}")
    edge = reader.at("edge").choice(("rising", "falling", "change", "any")) or "rising"
    delay = reader.at("delay").duration()
    reader.close()
    if resource is None:
        return None
    return Trigger(
        resource=resource,
        device=device,
        edge=cast(Literal["rising", "falling", "change", "any"], edge),
        delay=delay or 0.0,
    )
