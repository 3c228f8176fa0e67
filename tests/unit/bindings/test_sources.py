"""`poll` and `trigger` of a block: values, and mistakes with their place."""

from textwrap import indent

import pytest

from edgex_inference.bindings.block import Draft, Scope, read_block
from edgex_inference.config.problems import Document
from edgex_inference.contracts.bindings import Poll, Resource, Trigger

RESOURCES = {
    name: Resource(name=name, value_type=kind) for name, kind in (("Frame", "Binary"), ("Motion", "Bool"))
}
BLOCK = "model: {name: m, task: detection}\noutputs: {N: {value: count}}\n"


def draft(more: str) -> Draft:
    document = Document.parse("Look:\n" + indent(BLOCK + more, "  "), "p.yaml")
    node = document.root.find("Look")
    assert node is not None
    return read_block("Look", node, Scope(profile="cam", resource="Frame", resources=RESOURCES))


@pytest.mark.parametrize(
    ("text", "poll", "trigger"),
    [
        ("poll: {interval: 500ms}", Poll(interval=0.5), None),
        ("poll: {when: interval, interval: 1m}", Poll(interval=60.0), None),
        (
            "poll: {interval: 1s, command: All, query: {a: 'b'}}",
            Poll(interval=1.0, command="All", query={"a": "b"}),
            None,
        ),
        ("poll: {when: trigger}\ntrigger: {resource: Motion}", Poll(), Trigger(resource="Motion")),
        (
            "poll: {}\ntrigger: {device: gpio, resource: Part, edge: falling, delay: 40ms}",
            Poll(),
            Trigger(resource="Part", device="gpio", edge="falling", delay=0.04),
        ),
    ],
)
def test_values(text: str, poll: Poll, trigger: Trigger | None) -> None:
    found = draft(text)
    assert found.problems == ()
    assert found.binding is not None
    assert (found.binding.poll, found.binding.trigger) == (poll, trigger)
    assert found.binding.unsupported == ()


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("poll: {}", "poll", "needs an interval, such as interval: 1s, or when: trigger"),
        ("poll: {interval: 1ms}", "poll.interval", "must be at least 10ms"),
        ("poll: {interval: 5}", "poll.interval", "the unit is missing"),
        ("poll: {when: triger}", "poll.when", "did you mean trigger?"),
        ("poll: {when: trigger}", "", "poll.when: trigger needs a trigger"),
        (
            "poll: {when: trigger, interval: 1s}\ntrigger: {resource: Motion}",
            "poll.interval",
            "takes no interval",
        ),
        (
            "poll: {interval: 1s, query: {ds-pushevent: 'true'}}",
            "poll.query.ds-pushevent",
            "is set by the service",
        ),
        ("poll: {interval: 1s, intervall: 2s}", "poll.intervall", "did you mean interval?"),
        ("poll: {}\ntrigger: {edge: rising}", "trigger.resource", "is missing"),
        ("poll: {}\ntrigger: {resource: Motoin}", "trigger.resource", "did you mean Motion?"),
        ("poll: {}\ntrigger: {resource: Motion, edge: up}", "trigger.edge", "'up'"),
    ],
)
def test_mistakes(text: str, path: str, words: str) -> None:
    found = draft(text)
    assert found.binding is None
    errors = [problem for problem in found.problems if problem.severity == "error"]
    assert any(
        problem.path == f"Look.{path}".rstrip(".") and words in problem.message for problem in errors
    ), errors
    assert all(problem.line for problem in errors)


def test_a_trigger_without_a_poll_is_not_built() -> None:
    found = draft("trigger: {resource: Motion}")
    assert found.binding is not None
    assert found.binding.unsupported == ("trigger",)
