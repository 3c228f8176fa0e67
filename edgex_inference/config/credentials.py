"""What the message bus is asked to log in with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgex_inference.config.schema import Configuration
from edgex_inference.config.secrets import Secrets
from edgex_inference.contracts.errors import ConfigurationError, Problem

_NEEDED = {
    "none": (),
    "usernamepassword": ("username", "password"),
    "clientcert": ("clientcert", "clientkey"),
    "cacert": ("cacert",),
}
_OPTIONS = {
    "username": ("Username",),
    "password": ("Password",),
    "clientcert": ("CertFile", "CertPEMBlock"),
    "clientkey": ("KeyFile", "KeyPEMBlock"),
    "cacert": ("CaFile", "CaPEMBlock"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User and password, and certificates as PEM texts; "" is: none. Its repr shows no secret."""

    username: str = ""
    password: str = field(default="", repr=False)
    ca_cert: str = field(default="", repr=False)
    client_cert: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)


def credentials(config: Configuration) -> Credentials | None:
    """Credentials for the bus, None where it needs none; raises ConfigurationError when AuthMode lacks its secret.

    A secret of InsecureSecrets wins over the same in MessageBus.Optional, and a `cacert` in it is used whatever
    AuthMode says. Certificates that Optional names as files or blocks stay there.
    """
    lacking = missing(config)
    if lacking:
        raise ConfigurationError([Problem(file="configuration", path="MessageBus.AuthMode", message=lacking)])
    optional, secret = config.message_bus.optional, _secret(config)
    mode = config.message_bus.auth_mode
    found = {name: secret.get(name, "") if name in _NEEDED[mode] else "" for name in _OPTIONS}
    found["cacert"] = secret.get("cacert", "")
    result = Credentials(
        username=found["username"] or optional.get("Username", ""),
        password=found["password"] or optional.get("Password", ""),
        ca_cert=found["cacert"],
        client_cert=found["clientcert"],
        client_key=found["clientkey"],
    )
    return result if result != Credentials() else None


def missing(config: Configuration) -> str:
    """What AuthMode asks for and nobody gave, as a sentence; "" when nothing is missing."""
    bus = config.message_bus
    if bus.disabled or bus.type in ("memory", "zero"):
        return ""
    if bus.type == "redis" and bus.auth_mode == "usernamepassword":
        return ""  # EdgeX's files say so also where there is no password
    secret = _secret(config)
    lacking = [
        name
        for name in _NEEDED[bus.auth_mode]
        if not secret.get(name) and not any(bus.optional.get(option) for option in _OPTIONS[name])
    ]
    if not lacking:
        return ""
    return (
        f"{bus.auth_mode} needs {' and '.join(lacking)}: set SecretData of the entry of Writable.InsecureSecrets "
        f"whose SecretName is {bus.secret_name!r}, or {', '.join(_OPTIONS[name][0] for name in lacking)} "
        "of MessageBus.Optional"
    )


def _secret(config: Configuration) -> Mapping[str, str]:
    return Secrets(config.writable.insecure_secrets).of(config.message_bus.secret_name)
