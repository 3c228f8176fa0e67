"""What a configuration provider holds: flat keys with texts, and the trees that they stand for."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from edgex_inference.config.places import Entry, Node, Place, Source, Steps
from edgex_inference.config.problems import Document

COMMON = "common configuration"
"""The origin of values that belong to all services: keys that nobody here knows are somebody else's."""

PRIVATE = "configuration provider"
SECRETS = ("Writable", "InsecureSecrets")
"""Below it entries have names that people choose."""

_FREE = ("Writable", "InferenceBindings")
"""Below it values have no type of their own in the configuration: they are read as YAML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The values below one path of a provider, by the keys behind it: `Service/Port` → `59760`."""

    path: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What `provider` has for this service: common parts, lowest first, and its own; None: nothing is stored.

    `alone` is EdgeX 2's way: no common parts, everything is our own, and the environment counts over what is stored.
    """

    provider: str
    common: tuple[Part, ...] = ()
    private: Part | None = None
    alone: bool = False

    def common_nodes(self) -> Iterator[Node]:
        """The common parts as trees."""
        return (
            _tree(part, Source(file=f"{self.provider} {part.path}", origin=COMMON)) for part in self.common
        )

    def private_node(self) -> Node | None:
        """The service's own part as a tree."""
        if self.private is None:
            return None
        return _tree(self.private, Source(file=f"{self.provider} {self.private.path}", origin=PRIVATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What was fetched before a configuration is put together: files by their address, and a provider's values."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    held: Held | None = None


def is_held(place: Place) -> bool:
    """Whether a value came from a provider, where everything is a text."""
    return place.source.origin in (COMMON, PRIVATE)


def flat(node: Node) -> dict[str, str]:
    """The leaves of a tree under keys for a provider, lists as `Key/0`, `Key/1`; what is empty is left out."""
    return {key_of(steps): text for steps, text in _leaves(node, ())}


def key_of(steps: Steps) -> str:
    """The key of a leaf; the name of a secret is escaped in it, as EdgeX's own services do: it may hold slashes."""
    levels = [str(step) for step in steps]
    if steps[:2] == SECRETS and len(levels) > 2:
        levels[2] = quote(levels[2], safe="")
    return "/".join(levels)


def _leaves(node: Node, steps: Steps) -> Iterator[tuple[Steps, str]]:
    if isinstance(node.value, Mapping):
        for key, entry in node.value.items():
            yield from _leaves(entry.node, (*steps, key))
    elif isinstance(node.value, tuple):
        for index, item in enumerate(node.value):
            yield from _leaves(item, (*steps, index))
    elif node.value is not None:
        text = text_of(node.value, node.written)
        mistaken = (
            steps[:2] == _FREE and isinstance(node.value, str) and _free(text, node.place).value != text
        )
        yield steps, json.dumps(text, ensure_ascii=False) if mistaken else text


def text_of(value: object, written: str | None = None) -> str:
    """A value as Go prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return written if written is not None else str(value)


def _tree(part: Part, source: Source) -> Node:
    place = Place(source=source)
    root: dict[str, object] = {}
    # A leaf and a subtree may stand at one key: the subtree counts, whatever order they come in.
    for key, text in sorted(part.values.items(), key=lambda item: item[0].count("/"), reverse=True):
        *parents, leaf = [step for step in key.split("/") if step] or [""]
        if tuple(parents[:2]) == SECRETS and len(parents) > 2:
            parents[2] = unquote(parents[2])
        tree = root
        for step in parents:
            inner = tree.get(step)
            tree = inner if isinstance(inner, dict) else tree.setdefault(step, {})  # type: ignore[assignment]
        tree.setdefault(leaf, text)
    return _node(root, place, ())


def _node(value: object, place: Place, steps: Steps) -> Node:
    if not isinstance(value, dict):
        return _free(str(value), place) if steps[:2] == _FREE else Node(place=place, value=str(value))
    inner = {key: _node(item, place, (*steps, key)) for key, item in value.items()}
    if steps[:2] == _FREE and len(steps) > 3 and _is_list(inner):
        return Node(place=place, value=tuple(inner[str(index)] for index in range(len(inner))))
    return Node(place=place, value={key: Entry(key=place, node=node) for key, node in inner.items()})


def _is_list(keys: Iterable[str]) -> bool:
    found = set(keys)
    return bool(found) and found == {str(index) for index in range(len(found))}


def _free(text: str, place: Place) -> Node:
    """`0.7`, `true` and `[a, b]` as what they are; what is no YAML stays the text that it is."""
    read = Document.parse(text, place.source.file)
    if read.problems or not text.strip():
        return Node(place=place, value=text)
    return Document.of(read.data, place.source.file).root.labelled(place.source.origin)
