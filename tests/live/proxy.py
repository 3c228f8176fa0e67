"""A way to a server that can be cut and mended: the outage of a connection, whatever is on the other side."""

import selectors
import socket
import threading
from contextlib import suppress


class Proxy:
    """Listens on a free port of the loopback interface, and passes on to `host`:`port`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._whole = True
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends every connection, and those to come at once."""
        self._whole = False
        with self._lock:
            pairs = tuple(self._pairs)
        for pair in pairs:
            _end(pair)

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        self.cut()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            if not self._whole:
                raise OSError("cut")
            far = socket.create_connection(self._target, timeout=5)
        except OSError:
            near.close()
            return
        pair = (near, far)
        with self._lock:
            self._pairs.add(pair)
        try:
            if self._whole:
                _pass_on(near, far)
        finally:
            with self._lock:
                self._pairs.discard(pair)
            for one in pair:
                one.close()


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    """Bytes both ways until either side is through."""
    far.settimeout(None)
    with selectors.DefaultSelector() as ready:
        ready.register(near, selectors.EVENT_READ, far)
        ready.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in ready.select():
                assert isinstance(key.fileobj, socket.socket)
                try:
                    data = key.fileobj.recv(65536)
                    if data:
                        key.data.sendall(data)
                except OSError:
                    return
                if not data:
                    return


def _end(pair: tuple[socket.socket, socket.socket]) -> None:
    for one in pair:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
