"""A server of the Open Inference Protocol for tests: REST and gRPC, models as Python functions, faults on command."""

import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import grpc

from open_inference.home import Home, Model, Refusal, Strings, workers
from open_inference.rest import Http
from open_inference.rpc import handlers

__all__ = ["Model", "OpenInference", "Refusal", "Strings"]


class OpenInference:
    """Starts at once; `die` ends it in the middle of whatever it does, `start` brings it back on the same port.

    `tls` is a folder with server.pem, server.key and ca.pem; `mutual` asks for a client's certificate too.
    """

    def __init__(
        self, *, transport: str = "http", tls: Path | None = None, mutual: bool = False, port: int = 0
    ) -> None:
        self.home = Home(self.die)
        self.models, self.strings = self.home.models, self.home.strings
        self._grpc, self._tls, self._mutual, self._port = transport == "grpc", tls, mutual, port
        self._stop: Callable[[], None] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"{'grpc' if self._grpc else 'http'}{'s' if self._tls else ''}://localhost:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        self.strings.release.clear()
        self._stop = self._start_grpc() if self._grpc else self._start_http()

    def die(self) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
        self.strings.release.set()

    def _start_http(self) -> Callable[[], None]:
        server = Http(("localhost", self._port), self.home)
        self._port = server.server_address[1]
        if self._tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._tls / "server.pem", self._tls / "server.key")
            if self._mutual:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(self._tls / "ca.pem")
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server.end

    def _start_grpc(self) -> Callable[[], None]:
        pool = workers()
        server = grpc.server(pool, options=(("grpc.so_reuseport", 0),))
        server.add_generic_rpc_handlers((handlers(self.home),))
        address = f"localhost:{self._port}"
        if self._tls is not None:
            pair = ((self._tls / "server.key").read_bytes(), (self._tls / "server.pem").read_bytes())
            ca = (self._tls / "ca.pem").read_bytes() if self._mutual else None
            allowed = grpc.ssl_server_credentials([pair], ca, self._mutual)
            self._port = server.add_secure_port(address, allowed)
        else:
            self._port = server.add_insecure_port(address)
        server.start()

        def stop() -> None:
            server.stop(0).wait(10)
            pool.shutdown(wait=False)

        return stop
