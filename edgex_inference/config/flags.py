"""EdgeX's command line flags, in every spelling that Go's flag package accepts, and two of our own."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

DEFAULT_SERVICE_KEY = "app-inference"
DEFAULT_PROVIDER = "keeper.http://localhost:59890"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says; "" and False are: not said. `origins` names the spelling for messages."""

    config_provider: str = ""
    common_config: str = ""
    config_file: str = ""
    config_dir: str = ""
    profile: str = ""
    service_key: str = ""
    instance: str = ""
    remote_service_hosts: str = ""
    registry: bool = False
    overwrite: bool = False
    skip_version_check: bool = False
    dev: bool = False
    profiles: str = ""
    models: str = ""
    origins: dict[str, str] = field(default_factory=dict)

    def origin(self, name: str) -> str:
        """How a user wrote the flag of this field: `-cp/--configProvider`, or the variable that replaced it."""
        return self.origins.get(name) or next(flag.shown for flag in _FLAGS if flag.field == name)


@dataclass(frozen=True, slots=True)
class _Flag:
    field: str
    long: str
    short: str
    kind: Literal["text", "switch", "optional"]
    help: str
    older: tuple[str, ...] = ()
    """Spellings of EdgeX 2, without dashes."""

    @property
    def shown(self) -> str:
        return f"-{self.short}/--{self.long}" if self.short else f"--{self.long}"


_FLAGS = (
    _Flag(
        "config_file",
        "configFile",
        "cf",
        "text",
        "configuration file, TOML or YAML, or its http(s) address",
        ("file", "f"),
    ),
    _Flag(
        "config_dir", "configDir", "cd", "text", "folder of the configuration file (./res)", ("confdir", "c")
    ),
    _Flag("profile", "profile", "p", "text", "sub-folder of the configuration folder"),
    _Flag(
        "common_config",
        "commonConfig",
        "cc",
        "text",
        "common configuration file or its http(s) address, where there is no provider",
    ),
    _Flag(
        "config_provider",
        "configProvider",
        "cp",
        "optional",
        f"configuration provider, TYPE.http://HOST:PORT with keeper or consul (alone: {DEFAULT_PROVIDER})",
    ),
    _Flag(
        "registry", "registry", "r", "switch", "register with the registry, and look up other services there"
    ),
    _Flag("overwrite", "overwrite", "o", "switch", "overwrite the provider's values with local ones"),
    _Flag(
        "skip_version_check", "skipVersionCheck", "s", "switch", "do not compare versions with core-metadata"
    ),
    _Flag(
        "service_key",
        "serviceKey",
        "sk",
        "text",
        f"service key, <profile> in it stands for -p (default {DEFAULT_SERVICE_KEY})",
    ),
    _Flag("instance", "instance", "i", "text", "instance name, appended to the service key"),
    _Flag("dev", "dev", "d", "switch", "developer mode: every host is localhost"),
    _Flag(
        "remote_service_hosts",
        "remoteServiceHosts",
        "rsh",
        "text",
        "this host,EdgeX host,address to listen on",
    ),
    _Flag(
        "profiles", "profiles", "", "text", "folder of device profiles with bindings (Inference.ProfilesDir)"
    ),
    _Flag("models", "models", "", "text", "folder of models (Inference.ModelsDir)"),
)
_BY_NAME = {name: flag for flag in _FLAGS for name in (flag.long, flag.short, *flag.older) if name}
_PROVIDER = re.compile(
    r"(?P<type>keeper|consul)\.(?P<scheme>https?)://(?P<host>[^\s:/?#@]+|\[[0-9a-f:.]+\]):(?P<port>\d{1,5})/?",
    re.I,
)
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds all flags; parse with `parser.parse_args(spell_out(argv))`, then `from_namespace`."""
    group = parser.add_argument_group(
        "EdgeX's flags (an EDGEX_… variable of the same meaning wins over them)"
    )
    for flag in _FLAGS:
        names = [f"-{flag.short}"] * bool(flag.short) + [f"--{flag.long}"]
        older = "/".join(f"{'-' * min(len(name), 2)}{name}" for name in reversed(flag.older))
        told = f"{flag.help}; in EdgeX 2 {older}" if older else flag.help
        if flag.kind == "switch":
            group.add_argument(*names, dest=flag.field, action="store_true", help=told)
        else:
            shown = "URL" if flag.kind == "optional" else "TEXT"
            group.add_argument(*names, dest=flag.field, default="", metavar=shown, help=told)


def spell_out(argv: Sequence[str]) -> list[str]:
    """Go's spellings (`-cp=…`, `-configFile x`, `-r=false`) as `--long=value`; foreign words are left alone."""
    spelled: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*spelled, word, *rest]
        name, equals, value = word.lstrip("-").partition("=")
        flag = _BY_NAME.get(name)
        if flag is None or not word.startswith("-") or word.startswith("---"):
            spelled.append(word)
        elif flag.kind == "switch":
            spelled.extend(_switch(flag, word, value if equals else "true"))
        else:
            given = value if equals else _next(flag, rest)
            spelled.append(f"--{flag.long}={given}" if given is not None else f"--{flag.long}")
    return spelled


def _switch(flag: _Flag, word: str, value: str) -> list[str]:
    if value in _FALSE:
        return []
    return [f"--{flag.long}" if value in _TRUE else word]


def _next(flag: _Flag, rest: list[str]) -> str | None:
    """Go takes a provider's URL only behind `=`; here a URL that follows is taken as well."""
    if flag.kind == "optional" and not (rest and ("://" in rest[0] or rest[0] == "none")):
        return DEFAULT_PROVIDER
    return rest.pop(0) if rest else None


@dataclass(frozen=True, slots=True)
class Provider:
    """Which provider is asked, and where: `keeper` or `consul`, and a URL without a path."""

    type: str
    url: str


def provider_of(flags: Flags) -> Provider | None:
    """The provider that the flags name, None for none; raises ValueError for something that names no provider."""
    text = flags.config_provider
    if not text or text.lower() == "none":
        return None
    found = _PROVIDER.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no provider such as {DEFAULT_PROVIDER} or consul.http://localhost:8500"
        )
    hosts = remote_hosts(flags)
    host = hosts[1] if hosts is not None else found["host"]
    return Provider(type=found["type"].lower(), url=f"{found['scheme'].lower()}://{host}:{found['port']}")


def remote_hosts(flags: Flags) -> tuple[str, str, str] | None:
    """This host, EdgeX's host and the address to listen on; None unless all three are given."""
    hosts = [host.strip() for host in flags.remote_service_hosts.split(",")]
    return (hosts[0], hosts[1], hosts[2]) if len(hosts) == 3 and all(hosts) else None


def is_address(text: str) -> bool:
    """Whether a file is named by an http(s) address."""
    return text.lower().startswith(("http://", "https://"))


def from_namespace(parsed: argparse.Namespace) -> Flags:
    """The flags in what a parser with `add_arguments` found; other attributes are left alone."""
    return Flags(**{flag.field: getattr(parsed, flag.field) for flag in _FLAGS})
