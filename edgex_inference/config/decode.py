"""Nodes to the typed configuration and back to EdgeX's keys; every mistake is collected."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from edgex_inference.config import durations
from edgex_inference.config.places import Entry, Node, Steps, listed, suggest
from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.config.schema import MOVED, UNUSED, Choice, Configuration, Range, Seconds, Tree
from edgex_inference.config.sources.held import COMMON, is_held
from edgex_inference.contracts.errors import Problem

_ACRONYMS = {"cors": "CORS"}
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A configuration as far as it could be read, what is wrong, and EdgeX's keys that are not used here."""

    config: Configuration
    problems: tuple[Problem, ...]
    unused: tuple[str, ...]


def decode(root: Node) -> Decoded:
    """Reads the merged values of all sources; a value that is wrong is left at its default and reported."""
    problems: list[Problem] = []
    unused: list[str] = []
    values = _section(Configuration, Reader(root, (), problems), unused)
    config = Configuration(**values)
    return Decoded(config=config, problems=tuple(problems), unused=tuple(unused))


def wire(config: Any) -> dict[str, Any]:
    """The configuration as maps under EdgeX's PascalCase keys, durations as texts; secrets included."""
    hints = _hints(type(config))
    return {_key(name): _wire(hint, getattr(config, name)) for name, hint in hints.items()}


def differences(before: Configuration, after: Configuration) -> tuple[str, ...]:
    """The dotted keys whose values differ, such as `Writable.LogLevel`; in no order."""
    return tuple(_differences(wire(before), wire(after), ""))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[str]:
    for key in before.keys() | after.keys():
        one, other = before.get(key), after.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(one, other, f"{path}{key}.")
        elif one != other:
            yield path + key


def _wire(hint: Any, value: Any) -> Any:
    if hint is Seconds:
        return durations.text(value)
    if dataclasses.is_dataclass(value):
        return wire(value)
    if hint is Tree:
        return value
    if isinstance(value, Mapping):
        inner = get_args(hint)[1]
        return {key: _wire(inner, item) for key, item in value.items()}
    return value


def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _key(name: str) -> str:
    return "".join(_ACRONYMS.get(word, word.capitalize()) for word in name.split("_"))


def _section(kind: type, reader: Reader, unused: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    hints = _hints(kind)
    for name, hint in hints.items():
        cursor = reader.at(_key(name))
        if cursor.given:
            value = _value(hint, cursor, unused)
            if value is not None:
                values[name] = value
    known = [_key(name) for name in hints]
    for key in reader.keys:
        if key not in known:
            _foreign(reader, key, known, unused)
    return values


def _foreign(reader: Reader, key: str, known: list[str], unused: list[str]) -> None:
    steps = (*reader.steps, key)
    pattern = unused_pattern(steps)
    if pattern in UNUSED:
        unused.append(reader.at(key).path)
    elif pattern in MOVED:
        reader.say_key(key, MOVED[pattern])
    elif reader.at(key).place.source.origin == COMMON:
        unused.append(reader.at(key).path)
    else:
        hint = suggest(key, known) or f"; known: {', '.join(known)}"
        severity = (
            "warning" if is_held(reader.at(key).place) else "error"
        )  # stored by another release, perhaps
        reader.say_key(key, f"unknown key {key!r}{hint}", severity=severity)


def unused_pattern(steps: Steps) -> tuple[str, ...]:
    """The way to a key as UNUSED spells it: `*` for a name that the user chose."""
    chosen = 1 if steps[:1] == ("Clients",) else 2 if steps[:2] == ("Writable", "InsecureSecrets") else None
    return tuple("*" if index == chosen else str(step) for index, step in enumerate(steps))


def _value(hint: Any, cursor: Cursor, unused: list[str]) -> Any:
    rule: Any = None
    if get_origin(hint) is Annotated:
        hint, rule = get_args(hint)
    if hint in (bool, int, Seconds) and is_held(cursor.place):
        if cursor.plain() == "":
            return None  # what has no value there: the default counts
        cursor = _typed(cursor, hint)
    if hint is Seconds:
        return _duration(cursor)
    if hint is Tree:
        inner = cursor.reader()
        return None if inner is None else inner.node.plain()
    if hint is bool:
        return cursor.boolean()
    if hint is int:
        return cursor.integer(rule.low, rule.high) if isinstance(rule, Range) else cursor.integer()
    if hint is str:
        return _choice(cursor, rule) if isinstance(rule, Choice) else _text(cursor)
    inner = cursor.reader()
    if inner is None:
        return None
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return hint(**_section(hint, inner, unused))
    return _map(get_args(hint)[1], inner, unused)


def _typed(cursor: Cursor, hint: Any) -> Cursor:
    """A provider's text as the value that it stands for; what stands for none is left for a sentence."""
    node = cursor.node
    text = node.value.strip() if node is not None and isinstance(node.value, str) else ""
    value: bool | int | None = _BOOLEANS.get(text.lower()) if hint is bool else None
    if hint is int and _INTEGER.fullmatch(text):
        value = int(text)
    if node is None or value is None:
        return cursor
    return dataclasses.replace(cursor, node=dataclasses.replace(node, value=value, written=text))


def _map(hint: Any, reader: Reader, unused: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, cursor in reader.each():
        loose = {str: _loose_text, bool: _loose_bool}.get(hint)
        value = loose(cursor) if loose is not None else _value(hint, cursor, unused)
        if value is not None:
            values[key] = value
    return values


def _text(cursor: Cursor) -> str | None:
    node = cursor.node
    if node is None or isinstance(node.value, str):
        return None if node is None else str(node.value)
    written = f': write it in quotes, "{node.written}"' if node.written else ""
    cursor.say(f"must be a text, not {node.kind}{written}")
    return None


def _loose_text(cursor: Cursor) -> str | None:
    """Maps of texts take numbers and booleans too: `Qos: 1` is meant as `Qos: "1"`."""
    value = cursor.plain()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return value if isinstance(value, str) else (cursor.node and cursor.node.written) or str(value)
    cursor.say(f"must be a text, not {cursor.node.kind if cursor.node else 'empty'}")
    return None


def _loose_bool(cursor: Cursor) -> bool | None:
    """Maps of switches take texts too: the environment and configuration providers know no others."""
    value = cursor.plain()
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return cursor.boolean()


def _choice(cursor: Cursor, rule: Choice) -> str | None:
    value = cursor.plain()
    quotes = ""
    if isinstance(value, int) and not isinstance(value, bool):
        value, quotes = str(value), f' (a text: write "{value}" in quotes)'
    if not isinstance(value, str):
        return _text(cursor)
    found = next((word for word in rule.words if word.lower() == value.lower()), None)
    later = rule.later.get(value.lower())
    if found is not None and not quotes:
        return found
    if later is not None:
        cursor.say(f"{value!r}: {later}")
    elif quotes:
        cursor.say(f"{value} is not {listed(rule.words)}{quotes}")
    else:
        cursor.say(f"{value!r} is not {listed(rule.words)}{suggest(value, rule.words)}")
    return None


def _duration(cursor: Cursor) -> float | None:
    text = _text(cursor)
    if text is None:
        return None
    try:
        return durations.seconds(text)
    except ValueError as error:
        cursor.say(str(error))
        return None


def without_empty(node: Node) -> Node:
    """The node without keys that have no value: EdgeX's files have many, and they mean the default."""
    if not node.entries:
        return node
    entries = {
        key: dataclasses.replace(entry, node=without_empty(entry.node))
        for key, entry in node.entries.items()
        if entry.node.value is not None
    }
    return dataclasses.replace(node, value=entries)


def at_steps(steps: Steps, leaf: Node) -> Node:
    """A map node that has only `leaf` at these steps."""
    node = leaf
    for step in reversed(steps):
        node = Node(place=leaf.place, value={str(step): Entry(key=leaf.place, node=node)})
    return node
