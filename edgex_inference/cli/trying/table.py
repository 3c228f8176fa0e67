"""Tables become events, a row each: columns are named like the profile's resources."""

import csv
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgex_inference.cli.trying.given import Given, InputError, Wanted
from edgex_inference.config.places import suggest
from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.preprocess.headers import sniff

ORIGIN, DEVICE = "origin", "device"
"""Columns that are no resource: the time of capture in nanoseconds, the device."""

_ELEMENT = re.compile(r"(.+)\[([0-9]+)\]")
_STEP = 1_000_000_000
"""Nanoseconds between rows that do not say their time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """Where in a row each resource stands (several columns `X[0]`, `X[1]` … make one array), and origin and device."""

    resources: Mapping[str, Sequence[int]]
    origin: int | None
    device: int | None
    width: int


def events(path: Path, wanted: Wanted) -> Iterator[Given]:
    """Raises InputError for a table without the columns that the binding needs, and for a row that is broken."""
    csv.field_size_limit(1 << 30)
    started = time.time_ns()
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            first = file.readline()
            file.seek(0)
            rows = csv.reader(file, delimiter=_delimiter(path, first))
            head = _head(path, next(rows, []), wanted)
            for index, row in enumerate(row for row in rows if row):
                name = f"{path}:{rows.line_num}"
                yield Given(name=name, event=_event(name, row, head, wanted, started + index * _STEP))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: is no table in UTF-8: {error}") from error


def _delimiter(path: Path, line: str) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=line.count)


def _head(path: Path, names: Sequence[str], wanted: Wanted) -> _Head:
    found: dict[str, list[int]] = {}
    columns = [name.strip() for name in names]
    for column, name in enumerate(columns):
        element = _ELEMENT.fullmatch(name)
        key = element[1] if element is not None and element[1] in wanted.resources else name
        at = found.setdefault(key, [])
        if element is not None and key != name and int(element[2]) != len(at):
            raise InputError(f"{path}: column {name} should be {key}[{len(at)}]: elements stand in order")
        if at and key == name:
            raise InputError(f"{path}: two columns are named {name}")
        at.append(column)
    missing = sorted(wanted.resources - found.keys())
    if missing:
        hint = suggest(missing[0], columns) or f"; it has {', '.join(columns) or 'none'}"
        needed = ", ".join(sorted(wanted.resources))
        raise InputError(
            f"{path}: no column {missing[0]}{hint}: binding {wanted.binding.name} needs the columns {needed}"
        )
    places = {name: found.get(name, [None])[0] for name in (ORIGIN, DEVICE) if name not in wanted.resources}
    return _Head(
        resources={name: found[name] for name in sorted(wanted.resources)},
        origin=places.get(ORIGIN),
        device=places.get(DEVICE),
        width=len(columns),
    )


def _event(name: str, row: Sequence[str], head: _Head, wanted: Wanted, otherwise: int) -> Event:
    if len(row) != head.width:
        raise InputError(f"{name}: has {len(row)} cells, the first line names {head.width} columns")
    origin = otherwise
    if head.origin is not None:
        text = row[head.origin].strip()
        if not re.fullmatch("[1-9][0-9]{0,18}", text) or int(text) >= 2**63:
            raise InputError(f"{name}: origin {text!r} is no time: nanoseconds since 1970")
        origin = int(text)
    device = row[head.device].strip() if head.device is not None and not wanted.forced else ""
    readings = tuple(
        _reading(name, resource, [row[column].strip() for column in columns], wanted, origin)
        for resource, columns in head.resources.items()
    )
    return wanted.event(Path(name).stem, readings, origin, device)


def _reading(name: str, resource: str, cells: Sequence[str], wanted: Wanted, origin: int) -> Reading:
    kind = wanted.kind(resource) or (ValueType.FLOAT64_ARRAY if len(cells) > 1 else ValueType.FLOAT64)
    text = cells[0]
    plain = Reading(
        origin=origin,
        device_name=wanted.device,
        profile_name=wanted.binding.profile,
        resource_name=resource,
        value_type=kind,
    )
    return _filled(name, plain, text if len(cells) == 1 else f"[{', '.join(cells)}]")


def _filled(name: str, plain: Reading, text: str) -> Reading:
    kind = plain.value_type
    if kind == ValueType.BINARY:
        data = _bytes(name, plain.resource_name, text)
        media = f"image/{sniff(data)}" if sniff(data) else "application/octet-stream"
        return msgspec.structs.replace(plain, binary_value=data, media_type=media)
    if kind in (ValueType.OBJECT, ValueType.OBJECT_ARRAY):
        try:
            return msgspec.structs.replace(plain, object_value=json.loads(text))
        except ValueError as error:
            raise InputError(f"{name}: column {plain.resource_name} holds no JSON: {error}") from error
    if kind.endswith("Array") and not text.startswith("["):
        text = f"[{', '.join(re.split('[;, ]+', text))}]"
    return msgspec.structs.replace(plain, value=text or None)


def _bytes(name: str, resource: str, text: str) -> bytes:
    """A Binary column names a file, seen from the table's folder."""
    path = Path(name).parent / text
    try:
        return path.read_bytes()
    except OSError as error:
        why = f"column {resource} is Binary and names a file: {path}: {error.strerror or error}"
        raise InputError(f"{name}: {why}") from error
