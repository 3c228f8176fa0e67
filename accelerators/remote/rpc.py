"""The protocol over gRPC. Every line that touches grpc is here; messages are written and read in wire.py."""

from collections.abc import Mapping
from typing import Any

import grpc

from accelerators.remote import wire
from accelerators.remote.calls import MOST_BYTES, Answered, CallFailed, Failure, ModelSaid, Server
from accelerators.remote.credentials import Credentials
from accelerators.remote.options import Address, Options
from edgex_inference.contracts.tensors import Array

_SERVICE = "/inference.GRPCInferenceService/"
_STATUS: Mapping[Any, Failure] = {
    grpc.StatusCode.UNAVAILABLE: "busy",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "busy",
    grpc.StatusCode.DEADLINE_EXCEEDED: "late",
    grpc.StatusCode.UNAUTHENTICATED: "denied",
    grpc.StatusCode.PERMISSION_DENIED: "denied",
    grpc.StatusCode.NOT_FOUND: "absent",
    grpc.StatusCode.UNIMPLEMENTED: "absent",
    grpc.StatusCode.INVALID_ARGUMENT: "refused",
    grpc.StatusCode.FAILED_PRECONDITION: "refused",
    grpc.StatusCode.OUT_OF_RANGE: "refused",
    grpc.StatusCode.CANCELLED: "away",
}
_COMPRESSIONS = {
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}
_AWAY = (
    "failed to connect",
    "socket closed",
    "connection",
    "dns",
    "errors resolving",
    "handshak",
    "recvmsg",
    "goaway",
)
"""How gRPC itself begins to say that nobody is there; anything else that is unavailable the server said."""


class RpcTransport:
    """One channel to one server; calls in flight at once share its connection."""

    def __init__(self, address: Address, options: Options, model: str, found: Credentials) -> None:
        self._name, self._version = model, str(options.version)
        headers = {name.lower(): value for name, value in found.headers.items()}
        authority = headers.pop("host", "")  # how an ingress tells whom a call is for
        self._headers = tuple(headers.items())
        settings = (
            ("grpc.max_receive_message_length", MOST_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.enable_http_proxy", 0),
            (
                "grpc.use_local_subchannel_pool",
                1,
            ),  # a new session must not wait for the back-off of an old one
            ("grpc.enable_retries", 0),
            *([("grpc.default_authority", authority)] if authority else []),
        )
        host = f"[{address.host}]" if ":" in address.host else address.host
        target, compression = f"{host}:{address.port}", _COMPRESSIONS[options.compression]
        if address.secure:
            allowed = grpc.ssl_channel_credentials(
                root_certificates=found.ca.encode() or None,
                private_key=found.key.encode() or None,
                certificate_chain=found.certificate.encode() or None,
            )
            self._channel = grpc.secure_channel(target, allowed, settings, compression)
        else:
            self._channel = grpc.insecure_channel(target, settings, compression)
        self._methods: dict[str, Any] = {
            method: self._channel.unary_unary(_SERVICE + method)
            for method in ("ServerMetadata", "ModelReady", "ModelMetadata", "ModelConfig", "ModelInfer")
        }
        self._configured = False

    def server(self, timeout: float) -> Server:
        said = wire.server(self._call("ServerMetadata", b"", timeout))
        self._configured = "model_configuration" in said.extensions
        return said

    def model(self, timeout: float) -> ModelSaid:
        answer = self._call("ModelMetadata", wire.model_request(self._name, self._version), timeout)
        try:
            return wire.model(answer)
        except ValueError as error:
            raise CallFailed("garbage", f"the answer is garbled: {error}") from error

    def ready(self, timeout: float) -> bool:
        return wire.ready(self._call("ModelReady", wire.model_request(self._name, self._version), timeout))

    def most_rows(self, timeout: float) -> int | None:
        if not self._configured:
            return None
        return wire.most_rows(
            self._call("ModelConfig", wire.model_request(self._name, self._version), timeout)
        )

    def infer(
        self, inputs: Mapping[str, tuple[str, Array]], outputs: tuple[str, ...], timeout: float
    ) -> Mapping[str, Answered]:
        request = wire.infer_request(self._name, self._version, inputs, outputs)
        answer = self._call("ModelInfer", request, timeout)
        try:
            return wire.infer_response(answer)
        except ValueError as error:
            raise CallFailed("garbage", f"the answer is garbled: {error}") from error

    def close(self) -> None:
        self._channel.close()

    def _call(self, method: str, request: bytes, timeout: float) -> bytes:
        try:
            answer: bytes = self._methods[method](request, timeout=timeout, metadata=self._headers)
            return answer
        except grpc.RpcError as error:
            raise _failed(error) from error
        except ValueError as error:  # a channel that was closed
            raise CallFailed("away", "the session is closed") from error


def _failed(error: Any) -> CallFailed:
    code, said = error.code(), " ".join(str(error.details() or "").split())
    failure = _STATUS.get(code, "failed")
    if code is grpc.StatusCode.UNAVAILABLE and said.lower().startswith(_AWAY):
        failure, said = "away", _brief(said)
        return CallFailed(failure, said)
    return CallFailed(failure, f"gRPC {code.name}{': ' if said else ''}{said[:300]}")


def _brief(said: str) -> str:
    """gRPC's long story of addresses, as the words that end it."""
    low = said.lower()
    for word in (
        "connection refused",
        "certificate_verify_failed",
        "no route to host",
        "wrong_version_number",
    ):
        if word in low:
            return word.replace("_", " ")
    if low.startswith(("dns", "errors resolving")) or "name resolution" in low:
        return "its name cannot be resolved"
    return said[:200]
