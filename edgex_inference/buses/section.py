"""EdgeX's `MessageBus` section, read key by key for whichever bus it describes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edgex_inference.contracts.errors import Problem

_TRUE = ("true", "1", "t")
_FALSE = ("false", "0", "f", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Certificates as files or as PEM text; with none of them the system's authorities are trusted."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    ca_pem: str = ""
    cert_pem: str = ""
    key_pem: str = field(default="", repr=False)
    skip_verify: bool = False


class Section:
    """Takes values out of the section and collects what is wrong with them in `problems`."""

    def __init__(
        self, section: Mapping[str, object], credentials: Mapping[str, str] | None, file: str
    ) -> None:
        """`credentials` is the secret that `SecretName` names, None if there is none."""
        self.problems: list[Problem] = []
        self._section, self._file = section, file
        self._secret = credentials
        optional = section.get("Optional") or {}
        self._optional = optional if isinstance(optional, Mapping) else {}
        if optional is not self._optional and optional:
            self.wrong("Optional", "is a table of strings")

    def wrong(self, path: str, message: str) -> None:
        """Adds a problem with a key of the section."""
        self.problems.append(Problem(file=self._file, path=f"MessageBus.{path}", message=message))

    def text(self, key: str) -> str:
        return str(self._section.get(key) or "").strip()

    def option(self, key: str) -> str:
        value = self._optional.get(key)
        if isinstance(value, bool):
            return str(value).lower()
        return "" if value is None else str(value)

    def one_of(self, key: str, known: Sequence[str], default: str) -> str:
        value = self.text(key).lower() or default
        if value not in known:
            self.wrong(key, f"{value!r} is not known here; use one of {', '.join(known)}")
        return value

    def option_of(self, key: str, known: Sequence[str], default: str) -> str:
        """As `one_of`, of Optional."""
        value = self.option(key).strip().lower() or default
        if value not in known:
            self.wrong(f"Optional.{key}", f"{value!r} is not known here; use one of {', '.join(known)}")
        return value

    def host(self) -> str:
        host = self.text("Host")
        if not host:
            self.wrong("Host", "is empty; set the broker's host name, for instance localhost")
        elif not is_host(host):
            self.wrong(
                "Host", "is not a plain host name; user and password belong to Writable.InsecureSecrets"
            )
            return ""
        return host

    def port(self, usual: int) -> int:
        value = self.text("Port")
        if is_port(value):
            return int(value)
        self.wrong("Port", f"{value!r} is no port; set a number from 1 to 65535, for instance {usual}")
        return 0

    def number(self, key: str, default: int, low: int, high: int) -> int:
        value = self.option(key).strip()
        if not value:
            return default
        if value.isdecimal() and low <= int(value) <= high:
            return int(value)
        self.wrong(f"Optional.{key}", f"{value!r} does not fit; set a whole number from {low} to {high}")
        return default

    def flag(self, key: str, default: bool) -> bool:
        value = self.option(key).strip().lower()
        if value not in (*_TRUE, *_FALSE):
            self.wrong(f"Optional.{key}", f"{value!r} is neither true nor false")
        return default if not value else value in _TRUE

    def secret(self, key: str) -> str:
        """A value of the secret, "" if there is none."""
        return (self._secret or {}).get(key, "")

    def _needed_secret(self, key: str, auth_mode: str) -> str:
        value = self.secret(key)
        if not value:
            name = self.text("SecretName")
            self.wrong(
                "SecretName",
                f"AuthMode is {auth_mode!r}, but the secret {name!r} "
                + ("is not there" if self._secret is None else f"has no {key!r}")
                + f"; add it, for instance under Writable.InsecureSecrets with SecretName {name!r}",
            )
        return value

    def login(self, auth_mode: str) -> tuple[str, str]:
        """From the secret in mode `usernamepassword`, else, or if there is none, from Optional."""
        own = self.option("Username"), self.option("Password")
        if auth_mode != "usernamepassword" or (not self._secret and own[0]):
            return own
        return self._needed_secret("username", auth_mode), self._needed_secret("password", auth_mode)

    def tls(
        self, protocol: str, auth_mode: str, *, encrypted: Iterable[str], either: Iterable[str] = ()
    ) -> tuple[Tls | None, tuple[str, ...]]:
        """EdgeX's rule: the protocol decides; certificates under a plain protocol are not used.

        A protocol of `either` is plain without certificates and encrypted with them.
        """
        by_mode = {"clientcert": ("clientcert", "clientkey"), "cacert": ("cacert",)}.get(auth_mode, ())
        for key in by_mode:
            self._needed_secret(key, auth_mode)
        found = Tls(
            ca_file=self.option("CaFile"),
            cert_file=self.option("CertFile"),
            key_file=self.option("KeyFile"),
            ca_pem=self.secret("cacert") or self.option("CaPEMBlock"),
            cert_pem=(self.secret("clientcert") if by_mode else "") or self.option("CertPEMBlock"),
            key_pem=(self.secret("clientkey") if by_mode else "") or self.option("KeyPEMBlock"),
            skip_verify=self.flag("SkipCertVerify", False),
        )
        if bool(found.cert_file or found.cert_pem) != bool(found.key_file or found.key_pem):
            self.wrong(
                "Optional.KeyFile", "a client certificate needs both CertFile and KeyFile (or the PEM blocks)"
            )
        named = bool(found.ca_file or found.ca_pem or found.cert_file or found.cert_pem)
        if protocol in encrypted or (named and protocol in either):
            return found, ()
        if found != Tls():
            note = f"MessageBus.Protocol is {protocol!r}: its certificate options are not used; set 'ssl' for TLS"
            return None, (note,)
        return None, ()


def is_host(text: str) -> bool:
    """Whether this is a host name and nothing more."""
    return bool(text) and "@" not in text and "/" not in text and text == "".join(text.split())


def is_port(text: str) -> bool:
    return text.isdecimal() and 1 <= int(text) <= 65535
