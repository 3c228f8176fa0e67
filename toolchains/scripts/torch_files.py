"""Inputs of PyTorch's exported programs, and weights that other libraries wrote."""

import json
import os
import zipfile

import numpy as np
import torch
from exchange import Refused

_OPEN, _ROWS = 8, (1, 3)
_SAFE = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def calling(program):
    """The program as a function of its tensors, however its arguments are nested or named."""
    module, spec = program.module(), program.call_spec.in_spec
    kinds = [one.arg for one in program.graph_signature.input_specs if one.kind.name == "USER_INPUT"]

    def run(*tensors):
        left = iter(tensors)
        given = [one.value if hasattr(one, "value") else next(left) for one in kinds]
        arguments, named = torch.utils._pytree.tree_unflatten(given, spec)
        return module(*arguments, **named)

    return run


def fed(job, program):
    """Inputs of a program; extents that it leaves open are those the user says, else small ones within its bounds."""
    wanted = set(map(str, program.graph_signature.user_inputs))
    nodes = [one for one in program.graph.nodes if one.op == "placeholder" and one.name in wanted]
    nodes = [one for one in nodes if isinstance(one.meta.get("val"), torch.Tensor)]
    for node in nodes:
        if node.meta["val"].dtype is torch.bfloat16:
            raise Refused(
                "takes bfloat16 (%s), which cannot be fed: export it with float32 inputs" % node.name
            )
    unknown = sorted(set(job.shapes) - {one.name for one in nodes} - {""})
    if unknown:
        names = ", ".join(one.name for one in nodes)
        raise Refused("has no input %s: --shape is for %s" % (unknown[0], names))
    chosen = sizes(job, program, nodes)
    found = []
    for node in nodes:
        value = node.meta["val"]
        shape = tuple(one if isinstance(one, int) else extent(one, chosen) for one in value.shape)
        found.append((node.name, str(value.dtype).removeprefix("torch."), shape))
    return found


def sizes(job, program, nodes):
    """Symbol → its extent; None for one that only counts rows and takes 1 and 3 of them."""
    found, inner = {}, set()
    for node in nodes:
        said = job.shapes.get(node.name) or job.shapes.get("")
        shape = node.meta["val"].shape
        if said is not None and len(said) != len(shape):
            raise Refused("its input %s has %d axes, %d are asked for" % (node.name, len(shape), len(said)))
        for axis, one in enumerate(shape):
            if isinstance(one, int):
                if said is not None and said[axis] != one:
                    raise Refused(
                        "its input %s has %d on axis %d, and %d is asked for"
                        % (node.name, one, axis, said[axis])
                    )
                continue
            expression = one.node.expr
            if said is not None and expression.is_Symbol:
                found[expression] = said[axis]
            if axis or not expression.is_Symbol:
                inner |= expression.free_symbols
            for symbol in expression.free_symbols - found.keys():
                found[symbol] = within(program.range_constraints.get(symbol), inner, symbol)
    return {one: size if size is not None or one not in inner else _OPEN for one, size in found.items()}


def within(bounds, inner, symbol):
    """The usual extent where the bounds allow it, else the nearest."""
    low, high = (getattr(bounds, one, None) for one in ("lower", "upper"))
    low = int(low) if getattr(low, "is_Integer", False) else 0
    high = int(high) if getattr(high, "is_Integer", False) else 1 << 62
    low = 1 if low <= 2 else low  # torch.export takes 0 and 1 for special, and says 2 for any
    if symbol not in inner and low <= _ROWS[0] and high >= _ROWS[1]:
        return None
    return min(max(_OPEN, low), high)


def extent(one, chosen):
    """The extent of an axis; None for one of rows."""
    expression = one.node.expr
    if expression.is_Symbol:
        return chosen[expression]
    return int(expression.subs({symbol: size or 1 for symbol, size in chosen.items()}))


def plain_weights(path):
    """The tensors of a file of safetensors or numpy's, which hold no programs; None for torch's own files."""
    with open(path, "rb") as file:
        head = file.read(9)
    if head[:6] == b"\x93NUMPY":
        raise Refused("is a single array, which is no module's weights")
    if head[8:9] == b"{":
        return safe(path)
    if head[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(path) as archive:
            if all(name.endswith(".npy") for name in archive.namelist()):
                with np.load(path, allow_pickle=False) as found:
                    return {name: torch.from_numpy(found[name]) for name in found.files}
    return None


def safe(path):
    """safetensors: the length of a header, that header in JSON, and the numbers one behind the other."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            raise Refused("is a file of safetensors that is cut short")
        header = json.loads(file.read(length))
        content = bytearray(file.read())
    found = {}
    for name, one in header.items():
        if name == "__metadata__":
            continue
        kind, shape, (start, end) = _SAFE.get(one["dtype"]), one["shape"], one["data_offsets"]
        if kind is None:
            raise Refused("has a tensor %s of type %s, which is not known" % (name, one["dtype"]))
        count = int(np.prod(shape, dtype=np.int64))
        if not 0 <= start <= end <= len(content) or count * kind.itemsize != end - start:
            raise Refused("is a file of safetensors that is cut short or damaged (%s)" % name)
        tensor = torch.frombuffer(content, dtype=kind, count=count, offset=start) if count else torch.empty(0)
        found[name] = tensor.reshape(shape).clone()
    return found
