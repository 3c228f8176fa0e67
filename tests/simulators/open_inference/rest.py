"""The double over HTTP."""

import contextlib
import gzip
import json
import socket
import zlib
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from tritonclient.utils import triton_to_np_dtype

from open_inference.home import Arrays, Home, Model, Refusal, from_wire, noised, to_wire, workers


class Http(ThreadingHTTPServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 64

    def __init__(self, address: tuple[str, int], home: Home) -> None:
        self.home = home
        self.open: set[socket.socket] = set()
        self.workers = workers()
        super().__init__(address, _Handler)

    def get_request(self) -> Any:
        sock, address = super().get_request()
        self.home.strings.connections += 1
        self.open.add(sock)
        return sock, address

    def process_request(self, request: Any, client_address: Any) -> None:
        self.workers.submit(self.process_request_thread, request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        with contextlib.suppress(OSError):
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that end are what these tests are about."""

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        for sock in list(self.open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        self.workers.shutdown(wait=False)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Http

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at what comes back."""

    def do_GET(self) -> None:
        self._guarded(self._get)

    def do_POST(self) -> None:
        self._guarded(self._post)

    def _guarded(self, handle: Callable[[], None]) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.content = self.rfile.read(length)
        unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(
            self.headers.get("Content-Encoding", "")
        )
        self.content = unpack(self.content) if unpack else self.content
        try:
            self.server.home.allow(dict(self.headers))
            handle()
        except Refusal as error:
            self._send(json.dumps({"error": str(error)}).encode(), error.code)
        except (ValueError, KeyError) as error:
            self._send(json.dumps({"error": f"cannot be read: {error}"}).encode(), 400)

    def _send(self, body: bytes, status: int = 200, **headers: str) -> None:
        packing = self.headers.get("Accept-Encoding", "")
        if packing in ("gzip", "deflate"):
            body = gzip.compress(body) if packing == "gzip" else zlib.compress(body)
            headers["Content-Encoding"] = packing
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _path(self) -> tuple[Model, str, str]:
        """The model, its name and what is asked of it."""
        parts = self.path.strip("/").split("/")
        if parts[:2] != ["v2", "models"] or len(parts) < 3:
            raise Refusal(404, "no such path")
        name, rest = parts[2], parts[3:]
        version = rest[1] if rest[:1] == ["versions"] else ""
        rest = rest[2:] if version else rest
        return self.server.home.model(name, version), name, "/".join(rest)

    def _get(self) -> None:
        home = self.server.home
        if self.path == "/v2":
            said = {"name": "double", "version": "1.0", "extensions": list(home.strings.extensions)}
            return self._send(json.dumps(said).encode())
        if self.path in ("/v2/health/live", "/v2/health/ready"):
            return self._send(b"")
        model, name, what = self._path()
        if what == "ready":
            if not home.ready(model):
                raise Refusal(400, "")
            return self._send(b"")
        if what == "config":
            return self._send(json.dumps({"name": name, "max_batch_size": model.most}).encode())
        keys = ("name", "datatype", "shape")
        said = {"name": name, "versions": list(model.versions), "platform": "python"}
        for what, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
            said[what] = [dict(zip(keys, one, strict=True)) for one in tensors]
        return self._send(json.dumps(said).encode())

    def _post(self) -> None:
        home = self.server.home
        model, name, what = self._path()
        if what != "infer":
            raise Refusal(404, "no such path")
        fault = home.next_fault()
        if self._misbehaved(fault):
            return
        size = self.headers.get("Inference-Header-Content-Length")
        if size is not None and "binary_tensor_data" not in home.strings.extensions:
            raise Refusal(422, "no JSON")
        said = json.loads(self.content[: int(size)] if size else self.content)
        arrays = self._arrays(said, self.content[int(size) :] if size else b"")
        outputs = home.answer(model, arrays, fault)
        wanted = {one["name"]: one.get("parameters", {}) for one in said.get("outputs", [])}
        binary = said.get("parameters", {}).get("binary_data_output", False)
        heads, contents = [], []
        for output, datatype, array in outputs:
            head: dict[str, Any] = {"name": output, "datatype": datatype, "shape": list(array.shape)}
            if wanted.get(output, {}).get("binary_data", binary):
                content = to_wire(array, datatype)
                content = content[:-1] if fault == "short" else content
                head["parameters"] = {"binary_data_size": len(content)}
                contents.append(content)
            else:
                flat = [one.decode() if isinstance(one, bytes) else one for one in array.ravel().tolist()]
                head["data"] = flat[:-1] if fault == "short" else flat
            heads.append(head)
        body = json.dumps({"model_name": name, "model_version": "1", "outputs": heads}).encode()
        extra = {"Inference_Header_Content_Length": str(len(body))} if contents else {}
        whole = noised(body + b"".join(contents), fault)
        if fault == "half":
            self.send_response(200)
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole[: len(whole) // 2])
            self.close_connection = True
            return
        self._send(whole, **extra)

    def _misbehaved(self, fault: str) -> bool:
        if fault in ("drop", "die"):
            self.close_connection = True
        elif fault == "html":
            self._send(b"<html>It works!</html>")
        elif fault == "garbage":
            self.wfile.write(b"\x00\x01garbage\r\n\r\n")
            self.close_connection = True
        elif fault == "drip":
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000:
                if self.server.home.strings.release.wait(0.02):
                    break
                self.wfile.write(bytes((byte,)))
        else:
            return False
        return True

    def _arrays(self, said: Mapping[str, Any], rest: bytes) -> Arrays:
        found, at = {}, 0
        for one in said["inputs"]:
            size = one.get("parameters", {}).get("binary_data_size")
            if size is None:
                dtype = np.object_ if one["datatype"] == "BYTES" else triton_to_np_dtype(one["datatype"])
                found[one["name"]] = np.array(one["data"], dtype).reshape(one["shape"])
                continue
            found[one["name"]] = from_wire(rest[at : at + size], one["datatype"], tuple(one["shape"]))
            at += size
        return found
