"""What eKuiper makes of an EdgeX event by its documentation, and its SQL as far as SQLite can run it.

`row` follows the EdgeX source's page: a column for each reading, named like its resource; the last of a name wins;
value types count in their canonical spelling only; a value that cannot be read is left out; null readings are no
columns; ObjectArray is not known and stays an empty text. Metadata are those that `meta()` knows.
`run` gives the rows that a rule lets through, everything in one window.
"""

import base64
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

META = ("id", "deviceName", "profileName", "sourceName", "origin", "correlationid")
_TRUTH = {"1": True, "t": True, "T": True, "true": True, "TRUE": True, "True": True}
_TRUTH |= {"0": False, "f": False, "F": False, "false": False, "FALSE": False, "False": False}
_INTEGERS = [f"{sign}{bits}" for sign in ("Int", "Uint") for bits in (8, 16, 32, 64)]


def _bool(text: str) -> bool:
    if text not in _TRUTH:
        raise ValueError(text)
    return _TRUTH[text]


def _list(text: str) -> Any:
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError(text)
    return found


_SIMPLE: dict[str, Callable[[str], Any]] = {"Bool": _bool, "String": str, "Float32": float, "Float64": float}
_SIMPLE |= dict.fromkeys(_INTEGERS, int)
_SIMPLE |= {f"{kind}Array": _list for kind in (*_SIMPLE,)}


def row(event: Mapping[str, Any], correlation_id: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns and metadata of one event as JSON has it."""
    columns: dict[str, Any] = {}
    for reading in event["readings"]:
        found = _value(reading)
        if found is not None:
            columns[reading["resourceName"]] = found
    meta = {key: event.get(key, "") for key in META[:-1]} | {"correlationid": correlation_id}
    return columns, meta


def _value(reading: Mapping[str, Any]) -> Any:
    kind = reading["valueType"]
    if kind == "Object":
        return reading.get("objectValue")
    if kind == "Binary":
        return base64.b64decode(reading.get("binaryValue") or "")
    text = reading.get("value")
    if kind not in _SIMPLE:
        return text or ""
    try:
        return None if text is None else _SIMPLE[kind](text)
    except ValueError:
        return None


Rows = Sequence[tuple[dict[str, Any], dict[str, Any]]]


def run(sql: str, streams: Mapping[str, Rows]) -> list[dict[str, Any]]:
    """The rows that a rule lets through; `change` is judged by `changes`."""
    base = sqlite3.connect(":memory:")
    base.row_factory = sqlite3.Row
    base.create_function("concat", 2, lambda one, other: f"{one}{other}")
    for name, rows in streams.items():
        _table(base, name, rows)
    return [dict(one) for one in base.execute(_translated(sql))]


def changes(sql: str, rows: Rows) -> list[tuple[str, Any, Any]]:
    """Device, value and the one before, for each row in which `had_changed` holds: once for each device's first too."""
    found = re.fullmatch(
        r"SELECT .* FROM inference WHERE (.*) AND had_changed\(true, (\S+)\) OVER \(PARTITION BY "
        r"meta\(deviceName\)( WHEN .*)?\) = true",
        sql,
    )
    assert found is not None, sql
    mine, column = found[1], found[2]
    last: dict[str, Any] = {}
    said = []
    for one in rows:
        if not run(f"SELECT 1 AS x FROM inference WHERE {mine}", {"inference": [one]}):
            continue
        value, device = one[0].get(column.strip("`")), one[1]["deviceName"]
        if value is not None and (device not in last or last[device] != value):
            said.append((device, value, last.get(device)))
        if value is not None:
            last[device] = value
    return said


def misplaced(sql: str) -> list[str]:
    """Conditions of a join that eKuiper's planner would move to the wrong stream.

    It moves each condition between ANDs to the stream whose columns it names, without a look at what `meta` names; one
    that names columns of both stays where it is.
    """
    found = re.fullmatch(r"SELECT .* INNER JOIN \w+ ON (.*) WHERE (.*) GROUP BY .*", sql)
    assert found is not None, sql
    wrong = []
    for part in (*_parts(found[1]), *_parts(found[2])):
        asked = set(re.findall(r"meta\((\w+)\.", part))
        named = set(re.findall(r"\b(\w+)\.", re.sub(r"meta\([^)]*\)|\"[^\"]*\"", "", part)))
        if not asked <= named:
            wrong.append(part)
    return wrong


def _parts(condition: str) -> list[str]:
    """What stands between ANDs outside of parentheses and texts."""
    parts, depth, quoted, begun = [], 0, False, 0
    for index, letter in enumerate(condition):
        quoted ^= letter == '"' and condition[index - 1] != "\\"
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if condition.startswith(" AND ", index) and not depth and not quoted:
            parts.append(condition[begun:index])
            begun = index + 5
    return [*parts, condition[begun:]]


def _table(base: sqlite3.Connection, name: str, rows: Rows) -> None:
    columns = sorted({column for found, _ in rows for column in found})
    heads = [*columns, *(f"meta.{key}" for key in META)]
    base.execute(f"CREATE TABLE {name} ({', '.join(_quoted(head) for head in heads)})")
    marks = ", ".join("?" * len(heads))
    for found, meta in rows:
        values = [*(found.get(column) for column in columns), *(meta[key] for key in META)]
        base.execute(f"INSERT INTO {name} VALUES ({marks})", [_plain(value) for value in values])


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bytes, type(None))) else json.dumps(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _translated(sql: str) -> str:
    """eKuiper's words in SQLite's."""
    texts: list[str] = []

    def kept(found: re.Match[str]) -> str:
        texts.append(json.loads(found[0]))
        return f"\0{len(texts) - 1}\0"

    sql = re.sub(r'"(?:[^"\\]|\\.)*"', kept, sql)
    sql = re.sub(r"meta\((\w+)\.(\w+)\)", r'\1."meta.\2"', sql)
    sql = re.sub(r"meta\((\w+)\)", r'"meta.\1"', sql)
    sql = re.sub(r"isNull\(([^)]*)\) = false", r"\1 IS NOT NULL", sql)
    sql = re.sub(r", TUMBLINGWINDOW\(\w+, \d+\)", "", sql)
    sql = re.sub(r" GROUP BY TUMBLINGWINDOW\(\w+, \d+\)", "", sql)
    return re.sub(r"\0(\d+)\0", lambda found: _literal(texts[int(found[1])]), sql)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def both(events: Iterable[tuple[Mapping[str, Any], str]]) -> dict[str, Rows]:
    """Events with their correlation ids on both streams, as they come from edgex/rules-events."""
    rows = [row(event, trace) for event, trace in events]
    return {"inference": rows, "telemetry": rows}
