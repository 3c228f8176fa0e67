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
        ({"intraOpThreads": "2"}, "option intraOpThreads: Expected `int . null`, got `str`"),
        ({"graphOptimization": "most"}, "option graphOptimization: Invalid enum value 'most'"),
        ({"providerOptions": {"a": 1}}, "option providerOptions: Expected `str`, got `int`"),
        ({"arena": 1}, "option arena"),
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
