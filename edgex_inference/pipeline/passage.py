"""One item of a burst on its way, with what has become of it so far."""

from collections.abc import Sequence

import msgspec

from edgex_inference.contracts.errors import EdgexInferenceError, InferenceFailed
from edgex_inference.contracts.results import Result, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.batching import Answer
from edgex_inference.pipeline.intake import Item


class Passage(msgspec.Struct, eq=False):
    """An item with what has become of it so far."""

    item: Item
    sample: Sample | None = None
    answer: Tensors | EdgexInferenceError | None = None
    result: Result | InferenceFailed | None = None
    spent: float = 0.0
    """seconds that reading its answer took"""


def go_on(
    items: Sequence[Item],
    samples: Sequence[Sample],
    *,
    answers: Sequence[Answer | None],
    results: Sequence[Result | InferenceFailed] | None = None,
    spent: float = 0.0,
) -> Sequence[Passage]:
    """What is known already of items that go on one by one."""
    found: Sequence[Result | InferenceFailed | None] = results or [None] * len(items)
    return [
        Passage(item, sample, answer, result, spent)
        for item, sample, answer, result in zip(items, samples, answers, found, strict=True)
    ]
