"""One HTTP connection that is kept open, with one deadline for a whole call."""

import io
import socket
import ssl
import time
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from accelerators.remote.calls import MOST_BYTES, CallFailed
from accelerators.remote.options import Address

_PIECE = 1 << 20


class _Timed(io.RawIOBase):
    """A socket's reading end with one deadline for all that is read: one byte a second must not do."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.perf_counter()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, deadline: float, method: str | None) -> None:
        super().__init__(sock, method=method)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock, deadline), _PIECE >> 4)


class _Gathered(HTTPConnection):
    """Sends headers and body at once: two packets wake the server twice."""

    _parts: list[bytes] | None = None

    def request(self, *arguments: Any, **named: Any) -> None:
        self._parts = []
        try:
            super().request(*arguments, **named)
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        super().send(whole)

    def send(self, data: Any) -> None:
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)


class _GatheredSecure(_Gathered, HTTPSConnection):
    """The same over TLS."""


class Slot:
    """One connection, kept open between calls, for one caller at a time."""

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        self._deadline, self._ended = 0.0, False
        if context is None:
            self._wire: HTTPConnection = _Gathered(address.host, address.port)
        else:
            self._wire = _GatheredSecure(address.host, address.port, ssl_context=context)
        self._wire.response_class = self._response  # type: ignore[assignment]

    def _response(self, sock: socket.socket, _debug: int = 0, method: str | None = None) -> _Response:
        return _Response(sock, self._deadline, method)

    def call(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body. A kept connection that breaks before the answer was closed by the server long
        before, so the call is made again on a new one: it changes nothing there."""
        self._deadline = time.perf_counter() + timeout
        kept = self._wire.sock is not None
        if kept and not self._wire.is_connected:
            self._wire.close()
            kept = False
        try:
            try:
                return self._call(method, path, body, headers)
            except (ConnectionError, ssl.SSLEOFError, HTTPException):
                if not kept or self._ended:
                    raise
                self._wire.close()
                return self._call(method, path, body, headers)
        except BaseException:
            self._wire.close()
            raise

    def _call(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        wire, left = self._wire, self._deadline - time.perf_counter()
        if left <= 0:
            raise TimeoutError
        wire.timeout = left
        if wire.sock is not None:
            wire.sock.settimeout(left)
        wire.request(method, path, body=body, headers=headers, preload_content=False)
        answer = wire.getresponse()
        found = _whole(answer)
        if answer.headers.get("Connection", "").lower() == "close":
            wire.close()
        return answer.status, answer.headers, found

    def end(self) -> None:
        """Ends a call in flight, from another thread; none is begun again."""
        self._ended = True
        sock = self._wire.sock
        if sock is not None:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # also where TLS is on top
            except OSError:
                return

    def close(self) -> None:
        self._wire.close()


def _whole(answer: urllib3.HTTPResponse) -> bytes:
    """The body, in pieces: a small one that unpacks to a huge one must not fill the memory."""
    pieces, size = [], 0
    while piece := answer.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            raise CallFailed("garbage", f"the answer is longer than {MOST_BYTES >> 20} MiB")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
