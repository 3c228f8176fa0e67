"""Keeping secrets out of pages and logs."""

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "<redacted>"
_NAMED = re.compile(
    r"(?i:pass?w|pwd|passphrase|token|secret|credential|pemblock|authorization)"
    r"|(?i:(?:api|access|private|client|shared)[-_]?key)|(?:^|[^a-zA-Z])(?i:key)(?![a-z])|[a-zA-Z]Key(?![a-z])"
)
"""A key in the sense of a lock, and no keyboard and no monkey."""
_HARMLESS = frozenset({"secretname", "insecuresecrets"})
_USER_INFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s]+@")


def redact(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree with every filled secret replaced by `<redacted>`; doing it twice changes nothing more.

    Secrets are: everything below SecretData or another key that is named like a password, token, key, secret or
    credential; PEM blocks; user and password inside a URL. Booleans and empty texts stay.
    """
    return {key: _hidden(value) if is_secret(key) else _shown(value) for key, value in tree.items()}


def is_secret(name: str) -> bool:
    """Whether a key of this name holds a secret."""
    return _NAMED.search(name) is not None and name.lower() not in _HARMLESS


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return redact(value)
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    if isinstance(value, str):
        return REDACTED if "-----BEGIN " in value else _USER_INFO.sub(rf"\1{REDACTED}@", value)
    return value


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hidden(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item) for item in value]
    return value if isinstance(value, bool) or value is None or value == "" else REDACTED
