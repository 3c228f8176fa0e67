"""Recurrent operators, of which the evaluator leaves words out in silence: what is added, and what is refused."""

from typing import Any

import numpy as np

from edgex_inference.contracts.tensors import Array

_DEFAULTS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"]}
"""The activations that it computes, whatever the file says."""


def ragged(recurrent: type, name: str) -> type:
    """The evaluator takes no heed of how long each sequence is: here each is run for itself, up to its end."""

    def _run(
        self: Any, x: Array, w: Array, r: Array, b: Any = None, lengths: Any = None, *more: Any, **said: Any
    ) -> tuple[Array, ...]:
        run = recurrent._run  # type: ignore[attr-defined]
        if lengths is None or bool(np.all(lengths == len(x))):
            whole: tuple[Array, ...] = run(self, x, w, r, b, None, *more, **said)
            return whole
        rows = []
        for at, length in enumerate(lengths):
            states = [one[:, at : at + 1] if one is not None and one.ndim == 3 else one for one in more]
            rows.append(run(self, x[:length, at : at + 1], w, r, b, None, *states, **said))
        each, *last = zip(*rows, strict=True)
        padded = [
            np.concatenate((one, np.zeros((len(x) - len(one), *one.shape[1:]), one.dtype))) for one in each
        ]
        return np.concatenate(padded, 2), *(np.concatenate(one, 1) for one in last)

    return type(name, (recurrent,), {"op_domain": "", "_run": _run})


def overlooked(graph: Any) -> str:
    """What an operator says and the evaluator does not look at: its numbers would be wrong. Empty if nothing."""
    for node in graph.node:
        for attribute in node.attribute:
            found = _overlooked(node, attribute) or overlooked(attribute.g)
            if found:
                return found
    return ""


def _overlooked(node: Any, attribute: Any) -> str:
    if node.op_type not in ("LSTM", "GRU", "RNN") or node.domain not in ("", "ai.onnx"):
        return ""
    if attribute.name == "activations" and node.op_type in _DEFAULTS:
        said, usual = [one.decode().lower() for one in attribute.strings], _DEFAULTS[node.op_type]
        counts = said != usual * (len(said) // len(usual))
    else:
        counts = attribute.name in ("clip", "input_forget") and bool(attribute.f or attribute.i)
    if attribute.name == "layout" and attribute.i and any(node.input[4:5]):
        return f"layout 1 with sequence_lens of {node.op_type}"
    return f"{attribute.name} of {node.op_type}" if counts else ""
