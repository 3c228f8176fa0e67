"""The environment: EDGEX_* twins of flags, and overrides of single keys such as MESSAGEBUS_PORT."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgex_inference.config import durations
from edgex_inference.config.decode import at_steps, unused_pattern, wire
from edgex_inference.config.flags import Flags
from edgex_inference.config.places import Node, Place, Plain, Source, Steps, spell
from edgex_inference.config.problems import Document
from edgex_inference.config.schema import BUS_OPTIONS, UNUSED, Configuration
from edgex_inference.config.sources import older
from edgex_inference.config.sources.held import text_of
from edgex_inference.contracts.errors import Problem

ORIGIN = "environment"
_TEXTS = {
    "EDGEX_CONFIGURATION_PROVIDER": "config_provider",
    "EDGEX_CONF_DIR": "config_dir",
    "EDGEX_CONFIG_PROVIDER": "config_provider",
    "EDGEX_COMMON_CONFIG": "common_config",
    "EDGEX_CONFIG_FILE": "config_file",
    "EDGEX_CONFIG_DIR": "config_dir",
    "EDGEX_PROFILE": "profile",
    "EDGEX_SERVICE_KEY": "service_key",
    "EDGEX_INSTANCE_NAME": "instance",
    "EDGEX_REMOTE_SERVICE_HOSTS": "remote_service_hosts",
}
_SWITCHES = {"EDGEX_USE_REGISTRY": "registry", "EDGEX_OVERWRITE_CONFIG": "overwrite"}
_SECONDS = {
    "EDGEX_STARTUP_DURATION": "duration",
    "EDGEX_STARTUP_INTERVAL": "interval",
    "EDGEX_FILE_URI_TIMEOUT": "file_timeout",
}
_WHOLE_TOPICS = frozenset(older.variables(("Trigger", "SubscribeTopics")))
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Keys set by the environment as one node for each, in no order that matters."""

    nodes: tuple[Node, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def replace_flags(flags: Flags, environ: Mapping[str, str]) -> tuple[Flags, tuple[Problem, ...]]:
    """The flags with those replaced whose EDGEX_* variable is set: the environment wins, as in EdgeX."""
    origins = dict(flags.origins)
    changed: dict[str, str | bool] = {}
    problems: list[Problem] = []
    for variable, name in (*_TEXTS.items(), *_SWITCHES.items()):
        text = environ.get(variable, "")
        if not text:
            continue
        value: str | bool | None = text if variable in _TEXTS else _BOOLEANS.get(text.lower())
        if value is None:
            problems.append(Problem(file=ORIGIN, path=variable, message=f"{text!r} is not true or false"))
            continue
        changed[name] = value
        origins[name] = variable
    return replace(flags, **changed, origins=origins), tuple(problems)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """How long a start may take and how often it tries again, and how long a file's address may take; seconds."""

    duration: float = 60.0
    interval: float = 1.0
    file_timeout: float = 15.0


def startup(environ: Mapping[str, str]) -> tuple[Startup, tuple[Problem, ...]]:
    """EdgeX's variables for it: whole seconds for the first two, `15s` for the last."""
    found: dict[str, float] = {}
    problems = []
    for variable, name in _SECONDS.items():
        text = environ.get(variable, "").strip()
        try:
            if text:
                found[name] = durations.seconds(text if name == "file_timeout" else f"{text}s")
        except ValueError:
            wanted = "a duration such as 15s" if name == "file_timeout" else "a number of seconds"
            problems.append(Problem(file=ORIGIN, path=variable, message=f"{text!r} is not {wanted}"))
    return Startup(**found), tuple(problems)


def ignored(merged: Node, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that name a key of `merged`, and say something else than it does."""
    found = overrides(merged, environ)
    other = [
        (node.place.source.file, steps, leaf)
        for node in found.nodes
        for steps, leaf in node.leaves()
        if text_of(leaf.value) != _text_at(merged, steps)
    ]
    return tuple(sorted(name for name, _, _ in other))


def _text_at(merged: Node, steps: Steps) -> str:
    node = merged.find(*steps)
    return text_of(node.value, node.written) if node is not None else ""


def overrides(merged: Node, environ: Mapping[str, str], *, options: bool = True) -> Overrides:
    """The variables that name a key of `merged` (path in capitals, joined by `_`), cast to the key's type.

    With `options` EdgeX's options of the message bus count as well, whether they are there or not.
    """
    defaults = Document.of(wire(Configuration()), "defaults").root
    nodes: list[Node] = []
    problems: list[Problem] = []
    names = _names(_keys(merged, options=options))
    for name, steps in names.items():
        if name not in environ:
            continue
        default = defaults.find(*steps) or merged.find(*steps)
        text = older.topics(environ[name]) if name in _WHOLE_TOPICS else environ[name]
        value = _cast(text, default.value if default is not None else "")
        place = Place(source=Source(file=name, origin=ORIGIN))
        if value is None:
            wanted = "true or false" if default and default.kind == "a boolean" else "a whole number"
            problems.append(place.problem(spell(steps), f"{environ[name]!r} is not {wanted}"))
        else:
            nodes.append(at_steps(steps, Node(place=place, value=value)))
    return Overrides(nodes=tuple(nodes), problems=tuple(problems), warnings=_near_misses(names, environ))


def _names(keys: Iterator[Steps]) -> dict[str, Steps]:
    """The variables of these keys; EdgeX 2's names come first, so that today's count over them."""
    every = list(dict.fromkeys(keys))
    names = {name: steps for steps in every for name in older.variables(steps)}
    for steps in every:
        names.setdefault(variable_name(steps), steps)
    return names


def variable_name(steps: Steps) -> str:
    """`("MessageBus", "Optional", "ClientId")` → `MESSAGEBUS_OPTIONAL_CLIENTID`."""
    return re.sub(r"[-/:.]", "_", "_".join(str(step) for step in steps)).upper()


def _keys(merged: Node, *, options: bool) -> Iterator[Steps]:
    for steps, node in merged.leaves():
        unused = any(unused_pattern(steps[:length]) in UNUSED for length in (1, 2, 3))
        if not unused and not isinstance(node.value, Mapping | tuple):
            yield steps
    for option in BUS_OPTIONS if options else ():
        yield ("MessageBus", "Optional", option)


def _cast(text: str, default: object) -> Plain:
    if isinstance(default, bool):
        return _BOOLEANS.get(text.strip().lower())
    if isinstance(default, int):
        return int(text) if _INTEGER.fullmatch(text.strip()) else None
    return text


def _near_misses(names: Mapping[str, Steps], environ: Mapping[str, str]) -> tuple[str, ...]:
    sections = tuple({str(steps[0]).upper() + "_" for steps in names.values()})
    warnings = []
    for name in sorted(environ):
        if name in names or not name.startswith(sections):
            continue
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.9)
        if near:
            warnings.append(f"{name} is set but names no key of the configuration: did you mean {near[0]}?")
    return tuple(warnings)
