"""pipeline.press: a burst printed at once says what its results say one by one; what is unusual is left alone."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgex_inference.contracts.bindings import Binding, Publish
from edgex_inference.contracts.events import Event, ValueType
from edgex_inference.contracts.messages import Message
from edgex_inference.contracts.results import Anomaly, Raw, Result
from edgex_inference.edgex import envelope, events
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.ids import is_id, new_id
from edgex_inference.edgex.values import format_value
from edgex_inference.pipeline.emission import Emission, Outlet
from edgex_inference.pipeline.intake import Item, Receipt
from edgex_inference.pipeline.measure import Measures
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.publishing.outputs import Column, milliseconds, milliseconds_text
from edgex_inference.pipeline.publishing.policy import Policy
from edgex_inference.postprocess.decide import Resolved

T = ValueType
COLUMNS = (
    Column(name="Score", value="score", type=T.FLOAT32, units="%"),
    Column(name="Wide", value="score", type=T.FLOAT64, units=""),
    Column(name="Shares", value="contributions", type=T.FLOAT32_ARRAY, units=""),
    Column(name="Bad", value="state", type=T.BOOL, units=""),
    Column(name="Took", value="latency", type=T.FLOAT32, units="ms"),
    Column(name="Model", value="model", type=T.STRING, units=""),
)
DECIDE = Resolved(value="score", raise_at=1.0, clear_below=0.5, raise_after=2)


class Rig:
    """An emission of a plan with these columns, and the time at which everything happens."""

    def __init__(self, columns: Sequence[Column] = COLUMNS, dialect: Dialect | None = None, **publish: Any):
        self.measures = Measures()
        said = Publish(**publish)
        plan: Any = SimpleNamespace(
            binding=Binding(profile="pump", resource="X", name="B", model=None, outputs=(), publish=said),
            card=SimpleNamespace(name='the "model"'),
            accelerator="fake:CPU",
            standing="fake:CPU answers",
            columns=tuple(columns),
            policy=Policy.of(said, {one.name: one.type for one in columns}),
            decide=DECIDE,
            tags={"model": "m"},
        )
        sender = Sender(dialect=dialect or Dialect(major="4"))
        outlet = Outlet(publish=self.take, sender=sender, clock=lambda: 100.0, wall_clock=lambda: 5)
        self.emission = Emission(plan, outlet, self.measures)

    async def take(self, messages: Sequence[Message]) -> None:
        """Nobody listens."""

    def one_by_one(self, items: Sequence[Item], results: Sequence[Result]) -> list[list[Any]]:
        parcels = [self.emission.result(item, 7, result) for item, result in zip(items, results, strict=True)]
        return [bare(parcel.result) for parcel in parcels]

    def at_once(self, items: Sequence[Item], results: Sequence[Result]) -> list[list[Any]] | None:
        parcels = self.emission.printed(items, [7] * len(items), results, spent=0.0)
        return None if parcels is None else [bare(parcel.result) for parcel in parcels]


def bare(messages: Sequence[Message]) -> list[Any]:
    """Topic and content without the ids, each of which has to be one."""
    found = []
    for message in messages:
        event = events.read(envelope.read(message))
        assert event is not None
        assert is_id(event.id)
        assert all(is_id(reading.id) or not reading.id for reading in event.readings), (
            "optimised ones have none"
        )
        readings = tuple(msgspec.structs.replace(reading, id="") for reading in event.readings)
        found.append((message.topic, msgspec.structs.replace(event, id="", readings=readings)))
    return found


def item(device: str = "p", *, arrived: float = 99.5, trace: str = "trace", origin: int = 9) -> Item:
    event = Event(
        api_version="v3", id=new_id(), device_name=device, profile_name="pump", origin=origin, readings=()
    )
    return Item(event, trace, arrived, Receipt(lambda: None))


def anomaly(score: float, shares: Sequence[float] | None = (0.25, 0.75)) -> Anomaly:
    return Anomaly(score=score, contributions=None if shares is None else np.array(shares, np.float32))


def settled(rig: Rig, *devices: str) -> None:
    """The devices' status has been said."""
    for device in devices:
        rig.emission.result(item(device), 7, anomaly(0.0))


@pytest.mark.parametrize("rules", [False, True])
@pytest.mark.parametrize(
    "dialect", [Dialect(major="4"), Dialect(major="3"), Dialect(major="4", optimize=True)]
)
@settings(deadline=None)
@given(
    burst=st.lists(
        st.tuples(
            st.sampled_from(["p", 'q"é']),
            st.floats(-(2.0**127), 2.0**127, width=32),
            st.floats(0, 99.9),
            st.sampled_from(["trace", 'a"b', "ü", ""]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_burst_at_once_says_what_one_after_the_other_does(
    rules: bool, dialect: Dialect, burst: list[tuple[str, float, float, str]]
) -> None:
    one, other = Rig(dialect=dialect, rules=rules), Rig(dialect=dialect, rules=rules)
    for rig in (one, other):
        settled(rig, "p", 'q"é')
    items = [item(device, arrived=arrived, trace=trace) for device, _, arrived, trace in burst]
    results = [anomaly(score) for _, score, _, _ in burst]
    assert other.at_once(items, results) == one.one_by_one(items, results)
    timed = [rig.measures.stages["postprocess"].summary().count for rig in (one, other)]
    assert timed[0] == timed[1]


@pytest.mark.parametrize(
    ("items", "results"),
    [
        ([item("new")], [anomaly(1)]),
        ([item(), item()], [anomaly(1), anomaly(float("nan"))]),
        ([item(), item()], [anomaly(1), anomaly(1e39)]),
        ([item(), item()], [anomaly(1), anomaly(1, None)]),
        ([item(), item()], [anomaly(1), anomaly(1, ())]),
        ([item(), item()], [anomaly(1), Raw(tensors={})]),
    ],
    ids=["a new device", "nan", "out of range", "no value", "empty", "two kinds"],
)
def test_what_is_unusual_is_left_alone(items: list[Item], results: list[Any]) -> None:
    rig = Rig()
    settled(rig, "p")
    rig.emission.printed([item()], [7], [anomaly(2)], spent=0.0)  # one more would raise the state
    assert rig.at_once(items, results) is None
    (((_, event),),) = rig.one_by_one([item()], [anomaly(2)])
    assert [one.value for one in event.readings if one.resource_name == "Bad"] == ["true"]


@pytest.mark.parametrize(
    ("columns", "publish"),
    [
        (COLUMNS, {"when": "change"}),
        (COLUMNS, {"keep_alive": 3.0}),
        (COLUMNS, {"min_interval": 3.0}),
        ([Column(name="O", value="contributions", type=T.OBJECT, units="")], {}),
    ],
    ids=["change", "keepAlive", "minInterval", "Object"],
)
async def test_policies_and_objects_are_not_printed(columns: Sequence[Column], publish: Any) -> None:
    rig = Rig(columns, **publish)
    settled(rig, "p")
    assert rig.at_once([item()], [anomaly(1)]) is None
    rig.emission.close()


@settings(deadline=None)
@given(st.just(0.0) | st.floats(1e-12, 1e6))
def test_a_latency_has_four_digits_whichever_way_it_is_written(latency: float) -> None:
    for kind in (T.FLOAT32, T.FLOAT64):
        assert milliseconds_text(latency) == format_value(milliseconds(latency), kind)
