"""One item of a burst on its way, with what has become of it so far."""

import logging
from collections.abc import Callable, Sequence

import msgspec

from edgex_inference.contracts.errors import EdgexInferenceError, InferenceFailed
from edgex_inference.contracts.results import Result, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.engine.batching import Answer
from edgex_inference.pipeline.intake import Item

log = logging.getLogger(__name__)

Many = Callable[[Sequence[Tensors], Sequence[Sample]], Sequence[Result | InferenceFailed]]
"""answers and their samples → the results"""


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


def read(passages: Sequence[Passage], many: Many, clock: Callable[[], float]) -> None:
    """Reads the answers of a burst; whose surprise it is shows when they are read one by one."""
    started = clock()
    answered: list[Passage] = []
    tensors: list[Tensors] = []
    samples: list[Sample] = []
    for passage in passages:
        sample, answer = passage.sample, passage.answer
        if sample is not None and answer is not None and not isinstance(answer, EdgexInferenceError):
            answered.append(passage)
            tensors.append(answer)
            samples.append(sample)
    try:
        results = many(tensors, samples)
    except Exception:
        log.debug("a burst is read one by one", exc_info=True)
        return
    spent = (clock() - started) / max(1, len(answered))
    for passage, result in zip(answered, results, strict=True):
        passage.result, passage.spent = result, spent
