"""What a binding may say of a server, and where that server is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

_SCHEMES = ("http", "https", "grpc", "grpcs")
_PORTS = {"http": 80, "https": 443}
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VALUE = re.compile(r"[\x20-\x7e]*")
_OURS = re.compile(
    r"content-.*|accept-encoding|transfer-encoding|connection|te|inference-header-.*|grpc-.*|.*-bin"
)
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server: `http(s)://host[:port][/prefix]` or `grpc(s)://host:port`."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def secure(self) -> bool:
        return self.scheme.endswith("s")

    @property
    def grpc(self) -> bool:
        return self.scheme.startswith("grpc")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def address(url: str) -> Address:
    """Where a URL points to; raises ValueError with a sentence that shows no password."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError("is no URL such as http://host:8000 or grpc://host:8001") from None
    if parts.scheme not in _SCHEMES or not host:
        raise ValueError(
            "must be a URL such as http://host:8000, https://host, grpc://host:8001, grpcs://host:8001"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "must hold no user and password: put them into a secret, and say its name in `secret`"
        )
    if parts.query or parts.fragment:
        raise ValueError("must have nothing behind the path")
    port = port or _PORTS.get(parts.scheme)
    if port is None:
        raise ValueError("must name a port, as in grpc://host:8001")
    prefix = parts.path.rstrip("/").removesuffix("/v2")
    if prefix and parts.scheme.startswith("grpc"):
        raise ValueError("can have no path: that is for http and https")
    return Address(scheme=parts.scheme, host=host, port=port, prefix=prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`.

    `model` and `version` are the server's own; without them they are the card's name and what the server takes by
    itself. `timeout` (seconds) bounds every call, also where the caller would wait longer. `secret` is the SecretName
    of `username` and `password`, or `token`, and of `cacert`, `clientcert` and `clientkey`.
    """

    url: str = ""
    model: str = ""
    version: str | int = ""
    timeout: float = 10.0
    parallel: int = 4
    secret: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    encoding: Literal["auto", "binary", "json"] = "auto"
    compression: Literal["none", "gzip", "deflate"] = "none"

    def __post_init__(self) -> None:
        if self.url:
            address(self.url)
        if not 0 < self.timeout <= 3600:
            raise ValueError(f"must be above 0 and at most 3600 seconds, not {self.timeout:g}")
        if not 1 <= self.parallel <= 64:
            raise ValueError(f"must be 1 to 64, not {self.parallel}")
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"the header {name!r} has letters that no header may have")
            if _OURS.fullmatch(name.lower()):
                raise ValueError(f"the header {name} is for the protocol itself to set: remove it")
            if name.lower() in _SECRET_HEADERS:
                raise ValueError(f"{name} belongs into a secret: say its name in `secret`")
