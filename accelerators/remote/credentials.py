"""What a server is asked to be let in with: headers, and certificates as the standard library or gRPC wants them."""

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from accelerators.remote.options import Options
from edgex_inference.contracts.accelerator import LoadRequest
from edgex_inference.contracts.errors import AcceleratorUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Headers, and certificates as PEM texts; "" is: none. Its repr shows no secret."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)


def credentials(name: str, options: Options, request: LoadRequest) -> Credentials:
    """Those of the options and of their secret, which wins; raises AcceleratorUnavailable naming what is missing."""
    secret = request.secret
    if options.secret and not secret:
        reason = (
            f"the secret {options.secret!r} of options.secret is not there: add an entry with that SecretName "
            "to Writable.InsecureSecrets"
        )
        raise AcceleratorUnavailable(name, reason)
    found = Credentials(
        headers={**options.headers, **_authorization(name, options.secret, secret)},
        ca=secret.get("cacert") or _file(name, "caFile", options.ca_file),
        certificate=secret.get("clientcert") or _file(name, "certFile", options.cert_file),
        key=secret.get("clientkey") or _file(name, "keyFile", options.key_file),
    )
    if bool(found.certificate) != bool(found.key):
        raise AcceleratorUnavailable(
            name,
            "options: a client certificate needs certFile and keyFile (in a secret clientcert and clientkey)",
        )
    return found


def context(name: str, found: Credentials) -> ssl.SSLContext:
    """For HTTP; raises AcceleratorUnavailable for certificates that cannot be used."""
    made = ssl.create_default_context()
    try:
        if found.ca:
            made.load_verify_locations(cadata=found.ca)
        if found.certificate:
            _load(made, found)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise AcceleratorUnavailable(name, f"the TLS certificates cannot be used: {error}") from error
    return made


def _load(made: ssl.SSLContext, found: Credentials) -> None:
    handle, path = tempfile.mkstemp(suffix=".pem")  # 0600; the ssl module reads certificates from files only
    try:
        with os.fdopen(handle, "w") as pem:
            pem.write(f"{found.certificate}\n{found.key}\n")
        made.load_cert_chain(path)
    finally:
        os.unlink(path)


def _authorization(name: str, said: str, secret: Mapping[str, str]) -> Mapping[str, str]:
    if token := secret.get("token"):
        value = f"Bearer {token}"
    elif "username" in secret:
        pair = f"{secret['username']}:{secret.get('password', '')}"
        value = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        return {}
    if not value.isascii() or not value.isprintable():
        raise AcceleratorUnavailable(name, f"the secret {said!r} holds letters that no header may have")
    return {"Authorization": value}


def _file(name: str, key: str, path: str) -> str:
    if not path:
        return ""
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is no PEM file"
        raise AcceleratorUnavailable(name, f"options.{key}: {path}: {reason}") from error
