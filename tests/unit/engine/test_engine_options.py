"""Accelerator options: decoded strictly, every mistake named."""

import pytest

from accelerators.onnxruntime import PLUGIN
from accelerators.onnxruntime.options import Options
from edgex_inference.contracts.errors import AcceleratorUnavailable
from edgex_inference.engine.options import decode, option_problems


def test_camel_case_keys_become_the_typed_value() -> None:
    raw = {"intraOpThreads": 2, "graphOptimization": "basic", "providerOptions": {"a": "b"}}
    wanted = Options(intra_op_threads=2, graph_optimization="basic", provider_options={"a": "b"})
    assert decode(PLUGIN, raw) == wanted
    assert decode(PLUGIN, {}) == Options()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"intraOpThread": 2}, r"unknown option 'intraOpThread' \(did you mean intraOpThreads\?\)"),
        ({"intra_op_threads": 2}, "unknown option 'intra_op_threads'"),
        ({"intraOpThreads": "2"}, "options.intraOpThreads: must be a whole number, not a text"),
        (
            {"graphOptimization": "most"},
            "options.graphOptimization: 'most' is not all, extended, basic or off",
        ),
        (
            {"providerOptions": {"a": 1}},
            "options.providerOptions: must be a text for every key, not a whole number",
        ),
        ({"arena": 1}, "options.arena: must be true or false, not a whole number"),
    ],
)
def test_a_wrong_option_is_named(raw: dict[str, object], message: str) -> None:
    with pytest.raises(AcceleratorUnavailable, match=message):
        decode(PLUGIN, raw)


def test_all_wrong_options_at_once() -> None:
    assert list(option_problems(PLUGIN, {"arena": 1, "spinning": True, "nonsense": 0})) == [
        "arena",
        "nonsense",
    ]
