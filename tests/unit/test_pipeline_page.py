"""pipeline.page and pipeline.measure: what the bindings page shows."""

from edgex_inference.contracts.bindings import (
    AcceleratorChoice,
    Binding,
    Decide,
    InputReading,
    Limits,
    ModelChoice,
    Output,
    Publish,
)
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Task
from edgex_inference.pipeline.effective import device_of, effective
from edgex_inference.pipeline.measure import STAGES, Measures


def test_settings_are_spelled_as_in_a_block() -> None:
    binding = Binding(
        profile="pump",
        resource="X",
        name="B",
        model=ModelChoice(name="m", task=Task.ANOMALY, labels=("a",)),
        outputs=(Output(name="S", value="state", type=ValueType.BOOL),),
        inputs=(InputReading(resource="X", pointer="/a"),),
        roi=(0.0, 0.0, 1.0, 0.5),
        accelerator=(AcceleratorChoice(name="fake", device="NPU", options={"gain": 2}),),
        decide=Decide(raise_at=3.0, clear_below=0.0, unknown_below=0.5),
        publish=Publish(as_="device", min_interval=0.5, rules=True),
        limits=Limits(overload="latest", max_age=0.8),
        origins={"model.name": "profile"},
        unsupported=("window",),
    )
    shown, origins = effective(binding, None)
    assert (origins["model.name"], origins["limits.timeout"]) == ("profile", "default")
    assert device_of(binding) is None
    assert shown["model"] == {"name": "m", "task": "anomaly", "labels": ["a"]}
    assert shown["inputs"] == [{"resource": "X", "field": "/a", "scale": 1.0, "offset": 0.0}]
    assert shown["decide"] == {
        "raise": 3.0,
        "clear": 0.0,
        "raiseAfter": 1,
        "clearAfter": 1,
        "unknownBelow": 0.5,
    }
    assert shown["publish"] == {"when": "always", "minInterval": "500ms", "as": "device", "rules": True}
    assert shown["limits"] == {"overload": "latest", "maxAge": "800ms", "maxDelay": "0s", "timeout": "5s"}
    assert shown["accelerator"] == [{"name": "fake", "device": "NPU", "options": {"gain": 2}}]
    assert shown["outputs"] == {"S": {"value": "state", "type": "Bool"}}
    assert shown["roi"] == [0.0, 0.0, 1.0, 0.5]
    assert shown["enabled"] is True
    assert not {"profile", "name", "resource", "origins", "unsupported"} & shown.keys()


def test_counters_and_latencies() -> None:
    measures = Measures()
    measures.events.add("received", 3)
    measures.dropped.add("nan")
    measures.failed.add("deadline")
    for _ in range(100):
        measures.stages["infer"].add(0.002)
    assert measures.counters() == {
        "received": 3,
        "published": 0,
        "suppressed": 0,
        "repeated": 0,
        "unfit": 0,
        "dropped": {"nan": 1},
        "failed": {"deadline": 1},
    }
    shown = measures.latencies()
    assert tuple(shown) == STAGES
    assert shown["infer"]["count"] == 100
    assert 1.7 <= shown["infer"]["p50"] <= shown["infer"]["p99"] <= 2.0
    assert shown["queue"] == {"count": 0, "mean": 0.0, "p50": 0.0, "p95": 0.0, "p99": 0.0}
