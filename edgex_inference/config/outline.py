"""What readers ask of a document, recorded while they read it, as JSON Schema.

`Tracing.of(document, outline).reader()` gives a Reader to hand to the code that reads such documents. What that code
asks becomes the outline: the schema comes from the readers themselves, so that the two cannot part. Missing maps and
lists are read as if they were there and empty; where the code looks at a value before it asks, several documents are
needed, one for each way.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgex_inference.config import reader as reading
from edgex_inference.config.places import Node
from edgex_inference.config.problems import Document
from edgex_inference.config.reader import Cursor, Reader
from edgex_inference.contracts.errors import Problem

Schema = dict[str, Any]
"""A JSON Schema, draft 2020-12."""

TEXT: Schema = {"type": "string", "minLength": 1}


@dataclass(slots=True, eq=False)
class Visit:
    """One reading of a map to its end: the keys that were known, those that had to be there, the words in them."""

    keys: frozenset[str]
    required: frozenset[str]
    words: Mapping[str, frozenset[str]]


@dataclass(slots=True, eq=False)
class Outline:
    """All that was asked of the values in one place; shared by the elements of a list, and of a map of names."""

    plain: list[Schema] = field(default_factory=list)
    item: "Outline | None" = None
    lists: list[Schema] = field(default_factory=list)
    named: "Outline | None" = None
    keys: "dict[str, Outline]" = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    is_map: bool = False
    needed: list[str] = field(default_factory=list)
    vocabulary: frozenset[str] = frozenset()

    def note(self, schema: Schema) -> None:
        """A plain form that is taken here."""
        if schema not in self.plain:
            self.plain.append(schema)

    def element(self, form: Schema) -> "Outline":
        """The outline of the elements of a list of this form."""
        if form not in self.lists:
            self.lists.append(form)
        self.item = self.item or Outline()
        return self.item

    def key(self, name: str) -> "Outline":
        """The outline of the values of a key."""
        return self.keys.setdefault(name, Outline())

    def names(self) -> "Outline":
        """The outline of the values of a map whose keys are names."""
        self.named = self.named or Outline()
        return self.named

    def schema(self) -> Schema:
        """The schema of what is taken here; an empty one where nothing was asked."""
        forms = [dict(form) for form in self.plain]
        forms += [{"type": "array", **form, "items": self._item()} for form in self.lists]
        if self.is_map:
            forms += self._maps()
        if len(forms) > 1:
            return {"anyOf": forms}
        return forms[0] if forms else {}

    def _item(self) -> Schema:
        return self.item.schema() if self.item is not None else {}

    def _maps(self) -> list[Schema]:
        if self.named is not None:
            return [{"type": "object", "additionalProperties": self.named.schema()}]
        kinds: dict[frozenset[str], list[Visit]] = {}
        for visit in self.visits:
            kinds.setdefault(visit.keys, []).append(visit)
        return [self._map(visits, apart=len(kinds) > 1) for visits in kinds.values()] or [self._open()]

    def _open(self) -> Schema:
        """A map that nobody reads to its end: other keys are left alone."""
        properties = {key: child.schema() for key, child in self.keys.items()}
        return {
            "type": "object",
            **({"properties": properties} if properties else {}),
            **({"required": self.needed} if self.needed else {}),
        }

    def _map(self, visits: list[Visit], *, apart: bool) -> Schema:
        properties = {key: self.key(key).schema() for key in self.keys if key in visits[0].keys}
        properties |= {key: {} for key in sorted(visits[0].keys - properties.keys())}
        if apart:
            for key, seen in self._told_apart(visits).items():
                properties[key] = {"enum": sorted(seen)}
        required = frozenset.intersection(*(visit.required for visit in visits))
        return {
            "type": "object",
            "properties": properties,
            **({"required": [key for key in properties if key in required]} if required else {}),
            "additionalProperties": False,
        }

    def _told_apart(self, visits: list[Visit]) -> Mapping[str, frozenset[str]]:
        """The words by which this kind of map is known, where the documents that were read had every word of a key."""
        found = {}
        for key, child in self.keys.items():
            here = frozenset().union(*(visit.words.get(key, frozenset()) for visit in visits))
            every = frozenset().union(*(visit.words.get(key, frozenset()) for visit in self.visits))
            if child.vocabulary and every == child.vocabulary and here != every:
                found[key] = here
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing(Cursor):
    """A cursor that records what is asked of it."""

    outline: Outline

    @classmethod
    def of(cls, document: Document, outline: Outline) -> "Tracing":
        """The whole document."""
        problems: list[Problem] = []
        return cls(
            node=document.root, place=document.root.place, steps=(), problems=problems, outline=outline
        )

    def text(self) -> str | None:
        self.outline.note(TEXT)
        return self._untraced().text()

    def choice(self, words: Collection[str]) -> str | None:
        self.outline.note({"enum": [str(word) for word in words]})
        self.outline.vocabulary = frozenset(map(str, words))
        return self._untraced().choice(words)

    def number(self, low: float = -math.inf, high: float = math.inf) -> float | None:
        self.outline.note({"type": "number", **_limits(low, high)})
        return self._untraced().number(low, high)

    def integer(self, low: float = -math.inf, high: float = math.inf) -> int | None:
        self.outline.note({"type": "integer", **_limits(low, high)})
        return self._untraced().integer(low, high)

    def boolean(self) -> bool | None:
        self.outline.note({"type": "boolean"})
        return self._untraced().boolean()

    def duration(self) -> float | None:
        self.outline.note({"type": "string", "pattern": f"^{reading.DURATION.pattern}$"})
        return self._untraced().duration()

    def items(self, *, length: int | None = None) -> list[Cursor] | None:
        form = {} if length is None else {"minItems": length, "maxItems": length}
        element = self.outline.element(form)
        found = self._untraced().items(length=length) if self.given else [replace(self._untraced())]
        return None if found is None else [_traced(item, element) for item in found]

    def reader(self) -> Reader | None:
        self.outline.is_map = True
        node = self.node
        if node is None:
            node = Node(place=self.place, value={})
        elif self._untraced().reader() is None:
            return None
        return TracingReader(node, self.steps, self.problems, outline=self.outline)

    def _untraced(self) -> Cursor:
        return Cursor(node=self.node, place=self.place, steps=self.steps, problems=self.problems)


@dataclass(slots=True)
class TracingReader(Reader):
    """A reader that records which keys are asked for, and which must be there."""

    outline: Outline = field(default_factory=Outline)
    required: set[str] = field(default_factory=set)

    def at(self, key: str) -> Cursor:
        return _traced(Reader.at(self, key), self.outline.key(key))

    def need(self, key: str) -> Cursor:
        self.required.add(key)
        if key not in self.outline.needed:
            self.outline.needed.append(key)
        return self.at(key)

    def each(self) -> list[tuple[str, Cursor]]:
        names = self.outline.names()
        found: list[tuple[str, Cursor]] = [(key, _traced(Reader.at(self, key), names)) for key in self.keys]
        return found or [("any", _traced(Reader.at(self, "any"), names))]

    def close(self, *, what: str = "key") -> None:
        values = {key: self.node.child(key) for key in self.asked}
        words = {
            key: frozenset({node.value})
            for key, node in values.items()
            if node is not None and isinstance(node.value, str)
        }
        visit = Visit(keys=frozenset(self.asked), required=frozenset(self.required), words=words)
        self.outline.visits.append(visit)


def _traced(cursor: Cursor, outline: Outline) -> Tracing:
    return Tracing(
        node=cursor.node, place=cursor.place, steps=cursor.steps, problems=cursor.problems, outline=outline
    )


def _limits(low: float, high: float) -> Schema:
    said = {"minimum": low, "maximum": high}
    return {
        key: int(limit) if limit == int(limit) else limit
        for key, limit in said.items()
        if math.isfinite(limit)
    }
