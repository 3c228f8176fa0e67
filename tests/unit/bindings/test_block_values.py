"""Good inference blocks: values, defaults, origins, and what is not built yet."""

import pytest

from edgex_inference.bindings.block import Scope, read_block
from edgex_inference.config.problems import Document
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
from edgex_inference.contracts.errors import Problem
from edgex_inference.contracts.events import ValueType
from edgex_inference.contracts.models import Normalize, Postprocess, Task

MODEL = "model: {name: m, task: detection}\noutputs: {N: {value: count}}\n"


def read(text: str) -> tuple[Binding, tuple[Problem, ...]]:
    document = Document.parse(text, "p.yaml")
    assert document.problems == ()
    draft = read_block(
        "People", document.root.labelled("profile p.yaml"), Scope(profile="cam", resource="jpeg")
    )
    assert draft.binding is not None, "\n".join(map(str, draft.problems))
    return draft.binding, draft.problems


def test_three_lines_are_a_binding_and_the_rest_is_default() -> None:
    binding, problems = read(
        "model: {name: person-detect, task: detection}\noutputs: {PersonCount: {value: count, type: Uint16}}"
    )
    assert problems == ()
    assert binding == Binding(
        profile="cam",
        resource="jpeg",
        name="People",
        model=ModelChoice(name="person-detect", task=Task.DETECTION),
        outputs=(Output(name="PersonCount", value="count", type=ValueType.UINT16),),
        origins=dict.fromkeys(
            ("model.name", "model.task", "outputs.PersonCount.value", "outputs.PersonCount.type"),
            "profile p.yaml",
        ),
    )
    assert binding.readings == (InputReading(resource="jpeg"),)


def test_every_built_key_arrives() -> None:
    binding, problems = read(
        """
schema: 1
enabled: false
roi: [0.1, 0.2, 0.9, 1]
inputs:
  - {resource: Motor, field: /phase/0/current, scale: 0.001, offset: -40}
  - {resource: Temperature}
normalize: {kind: zscore, mean: [1, 2], std: [3]}
model: {name: m, version: "2026.10", task: detection, labels: [bolt, nut]}
accelerator:
  - openvino:GPU.1
  - {name: onnxruntime, device: CPU, precision: f32, threads: 2, batch: 4, options: {a: {b: [1]}}}
  - auto
fallback: never
postprocess: {scoreThreshold: 0.5, nmsIou: 1, classes: [nut], minArea: 0, top: 3,
  softNms: 0.3, classAgnostic: true, multiLabel: false}
decide: {value: count.nut, raise: 2, clear: 1, raiseAfter: 3, clearAfter: 4}
publish: {when: interval, minInterval: 200ms, keepAlive: 1m, as: device, topicPrefix: a/b, rules: true}
limits: {overload: latest, queue: 2, maxAge: 800ms, maxDelay: 500us, timeout: 2s}
outputs:
  Nuts: {value: count.nut, type: Int64, units: pieces}
  Any: {value: state}
  Boxes: {value: detections}
"""
    )
    assert problems == ()
    assert not binding.enabled
    assert binding.roi == (0.1, 0.2, 0.9, 1.0)
    assert binding.inputs == (
        InputReading(resource="Motor", pointer="/phase/0/current", scale=0.001, offset=-40),
        InputReading(resource="Temperature"),
    )
    assert binding.normalize == Normalize(mean=(1, 2), std=(3,))
    assert binding.model == ModelChoice(
        name="m", version="2026.10", task=Task.DETECTION, labels=("bolt", "nut")
    )
    assert binding.accelerator == (
        AcceleratorChoice(name="openvino", device="GPU.1"),
        AcceleratorChoice(
            name="onnxruntime", device="CPU", precision="f32", threads=2, batch=4, options={"a": {"b": [1]}}
        ),
        AcceleratorChoice(name="auto"),
    )
    assert binding.fallback == "never"
    assert binding.postprocess == Postprocess(
        score_threshold=0.5,
        nms_iou=1.0,
        classes=("nut",),
        min_area=0.0,
        top=3,
        soft_nms=0.3,
        class_agnostic=True,
        multi_label=False,
    )
    assert binding.decide == Decide(
        value="count.nut", raise_at=2.0, clear_below=1.0, raise_after=3, clear_after=4
    )
    assert binding.publish == Publish(
        when="interval", min_interval=0.2, keep_alive=60.0, as_="device", topic_prefix="a/b", rules=True
    )
    assert binding.limits == Limits(overload="latest", queue=2, max_age=0.8, max_delay=0.0005, timeout=2.0)
    assert [output.name for output in binding.outputs] == ["Nuts", "Any", "Boxes"]
    assert binding.outputs[0] == Output(name="Nuts", value="count.nut", type=ValueType.INT64, units="pieces")
    assert binding.unsupported == ()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("onnxruntime", [AcceleratorChoice(name="onnxruntime")]),
        ("openvino:HETERO:GPU,CPU", [AcceleratorChoice(name="openvino", device="HETERO:GPU,CPU")]),
        ("{name: x}", [AcceleratorChoice(name="x")]),
        ("[a, b]", [AcceleratorChoice(name="a"), AcceleratorChoice(name="b")]),
    ],
)
def test_accelerator_in_each_form(written: str, expected: list[AcceleratorChoice]) -> None:
    assert list(read(f"{MODEL}accelerator: {written}")[0].accelerator) == expected


def test_normalize_from_the_model_overrides_nothing() -> None:
    binding, problems = read(f"{MODEL}normalize: {{kind: zscore, from: model}}")
    assert (binding.normalize, problems) == (None, ())


def test_clear_may_equal_raise() -> None:
    decided = read(f"{MODEL}decide: {{raise: 2, clear: 2}}")[0].decide
    assert decided == Decide(raise_at=2.0, clear_below=2.0)


def test_an_anomaly_state_may_take_its_limit_from_the_card() -> None:
    assert read("model: {name: m, task: anomaly}\noutputs: {A: {value: state}}")[1] == ()


def test_a_task_that_is_not_said_leaves_the_values_to_the_model() -> None:
    binding, problems = read("model: {name: m}\noutputs: {A: {value: tensor_7.3, type: Float64}}")
    assert (binding.outputs[0].value, problems) == ("tensor_7.3", ())


@pytest.mark.parametrize(
    ("more", "keys"),
    [
        ("stream: {fps: 5}", ["stream"]),
        ("window: {kind: count, length: 2048, stride: 1s}", ["window"]),
        ("features: [{of: [a], kind: last}]", ["features"]),
        ("track: {}", ["track"]),
        ("zones: {door: {polygon: [0, 0, 1, 0, 1, 1]}}", ["zones"]),
        ("lines: {}", ["lines"]),
        ("snapshot: {when: enter}", ["snapshot"]),
        ("poll: {interval: 5s, mediaProfile: auto}", ["poll.mediaProfile"]),
        ("trigger: {resource: Part}", ["trigger"]),
        ("postprocess: {pattern: 'L[0-9]+'}", ["postprocess.pattern"]),
        (
            "inputs: [{resource: a, align: hold, maxAge: 1s, rate: 5}]",
            ["inputs[0].align", "inputs[0].maxAge", "inputs[0].rate"],
        ),
    ],
)
def test_keys_that_are_not_built_are_named(more: str, keys: list[str]) -> None:
    binding, problems = read(MODEL + more)
    assert list(binding.unsupported) == keys
    assert [problem.path for problem in problems] == [f"People.{key}" for key in keys]
    for problem, key in zip(problems, keys, strict=True):
        assert problem.severity == "warning"
        assert f"{key.rpartition('.')[2]} is not yet supported" in problem.message


@pytest.mark.parametrize("task", ["pose", "ocr", "audio"])
def test_tasks_that_are_not_built_are_named(task: str) -> None:
    binding, problems = read(f"model: {{name: m, task: {task}}}\noutputs: {{A: {{value: latency}}}}")
    assert binding.unsupported == ("model.task",)
    assert f"{task} is not yet supported" in problems[0].message


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("stream: {fps: fast}", "stream.fps"),
        ("window: {length: 0}", "window.length"),
        ("window: {late: 250}", "window.late"),
        ("zones: {door: {polygon: [0, 0, 1, 0]}}", "zones.door.polygon"),
        ("zones: {door: {polygon: [0, 0, 1, 0, 1, 2]}}", "zones.door.polygon[5]"),
        ("trigger: {delay: 40ms}", "trigger.resource"),
        ("features: [{kind: last}]", "features[0].of"),
        ("postprocess: {pattern: '[a'}", "postprocess.pattern"),
    ],
)
def test_keys_that_are_not_built_are_still_checked(more: str, path: str) -> None:
    document = Document.parse(MODEL + more, "p.yaml")
    draft = read_block("People", document.root, Scope(profile="cam", resource="jpeg"))
    assert [p.path for p in draft.problems if p.severity == "error"] == [f"People.{path}"]


CASCADE = """
steps:
  - {id: find, model: {name: a, task: detection}, postprocess: {top: 1}}
  - {id: what, from: find.crops, roi: [0, 0, 1, 0.5], model: {name: b, task: classification}}
decide: {value: what.score, raise: 0.8, unknownBelow: 0.5}
"""


def test_a_cascade_is_checked_by_its_steps() -> None:
    binding, _ = read(
        CASCADE
        + "outputs: {A: {value: what.top3}, B: {value: isUnknown}, C: {value: find.count}, D: {value: state}}"
    )
    assert (binding.model, binding.unsupported) == (None, ("steps",))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("wat.label", "did you mean what?"),
        ("what.count", "no value of step what, task classification"),
        ("label", "names no step: write <step>.<value>"),
        ("what.isUnknown", "no value of step what"),
    ],
)
def test_values_of_a_cascade_name_their_step(value: str, message: str) -> None:
    document = Document.parse(CASCADE + f"outputs: {{A: {{value: {value}}}}}", "p.yaml")
    draft = read_block("X", document.root, Scope(profile="cam", resource="jpeg"))
    assert message in draft.reason


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[]", "must not be empty"),
        ("[{model: {name: a}}]", "steps[0].id: is missing"),
        ("[{id: a}]", "steps[0].model: is missing"),
        ("[{id: a, model: {name: a}}, {id: a, model: {name: b}}]", "two steps have the id 'a'"),
        ("[{id: a, from: b.crops, model: {name: a}}]", "names no earlier step"),
        ("[{id: 'a b', model: {name: a}}]", "must be a letter, then letters"),
    ],
)
def test_steps_that_are_wrong(steps: str, message: str) -> None:
    document = Document.parse(f"steps: {steps}\noutputs: {{L: {{value: latency}}}}", "p.yaml")
    draft = read_block("X", document.root, Scope(profile="cam", resource="jpeg"))
    assert message in "\n".join(str(problem) for problem in draft.problems if problem.severity == "error")
