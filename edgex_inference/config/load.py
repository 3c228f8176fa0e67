"""Configuration from files, the environment and flags, with all mistakes at once.

The later wins: defaults < common file < private file < environment < -d, -rsh and our own flags.
"""

import logging
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

from edgex_inference.config import credentials, environment
from edgex_inference.config.decode import Decoded, at_steps, decode, wire, without_empty
from edgex_inference.config.flags import DEFAULT_SERVICE_KEY, Flags
from edgex_inference.config.places import Entry, Node, Place, Source, Steps, spell, suggest
from edgex_inference.config.problems import MOST_BYTES, Document
from edgex_inference.config.redact import is_secret
from edgex_inference.config.schema import BUS_OPTIONS, Configuration
from edgex_inference.config.switches import Switches, switches
from edgex_inference.contracts.errors import ConfigurationError, Problem

NAMES = ("configuration.toml", "configuration.yaml", "configuration.yml")
PACKAGED = Path(__file__).parent.parent / "_data" / "configuration.toml"
_COMMAND_LINE = "command line"
_TOML_NAME = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_TOML_LINE = re.compile(
    rf"\s*(?:\[\[?\s*(?P<table>{_TOML_NAME}(?:\s*\.\s*{_TOML_NAME})*)\s*\]"
    rf"|(?P<key>{_TOML_NAME}(?:\s*\.\s*{_TOML_NAME})*)\s*=\s*(?P<value>))"
)
_TOML_MISTAKE = re.compile(
    r"(?P<text>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to log once logging is set up; `level` as in the logging module."""

    level: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The configuration and what belongs to it; `file` None: the packaged default.

    `cache` is for compiled models, `state` for what must be known after a restart.
    """

    config: Configuration
    service_key: str
    file: Path | None
    profiles: Path
    models: Path
    cache: Path | None
    notes: tuple[Note, ...]
    state: Path | None = None
    switches: Switches = Switches()


def load(
    flags: Flags | None = None, *, environ: Mapping[str, str] | None = None, directory: Path | None = None
) -> Loaded:
    """Reads every source; raises ConfigurationError with all mistakes of all of them.

    `environ` is the process's environment unless given, `directory` the working directory.
    """
    environ = os.environ if environ is None else environ
    directory = Path.cwd() if directory is None else directory
    flags, problems = environment.replace_flags(flags or Flags(), environ)
    private, missing = _locate(flags, directory)
    merged, unread = _files(directory / flags.common_config if flags.common_config else None, private)
    found = environment.overrides(merged, environ)
    forced, mistakes = _forced(flags)
    merged = reduce(Node.merged, (*found.nodes, *forced), merged)
    decoded = decode(merged)
    service_key, unfit = _service_key(flags)
    problems += (*missing, *_refused(flags, environ), *unread, *found.problems, *mistakes)
    problems += (*decoded.problems, *_check(decoded.config, merged), *unfit)
    if problems:
        raise ConfigurationError([_without_secret(problem) for problem in _in_order(problems)])
    inference = decoded.config.inference
    file = private if private != PACKAGED else None
    folder = _Folders(merged=merged, file=file, directory=directory)
    cache = folder.of("CacheDir", inference.cache_dir) if inference.cache_dir else None
    return Loaded(
        config=decoded.config,
        service_key=service_key,
        file=file,
        profiles=folder.of("ProfilesDir", inference.profiles_dir),
        models=folder.of("ModelsDir", inference.models_dir),
        cache=cache,
        notes=_notes(flags, environ, merged, decoded, found.warnings),
        state=cache or _state(environ),
        switches=switches(environ),
    )


def _state(environ: Mapping[str, str]) -> Path | None:
    """Where the XDG base directories have state; None for a user without a home."""
    home = environ.get("HOME", "")
    base = environ.get("XDG_STATE_HOME") or (f"{home}/.local/state" if home else "")
    return Path(base) / "edgex-inference" if base else None


def _in_order(problems: Iterable[Problem]) -> Sequence[Problem]:
    """File by file, as they were first spoken of, and in each from top to bottom."""
    found = list(problems)
    files = list(dict.fromkeys(problem.file for problem in found))
    return sorted(found, key=lambda one: (files.index(one.file), one.line, one.column))


def _files(common: Path | None, private: Path | None) -> tuple[Node, list[Problem]]:
    """The defaults with both files laid on them."""
    layers = [Document.of(wire(Configuration()), "defaults")]
    if common is not None:
        layers.append(_common(_read(common)))
    if private is not None:
        layers.append(_read(private))
    problems = [problem for layer in layers for problem in layer.problems]
    for layer in layers:
        if layer.root.value is not None and not isinstance(layer.root.value, Mapping):
            problems.append(layer.problem((), f"must be a map of sections, not {layer.root.kind}"))
    roots = [without_empty(layer.root) for layer in layers if layer.root.entries]
    return reduce(Node.merged, roots), problems


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folders:
    merged: Node
    file: Path | None
    directory: Path

    def of(self, key: str, text: str) -> Path:
        """A relative folder starts at the configuration file, or where the person typed it."""
        source = self.merged.nearest(("Inference", key)).source
        typed = source.origin in (environment.ORIGIN, _COMMAND_LINE)
        return (self.directory if typed or self.file is None else self.file.parent) / text


def _locate(flags: Flags, directory: Path) -> tuple[Path | None, tuple[Problem, ...]]:
    for name in ("config_file", "config_dir", "common_config", "profile"):
        if "://" in getattr(flags, name):
            message = "configuration from a URL is not built yet; give a file"
            return None, (Problem(file=flags.origin(name), path="", message=message),)
    names = (flags.config_file,) if flags.config_file else NAMES
    if flags.config_dir or flags.profile:
        folders = [directory / (flags.config_dir or "res") / flags.profile]
    else:
        folders = [directory, directory / "res"] if flags.config_file else [directory]
    tried = [folder / name for name in names for folder in folders]
    for candidate in tried:
        if candidate.is_file():
            return candidate, ()
    if not (flags.config_file or flags.config_dir or flags.profile):
        return PACKAGED, ()
    said = next(name for name in ("config_file", "config_dir", "profile") if getattr(flags, name))
    message = f"no configuration file there; tried {', '.join(str(path) for path in tried)}"
    return None, (Problem(file=flags.origin(said), path="", message=message),)


def _read(path: Path) -> Document:
    suffix = path.suffix.lower()
    try:
        if suffix in (".yaml", ".yml"):
            return Document.read(path)
        if suffix == ".toml":
            with path.open("rb") as file:
                return _toml(file.read(MOST_BYTES + 1), str(path))
    except OSError as error:
        return _broken(str(path), error.strerror or str(error))
    return _broken(str(path), "must end in .toml, .yaml or .yml")


def _toml(raw: bytes, file: str) -> Document:
    if len(raw) > MOST_BYTES:
        return _broken(file, f"the file is larger than {MOST_BYTES >> 20} MiB")
    try:
        text = raw.decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line, column = raw.count(b"\n", 0, error.start) + 1, error.start - raw.rfind(b"\n", 0, error.start)
        return _broken(file, f"byte 0x{raw[error.start]:02x} is no UTF-8 text", line, column)
    except tomllib.TOMLDecodeError as error:
        said = _TOML_MISTAKE.fullmatch(str(error))
        if said is None:
            return _broken(file, f"no valid TOML: {error}")
        line = int(said["line"] or text.count("\n") + 1)
        return _broken(file, f"no valid TOML: {said['text']}", line, int(said["column"] or 1))
    except RecursionError:
        return _broken(file, "nested too deeply")
    lines = tuple(text.splitlines())
    source = Source(file=file, lines=lines)
    return Document(source=source, root=_placed(Document.of(data, file).root, source, _toml_places(lines)))


def _toml_places(lines: Iterable[str]) -> Mapping[Steps, tuple[int, int, int]]:
    """Line, column and the value's column of every table and key that has a line of its own; the first one wins."""
    places: dict[Steps, tuple[int, int, int]] = {}
    table: Steps = ()
    for number, line in enumerate(lines, start=1):
        found = _TOML_LINE.match(line)
        if found is None:
            continue
        written = found["table"] or found["key"]
        names = tuple(name.strip("\"'") for name in re.findall(_TOML_NAME, written))
        if found["table"]:
            table = names
        steps = table if found["table"] else (*table, *names)
        column = found.start("table" if found["table"] else "key") + 1
        for length in range(1, len(steps)):
            places.setdefault(steps[:length], (number, column, column))
        places.setdefault(steps, (number, column, column if found["table"] else found.start("value") + 1))
    return places


def _placed(
    node: Node,
    source: Source,
    places: Mapping[Steps, tuple[int, int, int]],
    steps: Steps = (),
    around: tuple[int, int] = (1, 1),
) -> Node:
    """The node with its places; what has no line of its own, as in an inline table, is where that table is."""
    line, _, column = places.get(steps, (around[0], 0, around[1]))
    place = Place(source=source, line=line, column=column)
    if not isinstance(node.value, Mapping):
        return replace(node, place=place)
    entries = {}
    for key, entry in node.entries.items():
        inner = _placed(entry.node, source, places, (*steps, key), (line, column))
        own = places.get((*steps, key))
        at = Place(source=source, line=own[0], column=own[1]) if own is not None else inner.place
        entries[key] = Entry(key=at, node=inner)
    return replace(node, place=place, value=entries)


def _broken(file: str, message: str, line: int = 0, column: int = 1) -> Document:
    source = Source(file=file)
    place = Place(source=source, line=line, column=column if line else 0)
    return Document(source=source, root=Node(place=place, value=None), problems=(place.problem("", message),))


def _common(document: Document) -> Document:
    """EdgeX's common file has one part for all services and one for each kind; plain files pass as they are."""
    parts = [document.root.find(name) for name in ("all-services", "app-services")]
    if not any(parts):
        return document
    filled = [part for part in parts if part is not None and part.entries]
    return replace(document, root=reduce(Node.merged, filled) if filled else replace(document.root, value={}))


def _refused(flags: Flags, environ: Mapping[str, str]) -> list[Problem]:
    problems = []
    if flags.config_provider and flags.config_provider.lower() != "none":
        message = (
            "the configuration provider is not built yet; use a file (-cf) and EDGEX_CONFIG_PROVIDER=none"
        )
        problems.append(Problem(file=flags.origin("config_provider"), path="", message=message))
    if (environ.get("EDGEX_SECURITY_SECRET_STORE") or "false") != "false":
        message = "the secret store is not built yet; set it to false to run in EdgeX's insecure mode"
        problems.append(Problem(file="EDGEX_SECURITY_SECRET_STORE", path="", message=message))
    return problems


def _forced(flags: Flags) -> tuple[list[Node], list[Problem]]:
    """Keys that flags set: -d, -rsh, --profiles and --models."""
    wanted: list[tuple[str, Steps, str]] = []
    problems = []
    if flags.dev:
        origin = flags.origin("dev")
        wanted += [(origin, (section, "Host"), "localhost") for section in ("Service", "MessageBus")]
    if flags.remote_service_hosts:
        origin = flags.origin("remote_service_hosts")
        hosts = [host.strip() for host in flags.remote_service_hosts.split(",")]
        if len(hosts) == 3 and all(hosts) and not flags.dev:
            keys = (("Service", "Host"), ("MessageBus", "Host"), ("Service", "ServerBindAddr"))
            wanted += [(origin, steps, host) for steps, host in zip(keys, hosts, strict=True)]
        else:
            message = "needs this host,EdgeX's host,the address to listen on, and no -d/--dev beside it"
            problems.append(Problem(file=origin, path="", message=message))
    for name, key, text in (
        ("profiles", "ProfilesDir", flags.profiles),
        ("models", "ModelsDir", flags.models),
    ):
        if text:
            wanted.append((flags.origin(name), ("Inference", key), text))
    nodes = []
    for origin, steps, text in wanted:
        place = Place(source=Source(file=origin, origin=_COMMAND_LINE))
        nodes.append(at_steps(steps, Node(place=place, value=text)))
    return nodes, problems


def _service_key(flags: Flags) -> tuple[str, list[Problem]]:
    key = flags.service_key or DEFAULT_SERVICE_KEY
    key = key.replace("<profile>", flags.profile) if flags.profile else key.replace("-<profile>", "")
    key += f"_{flags.instance}" if flags.instance else ""
    if re.fullmatch(r"[^\s/+#<>]{1,256}", key):
        return key, []
    message = f"{key!r} cannot be a level of a topic: no spaces, slashes, + or #"
    return key, [Problem(file=flags.origin("service_key"), path="", message=message)]


def _check(config: Configuration, merged: Node) -> list[Problem]:
    """What one key alone cannot tell."""
    said: list[tuple[Steps, str]] = []
    lacking = credentials.missing(config)
    if lacking:
        said.append((("MessageBus", "AuthMode"), lacking))
    protocol = merged.find("HttpServer", "Protocol")
    if protocol is not None and protocol.value not in ("http", ""):
        said.append((("HttpServer", "Protocol"), "HTTPS is not built yet; use http"))
    if not config.trigger.topics:
        said.append((("Trigger", "SubscribeTopics"), "names no topic"))
    for key, text in config.message_bus.optional.items():
        fault = _option_fault(key, text)
        if fault:
            said.append((("MessageBus", "Optional", key), fault))
    return [merged.nearest(steps).problem(spell(steps), message) for steps, message in said]


def _option_fault(key: str, text: str) -> str:
    kind = BUS_OPTIONS.get(key)
    if kind is None:
        near = suggest(key, BUS_OPTIONS)
        return f"unknown option {key!r}{near}" if near else ""
    if kind is bool and text.lower() not in ("true", "false", "1", "0", "t", "f"):
        return f"{text!r} is not true or false"
    if kind is int and not re.fullmatch(r"[0-9]{1,9}", text):
        return f"{text!r} is not a whole number"
    return f"{text!r} is not 0, 1 or 2" if key == "Qos" and text not in ("0", "1", "2") else ""


def _notes(
    flags: Flags, environ: Mapping[str, str], merged: Node, decoded: Decoded, warnings: Iterable[str]
) -> tuple[Note, ...]:
    said = list(warnings)
    if not environ.get("EDGEX_SECURITY_SECRET_STORE"):
        said.append("EDGEX_SECURITY_SECRET_STORE is not set: running in insecure mode, as with false")
    if flags.registry:
        said.append(
            f"{flags.origin('registry')}: the registry is not built yet, this service does not register"
        )
    switched = {
        (
            "Writable",
            "StoreAndForward",
            "Enabled",
        ): "it is not read, Inference.OutboxMaxSize and OutboxMaxAge are",
        ("Service", "CORSConfiguration", "EnableCORS"): "CORS is not built yet",
        ("Service", "SecurityOptions", "Mode"): "zero trust is not built yet",
        (
            "Writable",
            "Pipeline",
            "ExecutionOrder",
        ): "function pipelines are not read, bindings in profiles are",
        ("Trigger", "PublishTopic"): "it is not used, a binding's `publish` says where its results go",
    }
    for steps, sentence in switched.items():
        node = merged.find(*steps)
        if node is not None and node.value:
            said.append(f"{spell(steps)} is set: {sentence}")
    for key, text in decoded.config.message_bus.optional.items():
        if key not in BUS_OPTIONS and text:
            said.append(f"MessageBus.Optional.{key} is not known and not used")
    notes = [Note(level=logging.WARNING, text=text) for text in said]
    if decoded.unused:
        text = f"accepted but not used: {', '.join(decoded.unused)}"
        notes.append(Note(level=logging.DEBUG, text=text))
    return tuple(notes)


def _without_secret(problem: Problem) -> Problem:
    """The source line of a secret is not shown, whatever is wrong with it."""
    words = re.split(r"\W+", problem.path if problem.path else problem.source)
    private = problem.path.startswith(("Writable.InsecureSecrets", "MessageBus.Optional"))
    return replace(problem, source="") if private or any(is_secret(word) for word in words) else problem
