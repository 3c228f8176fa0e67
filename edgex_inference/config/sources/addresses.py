"""Configuration files that are named by an http(s) address, and the header that they may want to see."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from edgex_inference.config.flags import Flags, is_address
from edgex_inference.config.places import Node
from edgex_inference.contracts.errors import ConfigurationError, Problem

_SECRET = "edgexSecretName"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address and the flag that named it; `secret` is the secret whose header is sent, "" for none."""

    url: str
    origin: str
    secret: str

    def headers(self, known: Iterable[Node]) -> dict[str, str]:
        """The header of its secret, which is looked for below Writable.InsecureSecrets of configurations.

        Raises ConfigurationError when it is not there.
        """
        if not self.secret:
            return {}
        for root in known:
            data = _secret(root, self.secret)
            if data.get("type") == "httpheader" and data.get("headername") and data.get("headercontents"):
                return {data["headername"]: data["headercontents"]}
        message = (
            f"{_SECRET}={self.secret}: no entry of Writable.InsecureSecrets in the common configuration has this "
            "SecretName with type httpheader, headername and headercontents"
        )
        raise ConfigurationError([Problem(file=self.origin, path="", message=message)])


def addresses(flags: Flags) -> tuple[Address, ...]:
    """What must be fetched, the common file first."""
    named = [(name, getattr(flags, name)) for name in ("common_config", "config_file")]
    return tuple(
        Address(
            url=text, origin=flags.origin(name), secret=parse_qs(urlsplit(text).query).get(_SECRET, [""])[0]
        )
        for name, text in named
        if is_address(text)
    )


def _secret(root: Node, name: str) -> dict[str, str]:
    entries = root.find("Writable", "InsecureSecrets")
    for entry in entries.entries.values() if entries is not None else ():
        data = entry.node.find("SecretData")
        called = entry.node.find("SecretName")
        if called is not None and called.value == name and data is not None:
            return {str(key): str(text) for key, text in data.plain().items()}
    return {}
