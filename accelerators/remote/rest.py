"""The protocol over HTTP: tensors as binary or as JSON."""

import json
import queue
import ssl
import time
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from accelerators.remote.calls import Answered, CallFailed, Declared, Failure, ModelSaid, Server
from accelerators.remote.options import Address, Options
from accelerators.remote.slot import Slot
from accelerators.remote.tensors import datatype_of, from_bytes, from_json, to_bytes, to_json
from edgex_inference.contracts.tensors import Array

_BINARY = "binary_tensor_data"
_CONFIGURATION = "model_configuration"
_LENGTH = "Inference-Header-Content-Length"
_STATUS: Mapping[int, Failure] = {
    401: "denied",
    403: "denied",
    404: "absent",
    407: "denied",
    408: "late",
    429: "busy",
    502: "away",
    503: "busy",
    504: "late",
}
_ENCODINGS = {"none": "identity", "gzip": "gzip", "deflate": "deflate"}


class RestTransport:
    """`parallel` connections to one server."""

    def __init__(
        self,
        address: Address,
        options: Options,
        model: str,
        context: ssl.SSLContext | None,
        headers: Mapping[str, str],
    ) -> None:
        self._headers = {**headers, "Accept-Encoding": _ENCODINGS[options.compression]}
        self._options, self._prefix = options, address.prefix
        self._model = f"/v2/models/{quote(model, safe='')}"
        if options.version != "":
            self._model += f"/versions/{quote(str(options.version), safe='')}"
        self._slots = [Slot(address, context) for _ in range(options.parallel)]
        self._free: queue.LifoQueue[Slot | None] = queue.LifoQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._closed = False
        self._binary = options.encoding == "binary"
        self._configured = False

    def server(self, timeout: float) -> Server:
        said = self._json("GET", "/v2", timeout)
        extensions = frozenset(str(one) for one in _list(said, "extensions"))
        if self._options.encoding == "auto":
            self._binary = _BINARY in extensions
        self._configured = _CONFIGURATION in extensions
        return Server(
            name=str(said.get("name", "")), version=str(said.get("version", "")), extensions=extensions
        )

    def model(self, timeout: float) -> ModelSaid:
        said = self._json("GET", self._model, timeout)
        return ModelSaid(
            platform=str(said.get("platform", "")),
            versions=tuple(str(one) for one in _list(said, "versions")),
            inputs=_tensors(said, "inputs"),
            outputs=_tensors(said, "outputs"),
        )

    def ready(self, timeout: float) -> bool:
        _, body = self._call("GET", f"{self._model}/ready", timeout)
        try:
            said = json.loads(body)
        except ValueError:  # most say it by the status alone
            return True
        return not (isinstance(said, dict) and said.get("ready") is False)

    def most_rows(self, timeout: float) -> int | None:
        if not self._configured:
            return None
        most = self._json("GET", f"{self._model}/config", timeout).get("max_batch_size", 0)
        return most if isinstance(most, int) else None

    def infer(
        self, inputs: Mapping[str, tuple[str, Array]], outputs: tuple[str, ...], timeout: float
    ) -> Mapping[str, Answered]:
        body, extra = _request(inputs, outputs, binary=self._binary)
        kind = "application/octet-stream" if self._binary else "application/json"
        headers, answer = self._call(
            "POST", f"{self._model}/infer", timeout, body, {"Content-Type": kind, **extra}
        )
        try:
            return _answers(answer, headers.get(_LENGTH))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CallFailed("garbage", f"the answer is garbled: {error}") from error

    def close(self) -> None:
        self._closed = True
        for slot in self._slots:
            slot.end()
        try:
            while True:
                slot_or_none = self._free.get_nowait()
                if slot_or_none is not None:
                    slot_or_none.close()
        except queue.Empty:
            self._free.put(None)

    def _over(self) -> bool:
        return self._closed

    def _json(self, method: str, path: str, timeout: float) -> dict[str, Any]:
        _, body = self._call(method, path, timeout)
        try:
            found = json.loads(body)
        except ValueError as error:
            raise CallFailed("garbage", f"{path} is no JSON: {_excerpt(body)!r}") from error
        if not isinstance(found, dict):
            raise CallFailed("garbage", f"{path} is no JSON object: {_excerpt(body)!r}")
        return found

    def _call(
        self,
        method: str,
        path: str,
        timeout: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Mapping[str, str], bytes]:
        started = time.perf_counter()
        try:
            slot = self._free.get(True, timeout)
        except queue.Empty:
            raise CallFailed("busy", f"no free connection within {timeout:g} s") from None
        if slot is None or self._over():
            self._free.put(None)  # whoever waits behind must hear it too
            raise CallFailed("away", "the session is closed")
        said = {**self._headers, **(headers or {})}
        if body is not None and self._options.compression != "none":
            body = _packed(body, self._options.compression)
            said["Content-Encoding"] = self._options.compression
        try:
            left = timeout - (time.perf_counter() - started)
            status, answered, found = slot.call(method, self._prefix + path, body, said, left)
        except CallFailed:
            raise
        except Exception as error:
            raise _failed(error, timeout) from error
        finally:
            if self._over():
                slot.close()
            self._free.put(slot)
        if not 200 <= status < 300:
            raise _refused(status, answered, found)
        return answered, found


def _packed(body: bytes, compression: str) -> bytes:
    import gzip
    import zlib

    return gzip.compress(body, 1) if compression == "gzip" else zlib.compress(body, 1)


def _request(
    inputs: Mapping[str, tuple[str, Array]], outputs: tuple[str, ...], *, binary: bool
) -> tuple[bytes, Mapping[str, str]]:
    """The body, and the headers that say how it is read; raises ValueError for what cannot be said."""
    heads: list[dict[str, Any]] = []
    contents: list[bytes] = []
    for name, (word, array) in inputs.items():
        head: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": word}
        if binary:
            content = to_bytes(array, word)
            contents.append(content)
            head["parameters"] = {"binary_data_size": len(content)}
        else:
            head["data"] = to_json(array, word)
        heads.append(head)
    wanted: list[dict[str, Any]] = [{"name": name} for name in outputs]
    if binary:
        for one in wanted:
            one["parameters"] = {"binary_data": True}
    said = msgspec.json.encode({"inputs": heads, "outputs": wanted})
    if not binary:
        return said, {}
    return b"".join((said, *contents)), {_LENGTH: str(len(said))}


def _answers(body: bytes, length: str | None) -> Mapping[str, Answered]:
    size = len(body) if length is None else int(length)
    if not 0 <= size <= len(body):
        raise ValueError(f"{_LENGTH} is {size}, of {len(body)} bytes")
    view = memoryview(body)
    said = _parsed(body[:size])
    at, found = size, {}
    for one in said["outputs"]:
        word, shape = str(one["datatype"]), tuple(int(extent) for extent in one["shape"])
        datatype_of(word)
        count = (one.get("parameters") or {}).get("binary_data_size")
        if count is None:
            array = from_json(one["data"], word, shape)
        else:
            if not 0 <= int(count) <= len(body) - at:
                raise ValueError(f"{one['name']} has {count} bytes, of {len(body) - at} that are left")
            array = from_bytes(view[at : at + int(count)], word, shape)
            at += int(count)
        found[str(one["name"])] = Answered(datatype=word, array=array)
    return found


def _parsed(body: bytes) -> Any:
    """JSON; many servers write NaN and Infinity, which JSON has not."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return json.loads(body)


def _failed(error: Exception, timeout: float) -> CallFailed:
    """What became of a call without an answer."""
    if isinstance(error, ValueError) and not isinstance(error, OSError | HTTPError):
        return CallFailed("garbage", f"the answer is no HTTP: {error}")
    if isinstance(error, NameResolutionError):
        return CallFailed("away", "its name cannot be resolved")
    reasons = [error, error.__cause__, error.__context__]
    for one in reasons:
        if isinstance(one, ssl.SSLError):
            text = one.verify_message if isinstance(one, ssl.SSLCertVerificationError) else one.reason
            return CallFailed("away", f"TLS failed: {text or one}")
    if isinstance(error, NewConnectionError):
        cause = error.__cause__
        return CallFailed("away", (getattr(cause, "strerror", None) or "no connection").lower())
    if any(isinstance(one, TimeoutError | urllib3.exceptions.TimeoutError) for one in reasons):
        away = isinstance(error, urllib3.exceptions.ConnectTimeoutError)
        return CallFailed("away" if away else "late", f"no answer within {timeout:g} s")
    if isinstance(error, HTTPException | HTTPError) and not isinstance(error, ConnectionError):
        return CallFailed("away", f"the answer broke off ({type(error).__name__})")
    text = getattr(error, "strerror", None) or "the connection broke off"
    return CallFailed("away", str(text).lower())


def _refused(status: int, headers: Mapping[str, str], body: bytes) -> CallFailed:
    if 300 <= status < 400:
        target = headers.get("Location", "elsewhere")
        return CallFailed("absent", f"it redirects to {target}: say that in options.url")
    failure = _STATUS.get(status, "refused" if 400 <= status < 500 else "failed")
    return CallFailed(failure, f"HTTP {status}{_said(body)}")


def _said(body: bytes) -> str:
    """The server's sentence, in one line."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    text = found.get("error") or found.get("detail") if isinstance(found, dict) else None
    said = " ".join(str(text).split()) if text else _excerpt(body)
    return f": {said[:300]}" if said else ""


def _excerpt(body: bytes) -> str:
    text = body[:120].decode("utf-8", "replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _list(said: Mapping[str, Any], key: str) -> list[Any]:
    found = said.get(key)
    return found if isinstance(found, list) else []


def _tensors(said: Mapping[str, Any], key: str) -> tuple[Declared, ...]:
    try:
        return tuple(
            Declared(
                name=str(one["name"]),
                datatype=str(one["datatype"]),
                shape=tuple(int(extent) for extent in one["shape"]),
            )
            for one in _list(said, key)
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CallFailed("garbage", f"its {key} are no tensors of the protocol") from error
