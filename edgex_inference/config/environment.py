"""The environment: EDGEX_* twins of flags, and overrides of single keys such as MESSAGEBUS_PORT."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgex_inference.config.decode import at_steps, unused_pattern, wire
from edgex_inference.config.flags import Flags
from edgex_inference.config.places import Node, Place, Plain, Source, Steps, spell
from edgex_inference.config.problems import Document
from edgex_inference.config.schema import BUS_OPTIONS, UNUSED, Configuration
from edgex_inference.contracts.errors import Problem

ORIGIN = "environment"
_TEXTS = {
    "EDGEX_CONFIG_PROVIDER": "config_provider",
    "EDGEX_COMMON_CONFIG": "common_config",
    "EDGEX_CONFIG_FILE": "config_file",
    "EDGEX_CONFIG_DIR": "config_dir",
    "EDGEX_PROFILE": "profile",
    "EDGEX_SERVICE_KEY": "service_key",
    "EDGEX_REMOTE_SERVICE_HOSTS": "remote_service_hosts",
}
_SWITCHES = {"EDGEX_USE_REGISTRY": "registry", "EDGEX_OVERWRITE_CONFIG": "overwrite"}
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


def overrides(merged: Node, environ: Mapping[str, str]) -> Overrides:
    """The variables that name a key of `merged` (path in capitals, joined by `_`), cast to the key's type."""
    defaults = Document.of(wire(Configuration()), "defaults").root
    nodes: list[Node] = []
    problems: list[Problem] = []
    names: dict[str, Steps] = {}
    for steps in _keys(merged):
        names.setdefault(variable_name(steps), steps)
    for name, steps in names.items():
        if name not in environ:
            continue
        default = defaults.find(*steps)
        value = _cast(environ[name], default.value if default is not None else "")
        place = Place(source=Source(file=name, origin=ORIGIN))
        if value is None:
            wanted = "true or false" if default and default.kind == "a boolean" else "a whole number"
            problems.append(place.problem(spell(steps), f"{environ[name]!r} is not {wanted}"))
        else:
            nodes.append(at_steps(steps, Node(place=place, value=value)))
    return Overrides(nodes=tuple(nodes), problems=tuple(problems), warnings=_near_misses(names, environ))


def variable_name(steps: Steps) -> str:
    """`("MessageBus", "Optional", "ClientId")` → `MESSAGEBUS_OPTIONAL_CLIENTID`."""
    return re.sub(r"[-/]", "_", "_".join(str(step) for step in steps)).upper()


def _keys(merged: Node) -> Iterator[Steps]:
    for steps, node in merged.leaves():
        unused = any(unused_pattern(steps[:length]) in UNUSED for length in (1, 2, 3))
        if not unused and not isinstance(node.value, Mapping | tuple):
            yield steps
    for option in BUS_OPTIONS:
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
