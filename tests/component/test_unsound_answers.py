"""A plug-in that breaks its word, and surprises of our own: each event has its fate all the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgex_inference.contracts.tensors import Tensors
from edgex_inference.pipeline.convoy import Convoy
from edgex_inference.testing.fake_accelerator import FakeSession

SPOILT: dict[str, tuple[Callable[[Tensors], object], str]] = {
    "no answer": (lambda _: None, "it gave a NoneType instead of arrays by name"),
    "no output": (lambda _: {}, "it gave no output y"),
    "another name": (lambda one: {"z": one["y"]}, "it gave no output y"),
    "a list": (lambda one: {"y": one["y"].tolist()}, "it gave a list instead of an array y"),
    "wider": (lambda one: {"y": np.hstack([one["y"], one["y"]])}, "it gave y as float32[1, 2], and has"),
    "flat": (lambda one: {"y": one["y"].ravel()}, "it gave y as float32[1], and has"),
    "another type": (lambda one: {"y": one["y"].astype(np.int32)}, "it gave y as int32[1, 1], and has"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPOILT)
async def test_an_answer_that_was_not_declared_fails_alone(
    kind: str, stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, reason = SPOILT[kind]
    sound = FakeSession.infer

    def infer(self: FakeSession, tensors: Tensors, *, timeout: float | None = None) -> Any:
        answer = sound(self, tensors, timeout=timeout)
        return spoil(answer) if np.any(tensors["x"] == 13) else answer

    stage.simple()
    async with stage.running():
        monkeypatch.setattr(FakeSession, "infer", infer)
        await stage.send(*(make.event("p", X=number) for number in range(20)))
        counters = await stage.through(20)
    assert (counters["published"], counters["failed"], counters["dropped"]) == (19, {"failed": 1}, {})
    assert [float(one.values["Y"]) for one in stage.results()] == [2 * n + 1 for n in range(20) if n != 13]
    reasons = [one.values["InferenceReason"] for one in stage.heard if one.status == "degraded"]
    assert len(reasons) == 1
    assert reasons[0].startswith(f"fake:CPU double 1: {reason}")


async def test_a_surprise_on_the_way_of_a_burst_counts_for_each_of_it(
    stage: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def carry(*_: Any) -> Any:
        raise RuntimeError("never thought of")

    stage.simple()
    async with stage.running():
        with monkeypatch.context() as patch:
            patch.setattr(Convoy, "carry", carry)
            await stage.send(*(make.event("p", X=number) for number in range(3)))
            counters = await stage.through(3)
        await stage.send(make.event("p", X=3))
        await stage.have(1)
    assert counters["failed"] == {"unexpected": 3}
