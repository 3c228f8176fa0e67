"""Listening for HTTP. aiohttp is imported when serving starts, so that nobody else pays for it."""

import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgex_inference.contracts.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from aiohttp import web

_log = logging.getLogger(__name__)
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where the server was bound; `port` is the real one also when 0 was asked for."""

    host: str
    port: int


@asynccontextmanager
async def serve(app: "web.Application", host: str, port: int) -> AsyncIterator[Listening]:
    """Serves the application until the context ends; port 0 takes any free one.

    Raises ConfigurationError naming Service.Port or Service.ServerBindAddr when it cannot listen there.
    """
    from aiohttp import web

    sockets = _bind(host, port)
    try:
        runner = web.AppRunner(
            app, access_log=None, logger=_protocol_log(), debug=False, shutdown_timeout=1.0
        )
        await runner.setup()
        try:
            for one in sockets:
                await web.SockSite(runner, one, backlog=128).start()
            yield Listening(host=host, port=sockets[0].getsockname()[1])
        finally:
            await runner.cleanup()
    finally:
        for one in sockets:
            one.close()


def _bind(host: str, port: int) -> list[socket.socket]:
    """One socket for each address of `host`, all on the same port; families that the machine lacks are left out."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise _refused("Service.ServerBindAddr", f"{host!r} is no address of this machine: {error}") from None
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, kind, protocol, _, address in found:
            port_now = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_socket(family, kind, protocol, (address[0], port_now, *address[2:])))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                absent = error
    except OSError as error:
        for one in sockets:
            one.close()
        raise _explained(host, port, error) from None
    if not sockets:
        message = f"{host!r} is no address of this machine: {absent.strerror if absent else 'nothing found'}"
        raise _refused("Service.ServerBindAddr", message)
    return sockets


def _socket(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


def _explained(host: str, port: int, error: OSError) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        remedy = "stop it, or set Service.Port (SERVICE_PORT) to a free one"
        return _refused("Service.Port", f"port {port} on {host!r} is taken by another program: {remedy}")
    if error.errno == errno.EACCES:
        return _refused(
            "Service.Port", f"port {port} needs privileges that this user lacks: take one above 1023"
        )
    return _refused("Service.Port", f"cannot listen on {host!r} port {port}: {error.strerror or error}")


def _refused(path: str, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(file="configuration", path=path, message=message)])


def _protocol_log() -> logging.Logger:
    """aiohttp logs a client's broken request with a traceback at ERROR; it is worth one quiet line."""
    from aiohttp.http_exceptions import HttpProcessingError

    def quiet(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        _log.debug("broken HTTP request: %s", error.message)
        return False

    log = logging.getLogger(f"{__name__}.protocol")
    log.filters = [quiet]
    return log
