"""Nodes that run elsewhere than on the device that was asked for: told, counted, and refused where only it will do."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from edgex_inference.cli.models.checking import fails, in_order
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.pipeline.planning.choosing.finding import Finding, as_json, placed, table
from edgex_inference.testing.fake_accelerator import FAKE


@pytest.mark.parametrize("left", [8, 58], ids=["some", "all"])
@pytest.mark.parametrize("fallback", ["never", "warn", "allow"])
async def test_only_never_keeps_to_the_device(fallback: str, left: int, stage: Any, make: Any) -> None:
    strings = stage.simple(accelerator=["fake:NPU"], fallback=fallback)
    strings.left = left
    async with stage.running() as service:
        (run,) = service.router.runs
        if fallback == "never":
            assert run.status == "inactive"
            where = "50 of 58 nodes on NPU, 8 on CPU" if left == 8 else "all 58 nodes on CPU"
            assert (
                f"fake:NPU would run it so: {where}; `never` allows no other device: say warn" in run.reason
            )
            return
        assert run.status == "running"
        await stage.send(make.event("p", X=1))
        await stage.have(1)


async def test_never_is_content_with_the_device_itself(stage: Any) -> None:
    stage.simple(accelerator=["fake:NPU"], fallback="never")
    async with stage.running() as service:
        assert [run.status for run in service.router.runs] == ["running"]


@pytest.mark.parametrize(
    ("device", "placement", "elsewhere"),
    [
        ("CPU", {"CPU": 7}, 0),
        ("NPU", {"NPU": 7}, 0),
        ("npu", {"NPU": 7}, 0),
        ("NPU", {"NPU": 5, "CPU": 2}, 2),
        ("NPU", {"CPU": 7}, 7),
        ("NPU", {"NPU+CPU": 7}, 7),
        ("CPU", {"NPU": 7}, 7),
        ("NPU.1", {"NPU.1": 7}, 0),
        ("AUTO", {"CPU": 7}, 0),
        ("NPU", {"somewhere": 7}, 0),
    ],
)
def test_nodes_elsewhere(device: str, placement: dict[str, int], elsewhere: int) -> None:
    value = "edgex_inference.testing.fake_accelerator:PLUGIN"
    catalog = Catalog([EntryPoint(name="fake", value=value, group=GROUP)])
    (candidate,) = catalog.candidates(AcceleratorChoice(name="fake", device=device), [FAKE])
    assert catalog.elsewhere(candidate, placement) == elsewhere


@pytest.mark.parametrize(
    ("placement", "words"),
    [
        ({}, "-"),
        ({"GPU": 1}, "all on GPU"),
        ({"CPU": 58}, "all 58 nodes on CPU"),
        ({"CPU": 8, "TPU": 50}, "50 of 58 nodes on TPU, 8 on CPU"),
        ({"GPU+CPU": 58}, "all 58 nodes on GPU and CPU"),
    ],
)
def test_placement_in_words(placement: dict[str, int], words: str) -> None:
    assert placed(placement) == words


GOOD = Finding(
    accelerator="a:CPU",
    difference=1e-6,
    p50=0.001,
    throughput=1000.0,
    batch="any number",
    precision="f32",
    placement={"CPU": 58},
)
STRAY = Finding(
    accelerator="b:TPU",
    difference=1e-6,
    p50=0.0001,
    throughput=9000.0,
    batch="one by one",
    precision="int8",
    placement={"TPU": 50, "CPU": 8},
    elsewhere=8,
)
AWAY = Finding(accelerator="c", reason="accelerator 'c': c is missing: pip install c", away=True)
WRONG = Finding(
    accelerator="d:CPU", reason="score is 1", wrong=True, batch="any number", difference=float("inf")
)


def test_the_table() -> None:
    assert table([GOOD, STRAY, AWAY]).splitlines() == [
        "ACCELERATOR  ANSWERS  DIFFERENCE  P50      THROUGHPUT  BATCH       PRECISION  PLACEMENT",
        "a:CPU        right    1.0e-06     1.00 ms  1000/s      any number  f32        all 58 nodes on CPU",
        "b:TPU        right    1.0e-06     0.10 ms  9000/s      one by one  int8       "
        "50 of 58 nodes on TPU, 8 on CPU",
        "  8 of 58 nodes are not on TPU, the device asked for: a binding with `fallback: never` refuses that",
        "not run:",
        "  c: c is missing: pip install c",
    ]
    assert table([AWAY]) == "not run:\n  c: c is missing: pip install c"


def test_the_best_come_first_and_those_of_auto_before_them() -> None:
    assert [one.accelerator for one in in_order([AWAY, WRONG, GOOD, STRAY], ["a:CPU", "d:CPU"])] == [
        *("a:CPU", "d:CPU"),
        *("b:TPU", "c"),
    ]


@pytest.mark.parametrize(
    ("found", "named", "code"),
    [
        ([GOOD, AWAY], False, False),
        ([GOOD, STRAY], False, False),
        ([GOOD, STRAY], True, True),
        ([GOOD, AWAY], True, True),
        ([GOOD, WRONG], False, True),
        ([AWAY], False, True),
        ([GOOD], True, False),
    ],
)
def test_when_a_check_fails(found: list[Finding], named: bool, code: bool) -> None:
    assert fails(found, named=named) is code


def test_for_programs() -> None:
    assert as_json(STRAY)["placement"] == {"TPU": 50, "CPU": 8}
    assert as_json(GOOD)["answers"] == "right"
    assert as_json(WRONG)["difference"] is None, "JSON has no infinity"
