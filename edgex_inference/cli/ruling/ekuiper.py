"""eKuiper's stream and rule definitions for a binding: threshold, change, count over a window, join with telemetry."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgex_inference.cli.ruling.columns import Column, Subject

INFERENCE, TELEMETRY = "inference", "telemetry"
STREAMS = {
    name: f'CREATE STREAM {name} () WITH (FORMAT="JSON", TYPE="edgex", SHARED="true")'
    for name in (INFERENCE, TELEMETRY)
}
"""Both read what eKuiper's EdgeX source reads by default: the bare events on edgex/rules-events."""

_WORDS = re.compile(
    "select|as|from|where|and|or|group|having|order|by|asc|desc|filter|case|when|then|else|end|join|inner|left|right"
    "|full|cross|on|over|partition|replace|except|invisible|in|not|between|like|create|describe|show|drop|explain"
    "|limit|true|false|bigint|float|string|bytea|datetime|boolean|array|struct|dd|hh|mi|ss|ms",
    re.IGNORECASE,
)
"""Words of its language."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TIMES = 3
"""How often in a minute makes the window rule speak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as eKuiper's REST API takes it; `streams` are those that it reads."""

    id: str
    sql: str
    actions: Sequence[Mapping[str, Any]]
    streams: tuple[str, ...] = (INFERENCE,)

    def body(self) -> Mapping[str, Any]:
        """The body of POST /rules."""
        return {"id": self.id, "sql": self.sql, "actions": list(self.actions)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A binding's rules, and in sentences which could not be written."""

    rules: Sequence[Rule]
    missing: Sequence[str]


def write(subject: Subject, *, major: str) -> Written:
    """The rules of a binding for the eKuiper that comes with an EdgeX of this major."""
    scribe = _Scribe(subject, major)
    rules, missing = [], []
    where = f"profile {subject.profile}: binding {subject.binding}"
    alarming = next((column for column in subject.columns if column.matters), None)
    changing = next((column for column in subject.columns if column.discrete), None)
    if alarming is not None:
        rules += [scribe.threshold(alarming), scribe.count(alarming)]
    else:
        missing.append(f"{where}: no threshold and no count: no output has a state or a known limit")
    if changing is not None:
        rules.append(scribe.change(changing))
    else:
        missing.append(f"{where}: no change: no output is a truth value, a text or a whole number")
    if subject.telemetry and subject.columns:
        rules.append(scribe.join(alarming or subject.columns[0]))
    else:
        missing.append(f"{where}: no join: the profile has no resource with a single number beside it")
    return Written(rules=rules, missing=missing)


class _Scribe:
    """Writes one binding's rules."""

    def __init__(self, subject: Subject, major: str) -> None:
        self._subject = subject
        self._major = major
        self._base = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{subject.profile}-{subject.binding}")

    def _mine(self, stream: str = "") -> str:
        """The condition that an event is one of this binding's."""
        profile, source = (_meta(key, stream) for key in ("profileName", "sourceName"))
        return f"{profile} = {_text(self._subject.companion)} AND {source} = {_text(self._subject.binding)}"

    def threshold(self, column: Column) -> Rule:
        """Each event that matters, as a notification."""
        name = _column(column.name)
        sql = (
            f"SELECT {_meta('deviceName')} AS device, {name} AS value, {_meta('correlationid')} AS cid "
            f"FROM {INFERENCE} WHERE {self._mine()} AND {name} {column.matters}"
        )
        return self._rule(
            "threshold", sql, f"{{{{.device}}}}: {column.name} is {{{{.value}}}} (trace {{{{.cid}}}})"
        )

    def count(self, column: Column) -> Rule:
        """Several events that matter within a minute, as one notification for each device."""
        name, device = _column(column.name), _meta("deviceName")
        sql = (
            f"SELECT {device} AS device, count(*) AS times FROM {INFERENCE} "
            f"WHERE {self._mine()} AND {name} {column.matters} "
            f"GROUP BY {device}, TUMBLINGWINDOW(mi, 1) HAVING count(*) >= {_TIMES}"
        )
        return self._rule(
            "count", sql, f"{{{{.device}}}}: {column.name} {column.matters} {{{{.times}}}} times in a minute"
        )

    def change(self, column: Column) -> Rule:
        """Each change for a device, with what was before; written to eKuiper's log."""
        name, mine = _column(column.name), self._mine()
        when = "" if self._major == "2" else f" WHEN {mine}"
        over = f"OVER (PARTITION BY {_meta('deviceName')}{when})"
        sql = (
            f"SELECT {_meta('deviceName')} AS device, {name} AS value, lag({name}) {over} AS before "
            f"FROM {INFERENCE} WHERE {mine} AND had_changed(true, {name}) {over} = true"
        )
        return Rule(id=f"{self._base}-change", sql=sql, actions=[{"log": {}}])

    def join(self, column: Column) -> Rule:
        """Results that matter beside what the device measured in the same ten seconds; written to eKuiper's log.

        eKuiper moves conditions to the stream whose columns they name and does not look at what `meta` names, so
        each part that belongs together is one comparison, `(…) = true`, which it moves as a whole.
        """
        ours = f"{INFERENCE}.{_column(column.name)}"
        columns = {name: f"{TELEMETRY}.{_column(name)}" for name in self._subject.telemetry}
        measured = ", ".join(f"{full} AS {_column(name)}" for name, full in columns.items())
        result = f"{ours} {column.matters}" if column.matters else f"isNull({ours}) = false"
        there = " OR ".join(f"isNull({full}) = false" for full in columns.values())
        source = _meta("deviceName", TELEMETRY)
        if self._subject.apart:
            source = f"concat({source}, {_text(self._subject.apart)})"
        profile = f"{_meta('profileName', TELEMETRY)} = {_text(self._subject.profile)}"
        same = f"{_meta('deviceName', INFERENCE)} = {source} AND isNull({ours}) = false AND ({there})"
        sql = (
            f"SELECT {_meta('deviceName', TELEMETRY)} AS device, {ours} AS value, {measured} "
            f"FROM {INFERENCE} INNER JOIN {TELEMETRY} ON ({same}) = true "
            f"WHERE ({self._mine(INFERENCE)} AND {result}) = true AND ({profile} AND ({there})) = true "
            "GROUP BY TUMBLINGWINDOW(ss, 10)"
        )
        return Rule(id=f"{self._base}-join", sql=sql, actions=[{"log": {}}], streams=(INFERENCE, TELEMETRY))

    def _rule(self, kind: str, sql: str, content: str) -> Rule:
        return Rule(id=f"{self._base}-{kind}", sql=sql, actions=[self._notification(content)])

    def _notification(self, content: str) -> Mapping[str, Any]:
        """An action that tells support-notifications."""
        version = "v2" if self._major == "2" else "v3"
        notification = {
            "category": "inference",
            "labels": [self._subject.binding],
            "severity": "NORMAL",
            "sender": "ekuiper",
            "content": content,
        }
        return {
            "rest": {
                "url": f"http://edgex-support-notifications:59860/api/{version}/notification",
                "method": "post",
                "bodyType": "json",
                "sendSingle": True,
                "dataTemplate": json.dumps([{"apiVersion": version, "notification": notification}]),
            }
        }


def _meta(key: str, stream: str = "") -> str:
    return f"meta({stream}.{key})" if stream else f"meta({key})"


def _column(name: str) -> str:
    """A column's name, in backticks where eKuiper would read something else."""
    plain = _PLAIN.fullmatch(name) is not None and _WORDS.fullmatch(name) is None
    return name if plain else f"`{name}`"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
