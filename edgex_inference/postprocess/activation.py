"""From a model's raw scores to probabilities."""

from collections.abc import Callable

import numpy as np

from edgex_inference.postprocess.wiring import Floats, ModelOutput

_SLACK = 1e-3


def softmax(scores: Floats, axis: int = -1) -> Floats:
    """Shares whose sum along the axis is 1."""
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    shares: Floats = powers / powers.sum(axis=axis, keepdims=True)
    return shares


def logistic(scores: Floats) -> Floats:
    """Each number for itself in 0..1."""
    shares: Floats = np.reciprocal(1 + np.exp(-scores))
    return shares


def are_shares(scores: Floats) -> bool:
    """Whether all finite numbers are in 0..1, which raw scores of a whole picture never are."""
    low, high = scores.min(initial=0), scores.max(initial=0)
    if not np.isfinite(low + high):
        finite = scores[np.isfinite(scores)]
        low, high = finite.min(initial=0), finite.max(initial=0)
    return bool(low >= -_SLACK and high <= 1 + _SLACK)


def way(output: ModelOutput, raw: str) -> Callable[[Floats], str]:
    """What is to be done with scores, `none`, `sigmoid` or `softmax`, as the role's `activation` says.

    Unsaid: `raw` where the numbers are not in 0..1, else nothing. Raises ModelRejected for another word.
    """
    said = output.choice("activation", ("none", "sigmoid", "softmax"))
    if said is not None:
        return lambda scores: said
    return lambda scores: "none" if are_shares(scores) else raw


def activation(output: ModelOutput, raw: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """As `way`, and does it; raises ModelRejected for another word than none, sigmoid or softmax."""
    known = {"none": lambda scores: scores, "sigmoid": logistic, "softmax": softmax, "raw": raw}
    chosen = way(output, "raw")
    return lambda scores: known[chosen(scores)](scores)
