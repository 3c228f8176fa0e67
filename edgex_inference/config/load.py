"""Configuration from files, a provider, the environment and flags, with all mistakes at once.

The later wins: defaults < common file < private file < environment < -d, -rsh and our own flags. With a provider:
defaults < its common parts < private file with the environment, as long as nothing is stored < what is stored.
"""

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path

from edgex_inference.config import credentials, environment
from edgex_inference.config.decode import Decoded, at_steps, decode, wire, without_empty
from edgex_inference.config.flags import DEFAULT_SERVICE_KEY, Flags, is_address, provider_of, remote_hosts
from edgex_inference.config.places import Node, Place, Source, Steps, spell, suggest
from edgex_inference.config.problems import Document
from edgex_inference.config.redact import is_secret
from edgex_inference.config.schema import BUS_OPTIONS, Configuration
from edgex_inference.config.sources import documents
from edgex_inference.config.sources.held import Held, Outside, flat
from edgex_inference.config.sources.older import modern
from edgex_inference.config.switches import Switches, switches
from edgex_inference.contracts.errors import ConfigurationError, Problem

NAMES = ("configuration.toml", "configuration.yaml", "configuration.yml")
PACKAGED = Path(__file__).parent.parent / "_data" / "configuration.toml"
_COMMAND_LINE = "command line"
_OWN = {
    "Writable": ("LogLevel",),
    "Service": ("Host", "Port", "StartupMsg"),
    "Trigger": ("Type", "SubscribeTopics"),
}
"""What is this service's own beside its section: the keys that EdgeX's own private files have."""

_HELD_WINS = "what is stored counts, as in EdgeX; -o/--overwrite pushes the private configuration again"


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
    registry: bool = False
    """Whether the registry is used."""

    private: Mapping[str, str] = field(default_factory=dict)
    """The private configuration as this process alone has it, by the keys of a provider."""

    switches: Switches = Switches()


def load(
    flags: Flags | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    outside: Outside | None = None,
) -> Loaded:
    """Puts every source together; raises ConfigurationError with all mistakes of all of them.

    `environ` is the process's environment unless given, `directory` the working directory. What must be asked for
    elsewhere is in `outside`: files named by an address, and the values of a provider.
    """
    environ = os.environ if environ is None else environ
    directory = Path.cwd() if directory is None else directory
    outside = outside or Outside()
    flags, problems = environment.replace_flags(flags or Flags(), environ)
    files = _files(flags, directory, outside)
    laid = _lay_held(files, environ, outside.held) if outside.held else _lay(files, environ)
    forced, mistakes = _forced(flags, laid.merged)
    merged = reduce(Node.merged, forced, laid.merged)
    decoded = decode(merged)
    key, unfit = service_key(flags)
    problems += (*_refused(flags, environ), *files.problems, *laid.problems, *mistakes)
    problems += (*decoded.problems, *_check(decoded.config, merged), *unfit)
    if wrong := [problem for problem in problems if problem.severity == "error"]:
        raise ConfigurationError([_without_secret(problem) for problem in _in_order(wrong)])
    inference = decoded.config.inference
    folder = _Folders(merged=merged, file=files.file, directory=directory)
    warnings = (*laid.warnings, *(str(problem) for problem in problems), *_unasked(flags, outside))
    cache = folder.of("CacheDir", inference.cache_dir) if inference.cache_dir else None
    return Loaded(
        config=decoded.config,
        service_key=key,
        file=files.file,
        profiles=folder.of("ProfilesDir", inference.profiles_dir),
        models=folder.of("ModelsDir", inference.models_dir),
        cache=cache,
        notes=_notes(environ, merged, decoded, warnings),
        state=cache or _state(environ),
        registry=flags.registry,
        private=flat(laid.private),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """The documents of flags and folders; `file` None: there is no private file, the packaged one stands in."""

    common: Document | None
    private: Document
    file: Path | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laid:
    """All layers in one, and the private one by itself, as it would be put into a provider."""

    merged: Node
    private: Node
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def _files(flags: Flags, directory: Path, outside: Outside) -> _Files:
    problems: list[Problem] = []
    common = None
    if flags.common_config and outside.held is None:
        common = documents.common_part(_document(flags, "common_config", directory, outside, problems))
    private, file = _private(flags, directory, outside, problems)
    for layer in (common, private):
        if layer is not None:
            problems += layer.problems
            if layer.root.value is not None and not isinstance(layer.root.value, Mapping):
                problems.append(layer.problem((), f"must be a map of sections, not {layer.root.kind}"))
    private = replace(private, root=modern(private.root))
    return _Files(common=common, private=private, file=file, problems=tuple(problems))


def _private(
    flags: Flags, directory: Path, outside: Outside, problems: list[Problem]
) -> tuple[Document, Path | None]:
    if is_address(flags.config_file):
        return _document(flags, "config_file", directory, outside, problems), None
    found, missing = _locate(flags, directory)
    problems += missing
    if found is None:
        return Document.of({}, "nowhere"), None
    if found == PACKAGED:
        shared = outside.held is not None and not outside.held.alone
        return (_own_part() if shared else documents.read(PACKAGED)), None
    return documents.read(found), found


def _document(
    flags: Flags, name: str, directory: Path, outside: Outside, problems: list[Problem]
) -> Document:
    """A document by a flag that says exactly where it is."""
    where = str(getattr(flags, name))
    if not is_address(where):
        return documents.read(directory / where)
    if where not in outside.files:
        message = "this command reads files only, and that is an address"
        problems.append(Problem(file=flags.origin(name), path="", message=message))
        return Document.of({}, where)
    return documents.parse(outside.files[where], where)


def _own_part() -> Document:
    """What a service without a file of its own puts into a provider: what is nobody's but its."""
    whole = wire(Configuration())
    chosen = {section: {key: whole[section][key] for key in keys} for section, keys in _OWN.items()}
    return Document.of(chosen | {"Inference": whole["Inference"]}, "defaults")


def _defaults() -> Node:
    return Document.of(wire(Configuration()), "defaults").root


def _lay(files: _Files, environ: Mapping[str, str]) -> _Laid:
    """Defaults, files, and the environment over all of them."""
    layers = [layer.root for layer in (files.common, files.private) if layer is not None]
    merged = reduce(Node.merged, [_defaults(), *(without_empty(root) for root in layers if root.entries)])
    found = environment.overrides(merged, environ)
    return _Laid(
        merged=reduce(Node.merged, found.nodes, merged),
        private=without_empty(files.private.root),
        problems=found.problems,
        warnings=found.warnings,
    )


def _lay_held(files: _Files, environ: Mapping[str, str], held: Held) -> _Laid:
    """Defaults, the provider's common parts, our own part: the environment reaches what is not stored yet."""
    private = without_empty(files.private.root)
    found = environment.overrides(private, environ, options=held.alone)
    private = reduce(Node.merged, found.nodes, private)
    stored = held.private_node()
    own = private if stored is None else private.merged(stored)
    merged = reduce(Node.merged, [_defaults(), *held.common_nodes(), own])
    if held.alone:
        merged = reduce(Node.merged, environment.overrides(merged, environ).nodes, merged)
    ignored = environment.ignored(merged, environ)
    warnings = [f"{name} is set, and {held.provider} says otherwise: {_HELD_WINS}" for name in ignored]
    return _Laid(merged=merged, private=private, problems=found.problems, warnings=tuple(warnings))


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


def _refused(flags: Flags, environ: Mapping[str, str]) -> list[Problem]:
    problems = []
    try:
        provider_of(flags)
    except ValueError as error:
        problems.append(Problem(file=flags.origin("config_provider"), path="", message=str(error)))
    if (environ.get("EDGEX_SECURITY_SECRET_STORE") or "false") != "false":
        message = "the secret store is not built yet; set it to false to run in EdgeX's insecure mode"
        problems.append(Problem(file="EDGEX_SECURITY_SECRET_STORE", path="", message=message))
    return problems


def _unasked(flags: Flags, outside: Outside) -> tuple[str, ...]:
    if provider_of(flags) is None or outside.held is not None:
        return ()
    return (f"{flags.origin('config_provider')}: this command reads files only, the provider is not asked",)


def _forced(flags: Flags, merged: Node) -> tuple[list[Node], list[Problem]]:
    """Keys that flags set: -d, -rsh, --profiles and --models."""
    wanted: list[tuple[str, Steps, str]] = []
    problems = []
    clients = merged.find("Clients")
    others: list[Steps] = [("MessageBus", "Host"), ("Registry", "Host")]
    others += [("Clients", name, "Host") for name in (clients.entries if clients is not None else ())]
    if flags.dev:
        origin = flags.origin("dev")
        wanted += [(origin, steps, "localhost") for steps in (("Service", "Host"), *others)]
    if flags.remote_service_hosts:
        origin = flags.origin("remote_service_hosts")
        hosts = remote_hosts(flags)
        if hosts is not None and not flags.dev:
            local, remote, listening = hosts
            wanted += [(origin, steps, remote) for steps in others]
            wanted += [
                (origin, ("Service", "Host"), local),
                (origin, ("Service", "ServerBindAddr"), listening),
            ]
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


def service_key(flags: Flags) -> tuple[str, list[Problem]]:
    """The service key, `<profile>` filled in and the instance behind it, and what is wrong with it."""
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
    if not config.trigger.topics and config.trigger.type != "http":
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
    environ: Mapping[str, str], merged: Node, decoded: Decoded, warnings: Iterable[str]
) -> tuple[Note, ...]:
    said = list(warnings)
    if not environ.get("EDGEX_SECURITY_SECRET_STORE"):
        said.append("EDGEX_SECURITY_SECRET_STORE is not set: running in insecure mode, as with false")
    switched = {
        (
            "Writable",
            "StoreAndForward",
            "Enabled",
        ): "it is not read, Inference.OutboxMaxSize and OutboxMaxAge are",
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
