"""Broken inference blocks: each mistake has its line and column, its path, and words that help."""

from textwrap import indent

import pytest

from edgex_inference.bindings.block import Draft, Scope, read_block
from edgex_inference.config.problems import Document
from edgex_inference.contracts.bindings import Resource

RESOURCES = {
    name: Resource(name=name, value_type=kind)
    for name, kind in {
        "Vibration": "Float32Array",
        "Temperature": "Float32",
        "Motor": "Object",
        "Serial": "String",
        "Words": "StringArray",
        "Rows": "ObjectArray",
        "Picture": "Binary",
    }.items()
}
SCOPE = Scope(profile="spindle", resource="Vibration", resources=RESOURCES)
HEAD = "Health:\n"
OUTPUTS = "outputs: {Score: {value: score}}\n"
MODEL = "model: {name: m, task: anomaly}\n"


def draft(block: str, scope: Scope = SCOPE, name: str = "Health") -> Draft:
    document = Document.parse(HEAD + indent(block, "  "), "p.yaml")
    node = document.root.find("Health")
    assert node is not None
    return read_block(name, node, scope, document.problems)


MISTAKES = [
    # the block as a whole
    ("", (1, 8), "Health", "is empty"),
    ("- a", (2, 3), "Health", "must be a map, not a list"),
    (OUTPUTS, (2, 3), "Health", "needs a model, such as model: {name: person-detect}, or steps"),
    (MODEL, (2, 3), "Health.outputs", "is missing"),
    (MODEL + OUTPUTS + "acelerator: auto", (4, 3), "Health.acelerator", "did you mean accelerator?"),
    (MODEL + OUTPUTS + "on: true", (4, 3), "Health.on", "YAML 1.1 makes it a boolean"),
    (MODEL + OUTPUTS + "schema: 2", (4, 11), "Health.schema", "it reads schema 1"),
    (
        MODEL + OUTPUTS + "schema: '1'",
        (4, 11),
        "Health.schema",
        "must be a number, not a text: remove the quotes",
    ),
    (MODEL + OUTPUTS + "enabled: yes", (4, 12), "Health.enabled", "must be true or false, not yes"),
    (MODEL + OUTPUTS + "enabled:", (4, 11), "Health.enabled", "is empty: give it a value or remove the key"),
    (MODEL + MODEL + OUTPUTS, (3, 3), "Health.model", "written twice, first in line 2"),
    # model
    ("model: person-detect\n" + OUTPUTS, (2, 10), "Health.model", "write {name: person-detect}"),
    ("model: {task: anomaly}\n" + OUTPUTS, (2, 10), "Health.model.name", "is missing"),
    (
        "model: {name: m, version: 1.10}\n" + OUTPUTS,
        (2, 29),
        "Health.model.version",
        'write "1.10" in quotes',
    ),
    ("model: {name: m, version: 3}\n" + OUTPUTS, (2, 29), "Health.model.version", 'write "3" in quotes'),
    (
        "model: {name: ../../etc}\n" + OUTPUTS,
        (2, 17),
        "Health.model.name",
        "cannot be a folder of the model store",
    ),
    ("model: {name: m, task: detect}\n" + OUTPUTS, (2, 26), "Health.model.task", "did you mean detection?"),
    (
        "model: {name: m, labels: /etc/passwd}\n" + OUTPUTS,
        (2, 28),
        "Health.model.labels",
        "beside the model card",
    ),
    (
        "model: {name: m, labels: [a, 1]}\n" + OUTPUTS,
        (2, 32),
        "Health.model.labels[1]",
        'write "1" in quotes',
    ),
    ("model: {name: m, vesion: '1'}\n" + OUTPUTS, (2, 20), "Health.model.vesion", "did you mean version?"),
    # inputs
    (MODEL + OUTPUTS + "inputs: []", (4, 11), "Health.inputs", "must not be empty"),
    (MODEL + OUTPUTS + "inputs: [Vibration]", (4, 12), "Health.inputs[0]", "write {resource: Vibration}"),
    (
        MODEL + OUTPUTS + "inputs:\n  - {resource: Vibratoin}",
        (5, 18),
        "Health.inputs[0].resource",
        "'Vibratoin' is no resource of profile spindle (did you mean Vibration?)",
    ),
    (
        MODEL + OUTPUTS + "inputs: [{resource: Rows}]",
        (4, 23),
        "Health.inputs[0].resource",
        "is an ObjectArray, which cannot become numbers",
    ),
    (
        MODEL + OUTPUTS + "inputs: [{resource: Motor, field: current}]",
        (4, 37),
        "Health.inputs[0].field",
        "no JSON pointer: it starts with /",
    ),
    (
        MODEL + OUTPUTS + "inputs: [{resource: Temperature, field: /x}]",
        (4, 23),
        "Health.inputs[0].resource",
        "field reads into an Object, and resource Temperature is Float32",
    ),
    (MODEL + OUTPUTS + "inputs: [{resource: Motor, scale: 0}]", (4, 37), "Health.inputs[0].scale", "same"),
    (
        MODEL + OUTPUTS + "inputs: [{resource: Motor, offset: .nan}]",
        (4, 38),
        "Health.inputs[0].offset",
        "finite",
    ),
    (MODEL + OUTPUTS + "inputs: [{field: /a}]", (4, 12), "Health.inputs[0].resource", "is missing"),
    # roi, normalize
    (MODEL + OUTPUTS + "roi: [0, 0, 1]", (4, 8), "Health.roi", "must have 4 elements, not 3"),
    (MODEL + OUTPUTS + "roi: [0, 0, 1, 1.5]", (4, 18), "Health.roi[3]", "1.5 is not in 0..1"),
    (MODEL + OUTPUTS + "roi: [0.5, 0, 0.5, 1]", (4, 8), "Health.roi", "is an empty region"),
    (MODEL + OUTPUTS + "normalize: {mean: [1]}", (4, 14), "Health.normalize", "mean and std belong together"),
    (
        MODEL + OUTPUTS + "normalize: {mean: [1], std: [0]}",
        (4, 31),
        "Health.normalize.std",
        "must be above 0",
    ),
    (
        MODEL + OUTPUTS + "normalize: {mean: [1, 2], std: [1, 2, 3]}",
        (4, 34),
        "Health.normalize.std",
        "mean has 2 numbers and std 3",
    ),
    (
        MODEL + OUTPUTS + "normalize: {from: model, mean: [1], std: [1]}",
        (4, 21),
        "Health.normalize.from",
        "exclude each other",
    ),
    (MODEL + OUTPUTS + "normalize: {kind: zcore}", (4, 21), "Health.normalize.kind", "did you mean zscore?"),
    # accelerator
    (MODEL + OUTPUTS + "accelerator: []", (4, 16), "Health.accelerator", "at least one accelerator"),
    (MODEL + OUTPUTS + "accelerator: 'openvino:'", (4, 16), "Health.accelerator", "openvino:GPU"),
    (MODEL + OUTPUTS + "accelerator: [auto, 3]", (4, 23), "Health.accelerator[1]", "must be a text"),
    (MODEL + OUTPUTS + "accelerator: {device: GPU}", (4, 16), "Health.accelerator.name", "is missing"),
    (
        MODEL + OUTPUTS + "accelerator: {name: 'openvino:GPU'}",
        (4, 23),
        "Health.accelerator.name",
        "goes in device",
    ),
    (
        MODEL + OUTPUTS + "accelerator: [{name: x, precision: fp32}]",
        (4, 38),
        "Health.accelerator[0].precision",
        "did you mean f32?",
    ),
    (
        MODEL + OUTPUTS + "accelerator: {name: x, threads: 0}",
        (4, 35),
        "Health.accelerator.threads",
        "in 1..4096",
    ),
    (
        MODEL + OUTPUTS + "accelerator: {name: x, batch: all}",
        (4, 33),
        "Health.accelerator.batch",
        "must be a number",
    ),
    (MODEL + OUTPUTS + "fallback: off", (4, 13), "Health.fallback", "never, warn or allow"),
    # postprocess
    (
        MODEL + OUTPUTS + "postprocess: {scoreTreshold: 0.5}",
        (4, 17),
        "Health.postprocess.scoreTreshold",
        "did you mean scoreThreshold?",
    ),
    (
        MODEL + OUTPUTS + "postprocess: {scoreThreshold: 45}",
        (4, 33),
        "Health.postprocess.scoreThreshold",
        "45 is not in 0..1",
    ),
    (
        MODEL + OUTPUTS + "postprocess: {nmsIou: '0.5'}",
        (4, 25),
        "Health.postprocess.nmsIou",
        "must be a number, not a text: remove the quotes",
    ),
    (
        MODEL + OUTPUTS + "postprocess: {top: 1.5}",
        (4, 22),
        "Health.postprocess.top",
        "must be a whole number",
    ),
    (MODEL + OUTPUTS + "postprocess: {top: true}", (4, 22), "Health.postprocess.top", "not a boolean"),
    (
        MODEL + OUTPUTS + "postprocess: {classes: []}",
        (4, 26),
        "Health.postprocess.classes",
        "must not be empty",
    ),
    # decide
    (
        MODEL + OUTPUTS + "decide: {raise: 0.5, clear: 0.6}",
        (4, 31),
        "Health.decide.clear",
        "clear 0.6 must not be above raise 0.5",
    ),
    (
        MODEL + OUTPUTS + "decide: {raise: 1, raiseAfter: 0}",
        (4, 34),
        "Health.decide.raiseAfter",
        "is not in 1..",
    ),
    (
        MODEL + OUTPUTS + "decide: {value: count, raise: 1}",
        (4, 19),
        "Health.decide.value",
        "no value of task anomaly",
    ),
    (
        MODEL + OUTPUTS + "decide: {value: state}",
        (4, 19),
        "Health.decide.value",
        "no number that can be compared",
    ),
    # publish, limits
    (MODEL + OUTPUTS + "publish: {when: allways}", (4, 19), "Health.publish.when", "did you mean always?"),
    (MODEL + OUTPUTS + "publish: {when: interval}", (4, 19), "Health.publish.when", "needs minInterval"),
    (
        MODEL + OUTPUTS + "publish: {keepAlive: 60}",
        (4, 24),
        "Health.publish.keepAlive",
        "the unit is missing",
    ),
    (MODEL + OUTPUTS + "publish: {keepAlive: 0s}", (4, 24), "Health.publish.keepAlive", "must be above 0"),
    (MODEL + OUTPUTS + "publish: {topicPrefix: 'a/#'}", (4, 26), "Health.publish.topicPrefix", "is no topic"),
    (
        MODEL + OUTPUTS + "limits: {maxAge: 1m30s}",
        (4, 20),
        "Health.limits.maxAge",
        "no duration such as 800ms",
    ),
    (MODEL + OUTPUTS + "limits: {queue: 0}", (4, 19), "Health.limits.queue", "is not in 1.."),
    (MODEL + OUTPUTS + "limits: {timeout: 0s}", (4, 21), "Health.limits.timeout", "must be above 0"),
    (MODEL + OUTPUTS + "limits: {overload: newest}", (4, 22), "Health.limits.overload", "latest or all"),
    # outputs
    (MODEL + "outputs: {}", (3, 12), "Health.outputs", "must not be empty"),
    (MODEL + "outputs: {A: score}", (3, 16), "Health.outputs.A", "write {value: score}"),
    (MODEL + "outputs: {A: {type: Float32}}", (3, 16), "Health.outputs.A.value", "is missing"),
    (
        MODEL + "outputs: {A: {value: score, type: float32}}",
        (3, 37),
        "Health.outputs.A.type",
        "'float32' is no EdgeX value type (did you mean Float32?)",
    ),
    (
        MODEL + "outputs: {A: {value: score, type: Binary}}",
        (3, 37),
        "Health.outputs.A.type",
        "never published",
    ),
    (
        MODEL + "outputs: {A: {value: score, type: Uint8}}",
        (3, 37),
        "Health.outputs.A.type",
        "Float32 or Float64",
    ),
    (MODEL + "outputs: {A: {value: scor}}", (3, 24), "Health.outputs.A.value", "did you mean score?"),
    (MODEL + "outputs: {A: {value: count}}", (3, 24), "Health.outputs.A.value", "no value of task anomaly"),
    (
        MODEL + "outputs: {InferenceStatus: {value: score}}",
        (3, 30),
        "Health.outputs.InferenceStatus",
        "itself",
    ),
    (
        MODEL + "outputs: {A: {value: completeness}}",
        (3, 24),
        "Health.outputs.A.value",
        "needs the key window",
    ),
    (
        "model: {name: m, task: classification}\noutputs: {A: {value: state}}",
        (3, 24),
        "Health.outputs.A.value",
        "state needs decide: {raise: <limit>}",
    ),
    (
        "model: {name: m, task: classification}\noutputs: {A: {value: isUnknown}}",
        (3, 24),
        "Health.outputs.A.value",
        "needs the key decide.unknownBelow",
    ),
    (
        "model: {name: m, task: detection, labels: [bolt, nut]}\noutputs: {A: {value: count.bold}}",
        (3, 24),
        "Health.outputs.A.value",
        "did you mean bolt?",
    ),
    (
        "model: {name: m, task: detection, labels: [bolt]}\npostprocess: {classes: [nut]}\n"
        "outputs: {A: {value: count}}",
        (3, 27),
        "Health.postprocess.classes[0]",
        "is not one of the labels",
    ),
]


@pytest.mark.parametrize(("block", "place", "path", "message"), MISTAKES)
def test_a_mistake_has_place_path_and_help(
    block: str, place: tuple[int, int], path: str, message: str
) -> None:
    result = draft(block)
    errors = [problem for problem in result.problems if problem.severity == "error"]
    found = [(problem.line, problem.column, problem.path) for problem in errors]
    assert (*place, path) in found, "\n".join(map(str, errors))
    assert message in errors[found.index((*place, path))].message
    assert len(errors) == 1, "\n".join(map(str, errors))
    assert result.binding is None
    assert message in result.reason


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ("modle: {name: m}\noutputs: {A: {value: score}}", "Health.modle"),
        ("model: {nam: m}\noutputs: {A: {value: score}}", "Health.model.nam"),
        ("model: {name: m}\noutputs: {A: {valeu: score}}", "Health.outputs.A.valeu"),
        ("model: {name: m}\noutput: {A: {value: score}}", "Health.output"),
        (
            "model: {name: m, task: detection}\ndecide: {rase: 3}\noutputs: {S: {value: state}}",
            "Health.decide.rase",
        ),
        (
            "model: {name: m, task: detection}\ndecidee: {raise: 3}\noutputs: {S: {value: state}}",
            "Health.decidee",
        ),
        (
            "model: {name: m}\npublish: {when: interval, minIntervall: 3s}\noutputs: {A: {value: score}}",
            "Health.publish.minIntervall",
        ),
        ("model: {name: m}\nnormalize: {meen: [1], std: [1]}\noutputs: {A: {value: score}}", "Health.normalize.meen"),
        ("model: {name: m, task: detection}\noutputs: {A: {value: completeness}}", "Health.outputs.A.value"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem(block: str, path: str) -> None:
    assert [problem.path for problem in draft(block).problems] == [path]


def test_all_mistakes_are_reported_at_once() -> None:
    result = draft(
        "modell: 1\nroi: [2, 0, 1, 1]\noutputs: {A: {value: score, tipe: x}}\nlimits: {queue: many}\n"
    )
    assert {problem.path for problem in result.problems} == {
        "Health.modell",
        "Health.roi[0]",
        "Health.outputs.A.tipe",
        "Health.limits.queue",
    }
    assert "(and 3 more)" in result.reason


def test_a_block_cannot_sit_alone_on_what_is_no_tensor() -> None:
    result = draft(MODEL + OUTPUTS, Scope(profile="spindle", resource="Rows", resources=RESOURCES))
    assert "resource Rows is an ObjectArray" in result.reason


@pytest.mark.parametrize("kind", ["Serial", "Words"])
def test_texts_are_for_the_model_to_take_or_refuse(kind: str) -> None:
    assert draft(MODEL + OUTPUTS, Scope(profile="spindle", resource=kind, resources=RESOURCES)).problems == ()


def test_warnings_leave_the_binding_usable() -> None:
    result = draft(MODEL + "outputs: {a.b: {value: score}}", name="my binding")
    assert result.binding is not None
    assert {problem.severity for problem in result.problems} == {"warning"}
    assert [problem.path for problem in result.problems] == [
        '["my binding"]',
        '["my binding"].outputs["a.b"]',
    ]
    objects = draft(MODEL + OUTPUTS + "inputs: [{resource: Motor}]")
    assert objects.binding is not None
    assert "inputs[].field" in objects.problems[0].message


def test_a_binding_needs_a_name() -> None:
    assert "needs a name" in draft(MODEL + OUTPUTS, name=" ").reason


def test_without_the_profile_names_cannot_be_checked() -> None:
    unknown = Scope(profile="spindle", resource="Whatever")
    assert draft(MODEL + OUTPUTS + "inputs: [{resource: Unheard}]", unknown).problems == ()
    homeless = Scope(profile="spindle", resource="")
    assert "names no resource to read" in draft(MODEL + OUTPUTS, homeless).reason
