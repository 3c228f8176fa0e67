"""Operators that the evaluator lacks, or computes in the way of a later operator set. Imports no vendor."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from accelerators.reference.recurrent import ragged
from edgex_inference.contracts.tensors import Array

_TRAINED_BEFORE = 14
"""Operator sets before this one tell training from inference by the number of outputs of BatchNormalization."""
_DEQUANTIZED_SINCE = 19
_ALONG_ONE_AXIS_SINCE = 13
_RESIZED_BEFORE = 11


def operators(base: type, own: Mapping[str, type], *, opset: int, training: bool) -> list[type]:
    """The evaluator's further operators; `base` is its class OpRun, `own` has those of operators."""
    found = [_zip_map(base), _global_max_pool(base), _lp_normalization(base), _loop(own["Loop"])]
    found += [ragged(own[name], name) for name in ("LSTM", "GRU", "RNN")]
    if opset < _TRAINED_BEFORE and not training:
        found.append(_batch_normalization(base))
    if opset < _DEQUANTIZED_SINCE:
        found.append(_dequantize_linear(base))
    if opset < _ALONG_ONE_AXIS_SINCE:
        found += [_flattened(base, name) for name in ("Softmax", "LogSoftmax", "Hardmax")]
    if opset < _RESIZED_BEFORE:
        found += [_scaled(own["Resize"], name) for name in ("Upsample", "Resize")]
    return found


def _batch_normalization(base: type) -> type:
    class BatchNormalization(base):  # type: ignore[misc]
        """The evaluator computes that of operator sets 6 to 13 in training mode whenever it has a momentum."""

        op_domain = ""

        def _run(
            self, x: Array, scale: Array, bias: Array, mean: Array, variance: Array, **said: Any
        ) -> tuple[Array]:
            axes = (-1, *(1,) * (x.ndim - 2))
            scale, bias, mean, variance = (part.reshape(axes) for part in (scale, bias, mean, variance))
            epsilon = said["epsilon"] if said.get("epsilon") is not None else 1e-5
            return ((scale * (x - mean) / np.sqrt(variance + epsilon) + bias).astype(x.dtype),)

    return BatchNormalization


def _zip_map(base: type) -> type:
    class ZipMap(base):  # type: ignore[misc]
        """Label-to-score maps, which the evaluator lacks."""

        op_domain = "ai.onnx.ml"

        def _run(self, x: Array, **said: Any) -> tuple[list[dict[Any, float]]]:
            texts, numbers = said.get("classlabels_strings"), said.get("classlabels_int64s")
            labels = texts if texts is not None and len(texts) else numbers
            assert labels is not None
            rows = x.reshape(-1, len(labels)).tolist()
            return ([dict(zip(labels, row, strict=True)) for row in rows],)

    return ZipMap


def _global_max_pool(base: type) -> type:
    class GlobalMaxPool(base):  # type: ignore[misc]
        """The evaluator takes it right with two axes behind the channels only."""

        op_domain = ""

        def _run(self, x: Array, **said: Any) -> tuple[Array]:
            return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)

    return GlobalMaxPool


def _lp_normalization(base: type) -> type:
    class LpNormalization(base):  # type: ignore[misc]
        """The evaluator adds up numbers instead of their sizes where p is 1."""

        op_domain = ""

        def _run(self, x: Array, axis: int | None = None, p: int | None = None, **said: Any) -> tuple[Array]:
            along = -1 if axis is None else axis
            norm = np.linalg.norm(x, ord=p or 2, axis=along, keepdims=True)
            return (np.where(norm == 0, 0, x / np.where(norm == 0, 1, norm)).astype(x.dtype),)

    return LpNormalization


def _loop(loop: type) -> type:
    class Loop(loop):  # type: ignore[misc]
        """Without a condition the evaluator takes no round, and it puts what rounds give on one another's axis 0."""

        op_domain = ""

        def _run(self, most: Array | None, going: Array | None, *states: Any, **said: Any) -> tuple[Any, ...]:
            around = said.get("context") or {}
            further = {name: said[name] for name in ("attributes", "bindings") if name in said}
            going = np.array(True) if going is None else going
            rows: list[list[Any]] = [[] for _ in range(self.K)]
            count = 0
            while going and (most is None or count < most):
                given = (np.array(count, np.int64), going, *states)
                feed = {**around, **dict(zip(self.body.input_names, given, strict=True))}
                going, *found = self._run_body(feed, **further)
                states = tuple(found[: self.N])
                for row, one in zip(rows, found[self.N :], strict=True):
                    row.append(one)
                count += 1
            return (*states, *(np.stack(row) if row else np.empty(0, np.float32) for row in rows))

    return Loop


def _dequantize_linear(base: type) -> type:
    class DequantizeLinear(base):  # type: ignore[misc]
        """The evaluator has it from operator set 19 on only; quantized files say 10 or 13."""

        op_domain = ""

        def _run(self, x: Array, scale: Array, zero: Array | None = None, **said: Any) -> tuple[Array]:
            axes = [1] * x.ndim
            if scale.ndim:
                axes[said.get("axis", 1) or 0] = scale.size
            whole = x.astype(np.float32)
            if zero is not None:
                whole = whole - zero.astype(np.float32).reshape(axes if zero.ndim else ())
            return ((whole * scale.reshape(axes if scale.ndim else ())).astype(scale.dtype),)

    return DequantizeLinear


def _flattened(base: type, name: str) -> type:
    """Before operator set 13 it ran over all that follows its axis, by default the first, as over one."""

    def _run(self: Any, x: Array, **said: Any) -> tuple[Array]:
        written = any(
            one.name == "axis" for one in self.onnx_node.attribute
        )  # else it is today's default, -1
        axis = said["axis"] if written else 1
        rows = x.reshape(int(np.prod(x.shape[: axis % x.ndim], dtype=np.int64)), -1) if x.size else x
        return (_OF_ROWS[name](rows).reshape(x.shape).astype(x.dtype) if x.size else x,)

    return type(name, (base,), {"op_domain": "", "_run": _run})


def _log_softmax(rows: Array) -> Array:
    below: Array = rows - rows.max(axis=1, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(axis=1, keepdims=True)))


def _hardmax(rows: Array) -> Array:
    found = np.zeros_like(rows)
    found[np.arange(len(rows)), rows.argmax(axis=1)] = 1
    return found


_OF_ROWS: Mapping[str, Callable[[Array], Array]] = {
    "Softmax": lambda rows: np.exp(_log_softmax(rows)),
    "LogSoftmax": _log_softmax,
    "Hardmax": _hardmax,
}


def _scaled(resize: type, name: str) -> type:
    """Up to operator set 10 it had scales alone, an attribute first and then an input."""

    def _run(self: Any, x: Array, *given: Array, **said: Any) -> tuple[Array]:
        found: tuple[Array] = resize._run(  # type: ignore[attr-defined]
            self,
            x,
            None,
            np.asarray(given[0] if given else said["scales"], np.float32),
            mode=said.get("mode") or "nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return found

    return type(name, (resize,), {"op_domain": "", "_run": _run})
