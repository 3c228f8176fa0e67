"""The protocol's protobuf messages, as far as they are used: written and read by hand (docs/adr/0007).

Field numbers are those of Triton's grpc_service.proto, which all servers share.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np

from accelerators.remote.calls import Answered, Declared, ModelSaid, Server
from accelerators.remote.tensors import check_shape, datatype_of, from_bytes, to_bytes
from edgex_inference.contracts.protobuf import BYTES, Damaged, fields, varint
from edgex_inference.contracts.tensors import Array, Datatype

_MASK = (1 << 64) - 1
Value = int | memoryview


# Writing


def _varint(number: int) -> bytes:
    number &= _MASK
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode()) if text else b""


def model_request(name: str, version: str) -> bytes:
    """ModelReadyRequest, ModelMetadataRequest and ModelConfigRequest: all three alike."""
    return _text(1, name) + _text(2, version)


def infer_request(
    name: str, version: str, inputs: Mapping[str, tuple[str, Array]], outputs: Sequence[str]
) -> bytes:
    """ModelInferRequest, its tensors as raw contents; raises ValueError for texts that are none."""
    parts = [model_request(name, version)]
    for tensor, (word, array) in inputs.items():
        shape = b"".join(_varint(extent) for extent in array.shape)
        parts.append(_field(5, _text(1, tensor) + _text(2, word) + (_field(3, shape) if shape else b"")))
    parts += [_field(6, _text(1, output)) for output in outputs]
    for word, array in inputs.values():
        content = to_bytes(array, word)
        parts += [_varint(7 << 3 | BYTES), _varint(len(content)), content]
    return b"".join(parts)


# Reading


def _bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise Damaged("a number where bytes are expected")
    return value


def _string(value: Value) -> str:
    try:
        return str(_bytes(value), "utf-8")
    except UnicodeDecodeError as error:
        raise Damaged("a text is no UTF-8") from error


def _signed(number: int) -> int:
    number &= _MASK
    return number - (1 << 64) if number >> 63 else number


def _numbers(value: Value) -> list[int]:
    """Varints, packed or one alone."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        found.append(number)
    return found


def ready(content: bytes) -> bool:
    """ModelReadyResponse."""
    return any(value == 1 for number, value in fields(memoryview(content)) if number == 1)


def server(content: bytes) -> Server:
    """ServerMetadataResponse."""
    said = [(number, _string(value)) for number, value in fields(memoryview(content)) if number in (1, 2, 3)]
    first = dict(reversed(said))
    extensions = frozenset(text for number, text in said if number == 3)
    return Server(name=first.get(1, ""), version=first.get(2, ""), extensions=extensions)


def model(content: bytes) -> ModelSaid:
    """ModelMetadataResponse; what dialects add in field 6 is passed over."""
    platform, versions = "", []
    tensors: dict[int, list[Declared]] = {4: [], 5: []}
    for number, value in fields(memoryview(content)):
        if number == 2:
            versions.append(_string(value))
        elif number == 3:
            platform = _string(value)
        elif number in tensors:
            tensors[number].append(_declared(_bytes(value)))
    return ModelSaid(
        platform=platform, versions=tuple(versions), inputs=tuple(tensors[4]), outputs=tuple(tensors[5])
    )


def most_rows(content: bytes) -> int | None:
    """The max_batch_size of a ModelConfigResponse; 0 is: no batches."""
    for number, value in fields(memoryview(content)):
        if number == 1:
            said = [one for field, one in fields(_bytes(value)) if field == 4]
            return int(said[-1]) if said and isinstance(said[-1], int) else 0
    return None


def _declared(content: memoryview) -> Declared:
    name = datatype = ""
    shape: list[int] = []
    for number, value in fields(memoryview(content)):
        if number == 1:
            name = _string(value)
        elif number == 2:
            datatype = _string(value)
        elif number == 3:
            shape += [_signed(one) for one in _numbers(value)]
    return Declared(name=name, datatype=datatype, shape=tuple(shape))


def infer_response(content: bytes) -> Mapping[str, Answered]:
    """ModelInferResponse, its tensors raw or typed; raises ValueError."""
    heads: list[tuple[Declared, memoryview | None]] = []
    raw: list[memoryview] = []
    for number, value in fields(memoryview(content)):
        if number == 5:
            output = _bytes(value)
            typed = [_bytes(one) for field, one in fields(output) if field == 5]
            heads.append((_declared(output), typed[-1] if typed else None))
        elif number == 6:
            raw.append(_bytes(value))
    if raw and len(raw) != len(heads):
        raise Damaged(f"{len(heads)} outputs with the contents of {len(raw)}")
    found = {}
    for index, (head, contents) in enumerate(heads):
        datatype_of(head.datatype)
        if raw:
            array = from_bytes(raw[index], head.datatype, head.shape)
        else:
            array = _typed(contents or memoryview(b""), head)
        found[head.name] = Answered(datatype=head.datatype, array=array)
    return found


def _typed(content: memoryview, head: Declared) -> Array:
    """InferTensorContents."""
    dtype = datatype_of(head.datatype).numpy
    check_shape(head.shape)
    texts: list[bytes] = []
    numbers: list[int] = []
    floats: list[Array] = []
    for number, value in fields(memoryview(content)):
        if number == 8:
            texts.append(bytes(_bytes(value)))
        elif number in (6, 7):
            floats.append(np.frombuffer(_bytes(value), "<f4" if number == 6 else "<f8"))
        else:
            numbers += _numbers(value)
    if dtype.kind == "O":
        whole = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        return from_bytes(whole, Datatype.BYTES, head.shape)
    if floats or not numbers:
        return np.concatenate([*floats, np.empty(0, np.float32)]).astype(dtype).reshape(head.shape)
    if dtype.kind == "i":
        numbers = [_signed(one) for one in numbers]
    try:
        return np.array(numbers, dtype).reshape(head.shape)
    except OverflowError:
        raise Damaged(f"a number is too large for {head.datatype}") from None
