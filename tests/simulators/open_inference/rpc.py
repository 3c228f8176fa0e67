"""The double over gRPC; the messages are those of tritonclient, which has them from Triton."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb

from open_inference.home import Home, Refusal, from_wire, noised, to_wire

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}


def handlers(home: Home) -> Any:
    methods = {
        "ServerLive": (pb.ServerLiveRequest, lambda _: pb.ServerLiveResponse(live=True)),
        "ServerReady": (pb.ServerReadyRequest, lambda _: pb.ServerReadyResponse(ready=True)),
        "ServerMetadata": (pb.ServerMetadataRequest, lambda _: _server_metadata(home)),
        "ModelReady": (pb.ModelReadyRequest, lambda said: _model_ready(home, said)),
        "ModelMetadata": (pb.ModelMetadataRequest, lambda said: _model_metadata(home, said)),
        "ModelConfig": (pb.ModelConfigRequest, lambda said: _model_config(home, said)),
        "ModelInfer": (pb.ModelInferRequest, lambda said: _model_infer(home, said)),
    }
    made = {}
    for name, (request, handle) in methods.items():
        made[name] = grpc.unary_unary_rpc_method_handler(
            _guarded(home, handle),
            request_deserializer=request.FromString,
            response_serializer=lambda one: one if isinstance(one, bytes) else one.SerializeToString(),
        )
    return grpc.method_handlers_generic_handler("inference.GRPCInferenceService", made)


def _guarded(home: Home, handle: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def guarded(request: Any, context: Any) -> Any:
        try:
            home.allow(dict(context.invocation_metadata()))
            return handle(request)
        except Refusal as error:
            context.abort(CODES.get(error.code, grpc.StatusCode.UNKNOWN), str(error))
        except (ValueError, KeyError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"cannot be read: {error}")

    return guarded


def _server_metadata(home: Home) -> Any:
    extensions = list(home.strings.extensions)
    return pb.ServerMetadataResponse(name="double", version="1.0", extensions=extensions)


def _model_ready(home: Home, said: Any) -> Any:
    return pb.ModelReadyResponse(ready=home.ready(home.model(said.name, said.version)))


def _model_metadata(home: Home, said: Any) -> Any:
    model = home.model(said.name, said.version)
    found = pb.ModelMetadataResponse(name=said.name, versions=model.versions, platform="python")
    for tensors, into in ((model.inputs, found.inputs), (model.outputs, found.outputs)):
        for name, datatype, shape in tensors:
            into.add(name=name, datatype=datatype, shape=shape)
    return found


def _model_config(home: Home, said: Any) -> Any:
    found = pb.ModelConfigResponse()
    found.config.name = said.name
    found.config.max_batch_size = home.model(said.name, said.version).most
    return found


def _model_infer(home: Home, said: Any) -> Any:
    model = home.model(said.model_name, said.model_version)
    fault = home.next_fault()
    if fault == "garbage":
        return b"\xff\xff\xff garbage"
    raw: Iterator[bytes] = iter(said.raw_input_contents)
    arrays = {one.name: from_wire(next(raw), one.datatype, tuple(one.shape)) for one in said.inputs}
    found = pb.ModelInferResponse(model_name=said.model_name, model_version="1")
    for name, datatype, array in home.answer(model, arrays, fault):
        head = found.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if fault == "typed":
            _fill(head.contents, datatype, array)
            continue
        content = to_wire(array, datatype)
        found.raw_output_contents.append(content[:-1] if fault == "short" else content)
    return noised(found.SerializeToString(), fault)


def _fill(contents: Any, datatype: str, array: Any) -> None:
    """Typed contents, as some servers answer."""
    fields = {
        "BOOL": contents.bool_contents,
        "INT64": contents.int64_contents,
        "UINT8": contents.uint_contents,
        "INT8": contents.int_contents,
        "UINT64": contents.uint64_contents,
        "FP32": contents.fp32_contents,
        "FP64": contents.fp64_contents,
        "BYTES": contents.bytes_contents,
    }
    fields[datatype].extend(
        one.encode() if isinstance(one, str) else one for one in np.asarray(array).ravel().tolist()
    )
