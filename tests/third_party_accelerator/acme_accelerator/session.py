"""Models of format `acme`: a text file with a slope, an offset, and the number of rows or `any`."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from edgex_inference.contracts.accelerator import Batch, Format, LoadRequest, Session, Traits
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.tensors import Datatype, Tensors, TensorSpec

ACME = Format("acme")


def load(request: LoadRequest) -> Session:
    """Loads a straight line."""
    if request.format != ACME:
        raise ModelRejected(request.path, f"acme reads acme, not {request.format}")
    if request.device not in (None, "ONE"):
        raise AcceleratorUnavailable(
            f"acme:{request.device}", "not on this machine (found ONE); add a fallback"
        )
    if request.precision not in ("f32", "native"):
        raise ModelRejected(request.path, f"acme computes in f32, not in {request.precision}")
    try:
        slope, offset, rows = request.path.read_text().split()
        return _Line(float(slope), float(offset), None if rows == "any" else int(rows))
    except (OSError, ValueError) as error:
        raise ModelRejected(request.path, f"no straight line: {error}") from error


class _Line:
    def __init__(self, slope: float, offset: float, rows: int | None) -> None:
        self._slope, self._offset, self._open = np.float32(slope), np.float32(offset), True
        self.inputs: Sequence[TensorSpec] = (TensorSpec(name="x", datatype=Datatype.FP32, shape=(rows, 4)),)
        self.outputs: Sequence[TensorSpec] = (TensorSpec(name="y", datatype=Datatype.FP32, shape=(rows, 4)),)
        self.parallel = 1
        self.traits = Traits(batch=Batch(kind="any" if rows is None else "none"), placement={"ONE": 1})
        self.metadata: Mapping[str, str] = {}

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Answers slope·x + offset."""
        if not self._open:
            raise InferenceFailed("the session is closed")
        x = tensors.get("x")
        if tensors.keys() != {"x"} or not isinstance(x, np.ndarray) or x.dtype != np.float32:
            raise SignatureMismatch("line", f"one float32 input x is wanted, not {', '.join(tensors)}")
        if not self.inputs[0].accepts(x.shape):
            raise SignatureMismatch("line", f"x has shape {list(x.shape)}, the model wants {self.inputs[0]}")
        time.sleep(0.0005)
        return {"y": x * self._slope + self._offset}

    def close(self) -> None:
        self._open = False
