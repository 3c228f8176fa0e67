"""Certificates as the standard library wants them, for every bus that can be encrypted."""

import os
import ssl
import tempfile

from edgex_inference.buses.section import Tls
from edgex_inference.contracts.errors import SetupError


def context_of(tls: Tls) -> ssl.SSLContext:
    """Raises SetupError for certificates that cannot be read."""
    context = ssl.create_default_context()
    try:
        if tls.ca_file or tls.ca_pem:
            context.load_verify_locations(cafile=tls.ca_file or None, cadata=tls.ca_pem or None)
        if tls.cert_file or tls.cert_pem:
            _load_client_certificate(context, tls)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise SetupError(f"MessageBus.Optional: the TLS certificates cannot be used: {error}") from error
    if tls.skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_client_certificate(context: ssl.SSLContext, tls: Tls) -> None:
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
        return
    handle, name = tempfile.mkstemp(suffix=".pem")  # 0600; the ssl module reads certificates from files only
    try:
        with os.fdopen(handle, "w") as pem:
            pem.write(f"{tls.cert_pem}\n{tls.key_pem}\n")
        context.load_cert_chain(name)
    finally:
        os.unlink(name)
