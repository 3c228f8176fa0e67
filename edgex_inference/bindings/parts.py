"""The parts of an inference block, each from its reader to its value; wrong parts become their default."""

import re
from typing import Literal, cast

from edgex_inference.bindings.later import Later
from edgex_inference.config.places import listed
from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.contracts.bindings import (
    AcceleratorChoice,
    Decide,
    InputReading,
    Limits,
    ModelChoice,
    Publish,
)
from edgex_inference.contracts.models import Normalize, Postprocess, Task
from edgex_inference.contracts.outputs import BUILT_TASKS

PRECISIONS = ("f32", "f16", "bf16", "int8", "native")
MOST_QUEUE = 1_000_000
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
ACCELERATOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
POINTER = re.compile(r"(/([^~/]|~0|~1)*)*")


def model(cursor: Cursor, later: Later) -> ModelChoice | None:
    """`model: {name, version, task, labels}`."""
    if _is_text(cursor):
        cursor.say(f"must be a map: write {{name: {cursor.plain()}}}")
        return None
    reader = cursor.reader()
    if reader is None:
        return None
    name = _folder_name(reader.need("name"))
    version = _folder_name(reader.at("version"))
    task = reader.at("task").choice([*Task])
    if task is not None and Task(task) not in BUILT_TASKS:
        later.note_value(reader.at("task"))
    chosen = _labels(reader.at("labels"))
    reader.close()
    if name is None:
        return None
    return ModelChoice(name=name, version=version, task=Task(task) if task else None, labels=chosen)


def _folder_name(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is not None and not FOLDER_NAME.fullmatch(text):
        cursor.say(f"{text!r} cannot be a folder of the model store: letters, digits and . _ + - only")
        return None
    return text


def _labels(cursor: Cursor) -> tuple[str, ...] | str | None:
    if not _is_text(cursor):
        found = cursor.texts()
        if found == ():
            cursor.say("must not be empty")
        return found or None
    name = cursor.text()
    if name is not None and (name.startswith("/") or ".." in name.split("/") or "\\" in name):
        cursor.say(f"{name!r} must be a built-in set such as coco80, or a file beside the model card")
        return None
    return name


def inputs(cursor: Cursor, later: Later) -> tuple[InputReading, ...]:
    """`inputs: [{resource, field, scale, offset, align, maxAge, rate}]`."""
    items = cursor.items()
    if items == []:
        cursor.say("must not be empty: remove it to use the resource that the block sits on")
    found = [_input(item, later) for item in items or ()]
    return tuple(one for one in found if one is not None)


def _input(cursor: Cursor, later: Later) -> InputReading | None:
    if _is_text(cursor):
        cursor.say(f"must be a map: write {{resource: {cursor.plain()}}}")
        return None
    reader = cursor.reader()
    if reader is None:
        return None
    resource = reader.need("resource").text()
    pointer = _pointer(reader.at("field"))
    scale, offset = reader.at("scale").number(), reader.at("offset").number()
    if scale == 0:
        reader.at("scale").say("0 makes every reading the same")
    later.note(reader.at("align")).text()
    later.note(reader.at("maxAge")).duration()
    later.note(reader.at("rate")).number(low=1e-9)
    reader.close()
    if resource is None:
        return None
    return InputReading(
        resource=resource,
        pointer=pointer,
        scale=1.0 if scale is None else scale,
        offset=0.0 if offset is None else offset,
    )


def _pointer(cursor: Cursor) -> str:
    text = cursor.text() or ""
    if not POINTER.fullmatch(text):
        cursor.say(f"{text!r} is no JSON pointer: it starts with /, as in /motor/current")
        return ""
    return text


def roi(cursor: Cursor) -> tuple[float, float, float, float] | None:
    """`roi: [x0, y0, x1, y1]` in 0..1 of the picture."""
    numbers = cursor.numbers(0, 1, length=4)
    if numbers is None:
        return None
    x0, y0, x1, y1 = numbers
    if x0 >= x1 or y0 >= y1:
        cursor.say("is an empty region: [x0, y0, x1, y1] wants x0 < x1 and y0 < y1")
        return None
    return x0, y0, x1, y1


def normalize(cursor: Cursor) -> Normalize | None:
    """`normalize: {mean, std}`, or `{kind: zscore, from: model}`: what the card says."""
    reader = cursor.reader()
    if reader is None:
        return None
    reader.at("kind").choice(("zscore",))
    source = reader.at("from").choice(("model",))
    own = [reader.at("mean"), reader.at("std")]
    mean, std = own[0].numbers(), own[1].numbers()
    if source and any(one.given for one in own):
        reader.at("from").say("from: model and mean, std exclude each other: remove one")
    elif own[0].given != own[1].given:
        reader.lack("std" if own[0].given else "mean", "mean and std belong together")
    reader.close()
    if mean is None or std is None:
        return None
    if any(one <= 0 for one in std):
        own[1].say("every std must be above 0")
        return None
    if not mean or len({len(mean), len(std)} - {1}) > 1:
        own[1].say(f"mean has {len(mean)} numbers and std {len(std)}: one for each channel, or one for all")
        return None
    return Normalize(mean=mean, std=std)


def accelerators(cursor: Cursor, later: Later) -> tuple[AcceleratorChoice, ...]:
    """`accelerator`: one candidate, or a list to fall back along."""
    if not cursor.given:
        return (AcceleratorChoice(name="auto"),)
    node = cursor.node
    if node is None or not isinstance(node.value, tuple):
        one = _accelerator(cursor, later)
        return (one,) if one is not None else ()
    if not node.value:
        cursor.say("must name at least one accelerator, or auto")
    found = [_accelerator(item, later) for item in cursor.items() or ()]
    return tuple(one for one in found if one is not None)


def _accelerator(cursor: Cursor, later: Later) -> AcceleratorChoice | None:
    node = cursor.node
    if node is None or not node.entries:
        text = cursor.text()
        if text is None:
            return None
        name, colon, device = text.partition(":")
        if not ACCELERATOR.fullmatch(name) or (colon and not device.strip()):
            cursor.say(f"{text!r} is no accelerator: write name or name:DEVICE, such as openvino:GPU")
            return None
        return AcceleratorChoice(name=name, device=device or None)
    reader = cursor.reader()
    return _accelerator_map(reader, later) if reader is not None else None


def _accelerator_map(reader: Reader, later: Later) -> AcceleratorChoice | None:
    name = reader.need("name").text()
    if name is not None and not ACCELERATOR.fullmatch(name):
        hint = ": the part behind the colon goes in device" if ":" in name else ""
        reader.at("name").say(f"{name!r} is no accelerator's name{hint}")
        name = None
    device = reader.at("device").text()
    precision = reader.at("precision").choice(PRECISIONS)
    threads = reader.at("threads").integer(1, 4096)
    batch = reader.at("batch").integer(1, 4096)
    options = reader.at("options").reader()
    isolation = reader.at("isolation").choice(("none", "process"))
    reader.close()
    if name is None:
        return None
    return AcceleratorChoice(
        name=name,
        device=device,
        precision=precision,
        threads=threads,
        batch=batch,
        options=options.node.plain() if options is not None else {},
        isolation=cast(Literal["none", "process"] | None, isolation),
    )


def fallback(cursor: Cursor) -> Literal["never", "warn", "allow"]:
    """`fallback` beside `accelerator`."""
    return cast(Literal["never", "warn", "allow"], cursor.choice(("never", "warn", "allow")) or "warn")


def postprocess(cursor: Cursor, later: Later) -> Postprocess:
    """`postprocess: {scoreThreshold, nmsIou, softNms, classAgnostic, multiLabel, classes, minArea, top, pattern}`."""
    reader = cursor.reader()
    if reader is None:
        return Postprocess()
    classes = reader.at("classes").texts()
    if classes == ():
        reader.at("classes").say("must not be empty: remove it to keep every class")
    value = Postprocess(
        score_threshold=reader.at("scoreThreshold").number(0, 1),
        nms_iou=reader.at("nmsIou").number(0, 1),
        classes=classes,
        min_area=reader.at("minArea").number(0, 1),
        top=reader.at("top").integer(1, 10_000),
        soft_nms=reader.at("softNms").number(0.01, 100),
        class_agnostic=reader.at("classAgnostic").boolean(),
        multi_label=reader.at("multiLabel").boolean(),
    )
    _expression(later.note(reader.at("pattern")))
    reader.close()
    return value


def _expression(cursor: Cursor) -> None:
    text = cursor.text()
    try:
        re.compile(text or "")
    except (re.error, RecursionError, OverflowError) as error:
        cursor.say(f"{text!r} is no regular expression: {error}")


def decide(cursor: Cursor) -> Decide | None:
    """`decide: {value, raise, clear, raiseAfter, clearAfter, unknownBelow}`."""
    reader = cursor.reader()
    if reader is None:
        return None
    above, below = reader.at("raise").number(), reader.at("clear").number()
    if above is not None and below is not None and below > above:
        reader.at("clear").say(f"clear {below:g} must not be above raise {above:g}")
    value = Decide(
        value=reader.at("value").text(),
        raise_at=above,
        clear_below=below,
        raise_after=reader.at("raiseAfter").integer(1, 1_000_000) or 1,
        clear_after=reader.at("clearAfter").integer(1, 1_000_000) or 1,
        unknown_below=reader.at("unknownBelow").number(),
    )
    reader.close()
    return value


def publish(cursor: Cursor) -> Publish:
    """`publish: {when, minInterval, keepAlive, as, topicPrefix, rules}`."""
    reader = cursor.reader()
    if reader is None:
        return Publish()
    when = reader.at("when").choice(("always", "change", "interval")) or "always"
    interval = reader.at("minInterval").duration()
    keep_alive = _above_zero(reader.at("keepAlive"))
    if when == "interval" and not interval:
        message = "when: interval needs minInterval, such as minInterval: 1s"
        reader.lack("minInterval", message, at=reader.at("when"))
    kind = reader.at("as").choice(("source", "device")) or "source"
    prefix = _topic(reader.at("topicPrefix"))
    rules = reader.at("rules").boolean()
    reader.close()
    return Publish(
        when=cast(Literal["always", "change", "interval"], when),
        min_interval=interval or 0.0,
        keep_alive=keep_alive,
        as_=cast(Literal["source", "device"], kind),
        topic_prefix=prefix,
        rules=bool(rules),
    )


def _topic(cursor: Cursor) -> str | None:
    text = cursor.text()
    if text is not None and (set("#+$* ") & set(text) or "" in text.split("/")):
        cursor.say(f"{text!r} is no topic: levels with / between them, without {listed('#+$*')}")
        return None
    return text


def limits(cursor: Cursor) -> Limits:
    """`limits: {overload, queue, maxAge, maxDelay, timeout}`."""
    reader = cursor.reader()
    if reader is None:
        return Limits()
    overload = reader.at("overload").choice(("latest", "all"))
    timeout = _above_zero(reader.at("timeout"))
    value = Limits(
        overload=cast(Literal["latest", "all"] | None, overload),
        queue=reader.at("queue").integer(1, MOST_QUEUE),
        max_age=_above_zero(reader.at("maxAge")),
        max_delay=reader.at("maxDelay").duration() or 0.0,
        timeout=5.0 if timeout is None else timeout,
    )
    reader.close()
    return value


def _above_zero(cursor: Cursor) -> float | None:
    seconds = cursor.duration()
    if seconds == 0:
        cursor.say("must be above 0")
        return None
    return seconds


def _is_text(cursor: Cursor) -> bool:
    return cursor.node is not None and isinstance(cursor.node.value, str)
