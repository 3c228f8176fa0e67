"""Keys of a block that are valid but not built yet: checked as far as their vocabulary goes, and named.

Ignoring such a key would give wrong answers, so a binding that has one stays inactive.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from edgex_inference.config.places import spell
from edgex_inference.config.reader import Cursor, Reader


@dataclass(frozen=True, slots=True)
class Later:
    """Collects the dotted keys of one binding that are not built yet."""

    keys: list[str] = field(default_factory=list)

    def note(self, cursor: Cursor) -> Cursor:
        """Warns when the key is there, and hands it on."""
        if cursor.given:
            self._warn(cursor, str(cursor.steps[-1]))
        return cursor

    def note_value(self, cursor: Cursor) -> None:
        """Warns of a value that no release gives yet; the key itself is built."""
        self._warn(cursor, str(cursor.plain()))

    def _warn(self, cursor: Cursor, what: str) -> None:
        self.keys.append(spell(cursor.steps[1:]))
        cursor.say(message(what), severity="warning")

    def note_key(self, reader: Reader, key: str) -> None:
        """The same for a whole part of the block, placed at its key."""
        self.keys.append(spell((*reader.steps[1:], key)))
        reader.say_key(key, message(key), severity="warning")


def message(key: str) -> str:
    """What a person reads about such a key."""
    return f"{key} is not yet supported: the binding stays inactive"


def check(reader: Reader, later: Later) -> None:
    """Reads the top-level keys of a block that are not built yet."""
    for key, checker in _CHECKERS.items():
        cursor = reader.at(key)
        if cursor.given:
            later.note_key(reader, key)
            checker(cursor)


def _stream(cursor: Cursor) -> None:
    if reader := cursor.reader():
        reader.at("fps").number(0.001, 1000)
        reader.at("transport").choice(("tcp", "udp"))
        reader.at("mediaProfile").text()
        reader.at("credentials").text()


def _window(cursor: Cursor) -> None:
    if reader := cursor.reader():
        reader.at("kind").text()
        for key in ("length", "stride"):
            _count_or_duration(reader.at(key))
        for key in ("by", "gap"):
            reader.at(key).text()
        for key in ("maxGap", "late"):
            reader.at(key).duration()


def _count_or_duration(cursor: Cursor) -> None:
    node = cursor.node
    if node is not None and isinstance(node.value, int | float):
        cursor.integer(low=1)
    else:
        cursor.duration()


def _features(cursor: Cursor) -> None:
    for item in cursor.items() or ():
        if reader := item.reader():
            reader.need("of").texts()
            reader.need("kind").text()
            for key in ("fft", "bands"):
                reader.at(key).integer(low=1)
            reader.at("scale").text()


def _track(cursor: Cursor) -> None:
    if reader := cursor.reader():
        reader.at("algorithm").text()
        reader.at("confirm").integer(low=1)
        reader.at("lost").integer(low=0)


def _zones(cursor: Cursor) -> None:
    if zones := cursor.reader():
        for _, zone in zones.each():
            if reader := zone.reader():
                _polygon(reader.need("polygon"), least=6)
                reader.at("anchor").text()
                reader.at("inertia").integer(low=1)
                reader.at("dwell").duration()


def _polygon(cursor: Cursor, *, least: int) -> None:
    numbers = cursor.numbers(0, 1)
    if numbers is not None and (len(numbers) < least or len(numbers) % 2):
        cursor.say(f"must be x, y pairs in 0..1, at least {least // 2} of them, not {len(numbers)} numbers")


def _lines(cursor: Cursor) -> None:
    if lines := cursor.reader():
        for _, line in lines.each():
            line.reader()


def _snapshot(cursor: Cursor) -> None:
    if reader := cursor.reader():
        for key in ("when", "store"):
            reader.at(key).text()
        for key in ("annotate", "heatmap"):
            reader.at(key).boolean()
        reader.at("keep").integer(low=0)
        reader.at("blur").texts()


_CHECKERS: dict[str, Callable[[Cursor], None]] = {
    "stream": _stream,
    "window": _window,
    "features": _features,
    "track": _track,
    "zones": _zones,
    "lines": _lines,
    "snapshot": _snapshot,
}
