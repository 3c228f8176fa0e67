"""The files of a profiles folder, told apart by their top key, and the inference blocks in them.

EdgeX owns profiles and devices files: driver attributes and keys that we do not know are left alone. What we refuse
is a block where core-metadata would drop it or copy it on every event.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from types import MappingProxyType

from edgex_inference.bindings.profiles import Block, Profile, blocks_in, read_profile
from edgex_inference.config.places import Node, Place, Source, Steps, spell, suggest
from edgex_inference.config.problems import Document
from edgex_inference.config.reader import Reader
from edgex_inference.contracts.errors import Problem

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_BLOCKS, _NEAR, _DEEP = "inference", 0.85, 6
_MAPPINGS = re.compile(r"\.resourceOperations\[\d+\]\.mappings\.[^.]*$")
_AWAY = "the folder is away: what its files said stays in force until it is back"
_KEPT = "what the file said before stays in force until it is mended or removed"
NOTHING: Mapping[Path, Document] = MappingProxyType({})
_TAGS = "tags are copied on every event, and each new value is kept for ever: move this to {}"
_DROPPED = "core-metadata drops this key silently: move it to {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideCar:
    """A file with `match` and `inference`; the patterns are globs, `resource` may be left out."""

    file: str
    profile: str
    device: str
    resource: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One entry of a devices file: overrides by binding name."""

    name: str
    profile: str
    place: Place
    overrides: Mapping[str, Block]


@dataclass(slots=True)
class Files:
    """Everything that was read, with the mistakes that belong to no binding.

    `doubles` are further profiles of a name; `cards` are model cards, which another room reads; `unreadable` could
    not be opened.
    """

    profiles: dict[str, Profile] = field(default_factory=dict)
    doubles: list[Profile] = field(default_factory=list)
    sidecars: list[SideCar] = field(default_factory=list)
    devices: dict[str, Device] = field(default_factory=dict)
    cards: list[Document] = field(default_factory=list)
    documents: dict[Path, Document] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)
    writable: Mapping[str, Block] = field(default_factory=dict)
    """Overrides by binding name that the configuration's Writable holds, for every profile and device."""


def read(paths: Iterable[Path], before: Mapping[Path, Document] = NOTHING) -> Files:
    """Reads files, and the YAML and JSON files of folders (not of folders in them); never raises.

    A file that holds nothing readable stays as it was in `before`, and so does a folder that is away: something that
    is not mounted, or is being replaced.
    """
    files = Files()
    for path in paths:
        kept = {file: document for file, document in before.items() if file.parent == path}
        if kept and not path.is_dir():
            _unreadable(files, path, _AWAY)
            files.documents.update(kept)
            for one in kept.values():
                _take(files, one, named=False)
            continue
        for file, named in _expand(path, files):
            document = _document(files, file, before.get(file))
            if document is not None:
                files.documents[file] = document
                _take(files, document, named=named)
    return files


def _document(files: Files, file: Path, before: Document | None) -> Document | None:
    try:
        document = Document.read(file)
    except OSError as error:
        _unreadable(files, file, f"cannot be read: {error.strerror or error}")
        return before
    if document.root.value is not None or before is None:
        return document
    files.problems += document.problems or [document.problem((), "the file is empty")]
    files.problems.append(document.problem((), _KEPT, severity="warning"))
    return before


def _expand(path: Path, files: Files) -> Sequence[tuple[Path, bool]]:
    try:
        if not path.is_dir():
            return [(path, True)]
        found = sorted(one for one in path.iterdir() if is_read(one.name) and one.is_file())
    except OSError as error:
        _unreadable(files, path, f"cannot be read: {error.strerror or error}")
        return []
    return [(one, False) for one in found]


def is_read(name: str) -> bool:
    """Whether a file of this name in a profiles folder counts: hidden ones and other suffixes do not."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def _unreadable(files: Files, path: Path, message: str) -> None:
    files.unreadable.append(path)
    files.problems.append(Place(source=Source(file=str(path))).problem("", message))


def _take(files: Files, document: Document, *, named: bool) -> None:
    kind = kind_of(document)
    if kind == "card":
        files.cards.append(document)
        return
    claimed: set[Problem] = set()
    if kind == "profile":
        profile = read_profile(document, files.problems, claimed)
        refuse_misplaced(document, files.problems)
        _add_profile(files, profile)
    elif kind == "side-car":
        _side_car(files, document, claimed)
    elif kind == "devices":
        _devices(files, document, claimed)
    elif not document.problems:
        files.problems.append(_unknown_kind(document, named=named))
    others = (problem for problem in document.problems if problem not in claimed)
    files.problems.extend(problem for problem in others if not _MAPPINGS.search(problem.path))


def kind_of(document: Document) -> str:
    """`profile`, `side-car`, `devices`, `card`, or nothing for a file that is none of these."""
    keys = set(document.root.entries)
    if "deviceResources" in keys:
        return "profile"
    if "deviceList" in keys or any("profileName" in item.entries for item in document.root.items):
        return "devices"
    if "match" in keys:
        return "side-car"
    if "files" in keys or {"task", "version"} <= keys:
        return "card"
    if "name" in keys and keys & {"manufacturer", "deviceCommands", "apiVersion"}:
        return "profile"
    return ""


def _unknown_kind(document: Document, *, named: bool) -> Problem:
    keys = tuple(document.root.entries)
    known = ("deviceResources", "match", "deviceList")
    hint = next((found for key in keys if (found := suggest(key, known))), "")
    message = "the file is empty"
    if "inference" in keys:
        message = "a side-car needs match beside inference, such as match: {profile: my-profile}"
    elif document.root.value is not None:
        message = (
            "is no device profile (deviceResources), side-car (match, inference), devices file (deviceList) "
            f"or model card (task, files){hint}"
        )
    ignored = not named and not hint and "inference" not in keys
    severity = "warning" if ignored else "error"
    return document.problem((), message + (": ignored" if ignored else ""), severity=severity)


def _add_profile(files: Files, profile: Profile) -> None:
    first = files.profiles.setdefault(profile.name, profile)
    if first is not profile:
        message = f"a second profile named {profile.name!r}; the first is in {first.document.source.file}"
        files.problems.append(profile.document.problem(("name",), message))
        files.doubles.append(profile)


def refuse_misplaced(document: Document, problems: list[Problem]) -> None:
    """Blocks in places of a profile that do not survive, or that must not be used."""
    home = "deviceResources[].properties.optional.inference"
    places: list[tuple[Steps, str]] = [(("inference",), _DROPPED), (("tags", "inference"), _TAGS)]
    for top in ("deviceResources", "deviceCommands"):
        node = document.root.child(top)
        for index in range(len(node.items) if node is not None else 0):
            places.append(((top, index, "inference"), _DROPPED))
            places.append(((top, index, "properties", "inference"), _DROPPED))
            places.append(((top, index, "optional", "inference"), _DROPPED))
            places.append(((top, index, "tags", "inference"), _TAGS))
    _refuse(document, places, home, problems)
    _misspelt(document, problems)


def _misspelt(document: Document, problems: list[Problem]) -> None:
    """Keys that are all but a block's name or place: a profile without a binding looks like a good one."""
    told = {problem.path for problem in problems}
    for steps in _named_alike(document.root, ()):
        path = spell(steps)
        if any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in told):
            continue
        home = ("deviceResources", "[]", "properties", "optional", _BLOCKS)
        message, severity = (
            f"no block is read here: move it to {'.'.join(home).replace('.[]', '[]')}",
            "error",
        )
        if _holds_blocks(steps[:-1]):
            message = f"did you mean {_BLOCKS}?"
        elif steps[0] == "deviceResources" and "attributes" in steps[2:3]:
            severity = "warning"  # a driver's own, which may mean something by it
        problems.append(document.problem(steps, message, key=True, severity=severity))


def _named_alike(node: Node, steps: Steps) -> Iterator[Steps]:
    """Ways to keys that are called like blocks, where no block is read; nothing below a block is looked at."""
    if len(steps) > _DEEP:
        return
    for index, item in enumerate(node.items):
        yield from _named_alike(item, (*steps, index))
    for key, entry in node.entries.items():
        if key == _BLOCKS and _holds_blocks(steps):
            continue
        if _alike(key):
            yield (*steps, key)
        else:
            yield from _named_alike(entry.node, (*steps, key))


def _holds_blocks(steps: Steps) -> bool:
    """Whether these steps lead to where a block stands."""
    return steps[:1] == ("deviceResources",) and steps[2:] in (("properties", "optional"), ("attributes",))


def _alike(key: str) -> bool:
    return SequenceMatcher(None, key.lower(), _BLOCKS).ratio() > _NEAR


def _refuse(
    document: Document, places: Sequence[tuple[Steps, str]], home: str, problems: list[Problem]
) -> None:
    for steps, message in places:
        if document.root.find(*steps) is not None:
            problems.append(document.problem(steps, message.format(home), key=True))


def _side_car(files: Files, document: Document, claimed: set[Problem]) -> None:
    name = Path(document.source.file).name
    reader = Reader(document.root, problems=files.problems)
    match = reader.need("match").reader()
    inference = reader.need("inference")
    reader.at("description")
    reader.close()
    blocks = blocks_in(document, ("inference",), f"side-car {name}", files.problems, claimed)
    if match is None or not inference.given:
        return
    profile = match.need("profile").text()
    device = match.at("device").text()
    resource = match.at("resource").text()
    match.close()
    if profile is None:
        return
    side_car = SideCar(
        file=document.source.file,
        profile=profile,
        device=device or "*",
        resource=resource or "",
        blocks=blocks,
    )
    files.sidecars.append(side_car)


def _devices(files: Files, document: Document, claimed: set[Problem]) -> None:
    base: Steps = ("deviceList",) if document.root.entries else ()
    found = document.root.find(*base)
    if found is None or not isinstance(found.value, tuple):
        files.problems.append(document.problem(base, "must be a list of devices"))
        return
    for index, node in enumerate(found.items):
        steps: Steps = (*base, index)
        if not isinstance(node.value, Mapping):
            files.problems.append(document.problem(steps, f"must be a map, not {node.kind}"))
            continue
        _device(files, document, steps, node, claimed)


def _device(files: Files, document: Document, steps: Steps, node: Node, claimed: set[Problem]) -> None:
    reader = Reader(node, steps, files.problems)
    name = reader.need("name").text()
    profile = reader.at("profileName").text() or ""
    home = f"properties.inference of {name}"
    wrong: list[tuple[Steps, str]] = [
        ((*steps, "inference"), _DROPPED),
        ((*steps, "tags", "inference"), _TAGS),
    ]
    _refuse(document, wrong, home, files.problems)
    if name is None:
        return
    overrides = overrides_of(document, steps, f"device {name}", files.problems, claimed)
    device = Device(name=name, profile=profile, place=reader.at("name").place, overrides=overrides)
    first = files.devices.setdefault(name, device)
    if first is not device:
        where = f"{first.place.source.file}:{first.place.line}"
        reader.at("name").say(f"a second device named {name!r}; the first is in {where}")


def overrides_of(
    document: Document, steps: Steps, origin: str, problems: list[Problem], claimed: set[Problem]
) -> dict[str, Block]:
    """The overrides of both places by binding name; different ones for one binding are refused."""
    newer = (*steps, "properties", "inference")
    older = (*steps, "protocols", "inference")
    found = {block.name: block for block in blocks_in(document, newer, origin, problems, claimed)}
    for block in blocks_in(document, older, origin, problems, claimed, texts=True):
        other = found.setdefault(block.name, block)
        if other.node.plain() != block.node.plain():
            message = "properties.inference and protocols.inference both have it, and they differ: remove one"
            flaw = block.node.place.problem(block.name, message)
            found[block.name] = other.flawed(flaw)
    return found
