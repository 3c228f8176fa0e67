"""check_bindings: what only card, model and accelerator can tell is told at its line, all of it at once."""

import json
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgex_inference.bindings.book import load
from edgex_inference.contracts.errors import Problem, ProfileError, SetupError
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.engine.fleet import Fleet
from edgex_inference.engine.probe import Found
from edgex_inference.engine.store import Store
from edgex_inference.pipeline.planning.check import check_bindings
from edgex_inference.pipeline.planning.plan import Engine, draw, release
from edgex_inference.testing.fake_accelerator import DEVICES, write_model

PROFILE = """\
name: p
deviceResources:
  - {{name: Other, properties: {{valueType: Float32}}}}
  - name: Arr
    properties:
      {resource}
      optional:
        inference:
{blocks}
"""
FIRST = 10
"""The line of the first key of the block B."""

CLASSES = {"task": "classification", "decoder": "logits", "labels": ["a", "b", "c", "d"]}
LABEL = "outputs: {L: {value: label}}"


class Desk:
    """A profiles folder and a model store with the model `m`, and what is found in them."""

    def __init__(self, folder: Path) -> None:
        self.profiles, self.models = folder / "profiles", folder / "models"
        self.profiles.mkdir()
        catalog = Catalog(
            [EntryPoint(name="fake", value="edgex_inference.testing.fake_accelerator:PLUGIN", group=GROUP)],
            probe=lambda _value, _deadline: Found(devices=DEVICES),
        )
        self.engine = Engine(catalog=catalog, store=Store([self.models]), fleet=Fleet())

    @property
    def card(self) -> Path:
        return self.models / "m" / "1" / "model.yaml"

    def model(self, card: dict[str, Any] | str, name: str = "m", **keys: object) -> None:
        write_model(self.models / name / "1" / "model.fake", **keys)
        said = {
            "schema": 1,
            "name": name,
            "version": "1",
            "files": [{"path": "model.fake", "format": "fake"}],
        }
        text = card if isinstance(card, str) else "".join(
            f"{key}: {json.dumps(value)}\n" for key, value in {**said, **card}.items())  # fmt: skip
        (self.models / name / "1" / "model.yaml").write_text(text)

    def profile(
        self, *lines: str, resource: str = "valueType: Float32Array", name: str = "B", more: str = ""
    ) -> None:
        block = "".join(f"            {line}\n" for line in lines)
        text = PROFILE.format(resource=resource, blocks=f"          {name}:\n{block}{more}")
        (self.profiles / "p.yaml").write_text(text)

    async def found(self) -> Sequence[Problem]:
        book = load(self.profiles)
        assert [problem for problem in book.problems if problem.severity == "error"] == []
        return await check_bindings(book, self.engine)

    async def told(self) -> list[tuple[int, str, str]]:
        """Line in the profile (of a card: its negative), path and message of every error."""
        return [
            (problem.line if problem.file.endswith("p.yaml") else -problem.line, problem.path, problem.message)
            for problem in await self.found() if problem.severity == "error"
        ]  # fmt: skip


@pytest.fixture
async def desk(tmp_path: Path) -> Any:
    made = Desk(tmp_path)
    yield made
    await made.engine.fleet.close()


M = "model: {name: m}"


@pytest.mark.parametrize(
    ("card", "lines", "path", "message"),
    [
        (CLASSES, [M, "outputs: {L: {value: lable}}"], "B.outputs.L.value", "did you mean label?"),
        (CLASSES, [M, "outputs: {L: {value: label, type: Int16}}"], "B.outputs.L.type", "it takes String"),
        (CLASSES, [M, "outputs: {T: {value: top0}}"], "B.outputs.T.value", "is no value of task classification"),
        (CLASSES, [M, "outputs: {S: {value: state}}"], "B.outputs.S.value", "state needs decide: {raise: <limit>}"),
        (CLASSES, ["model: {name: m, labels: [x, y]}", LABEL], "B.model.labels", "2 labels, but the model has 4"),
        (CLASSES, ["model: {name: m, labels: no.txt}", LABEL], "B.model.labels", "'no.txt' is neither a built-in"),
        (CLASSES, [M, LABEL, "decide: {value: scor, raise: 1}"], "B.decide.value", "did you mean score?"),
        (CLASSES, [M, LABEL, "postprocess: {nmsIou: 0.5}"], "B.postprocess.nmsIou", "does nothing for task"),
        (CLASSES, [M, LABEL, "normalize: {mean: [1, 2], std: [1, 2]}"], "B.normalize", "do not fit a tensor"),
        (CLASSES, [M, LABEL, "roi: [0, 0, 1, 0.5]"], "B.roi", "the model takes no picture: remove it"),
        (CLASSES, [M, LABEL, "accelerator: {name: fake, options: {gian: 2}}"], "B.accelerator.options.gian",
         "did you mean gain?"),
        (CLASSES, [M, LABEL, "accelerator: [{name: fake, options: {gain: many}}]"],
         "B.accelerator[0].options.gain", "must be a number, not a text"),
        (CLASSES, [M, LABEL, "accelerator: {name: auto, options: {workMode: fsat}}"],
         "B.accelerator.options.workMode", "'fsat' is not fast or exact (did you mean fast?)"),
        (CLASSES, [M, LABEL, "accelerator: [nobody, fake]", "postprocess: {minArea: 0.5}"],
         "B.accelerator[0]", "no such accelerator"),
        ({"task": "regression"}, [M, "outputs: {V: {value: value.7}}"], "B.outputs.V.value", "gives 4 numbers"),
        ({"task": "raw"}, [M, "outputs: {V: {value: z}}"], "B.outputs.V.value", "there are y"),
        ({"task": "raw"}, [M, "outputs: {V: {value: y.9}}"], "B.outputs.V.value", "y has 4 numbers: y.0 to y.3"),
        ({"task": "raw"}, [M, "outputs: {V: {value: y, type: Float32}}"], "B.outputs.V.type", "cannot carry y"),
        ({"task": "raw"}, [M, "outputs: {V: {value: y, type: Int8Array}}"], "B.outputs.V.type", "Float32Array"),
        ({"task": "raw"}, [M, "outputs: {V: {value: y.0, type: Float32Array}}"], "B.outputs.V.type", "Float32 or"),
        ({"task": "raw"}, [M, "outputs: {V: {value: y}}", "decide: {value: y, raise: 1}"], "B.decide.value",
         "'y' is no number"),
    ],
)  # fmt: skip
async def test_a_mistake_is_told_at_its_key(
    desk: Desk, card: dict[str, Any], lines: list[str], path: str, message: str
) -> None:
    desk.model(card)
    desk.profile(*lines)
    told = await desk.told()
    assert path in [one for _, one, _ in told]
    line, _, said = next(one for one in told if one[1] == path)
    key = path.split(".")[1].partition("[")[0]
    assert line == FIRST + next(index for index, text in enumerate(lines) if text.startswith(key))
    assert message in said
    if "nobody" not in lines[-2]:
        assert len(told) == 1


async def test_all_mistakes_of_a_binding_at_once(desk: Desk) -> None:
    desk.model({"task": "regression"})
    desk.profile(
        "model: {name: m, task: anomaly}",
        "outputs: {A: {value: nosuch}, B: {value: value, type: Bool}, C: {value: alsonot}}",
        "postprocess: {scoreThreshold: 0.5}",
        "decide: {value: zz, raise: 1}",
    )
    book = load(desk.profiles)
    found = [one.path for one in (*book.problems, *await check_bindings(book, desk.engine))]
    assert {"B.model.task", "B.outputs.A.value", "B.outputs.B.type", "B.outputs.C.value",
            "B.postprocess.scoreThreshold", "B.decide.value"} <= set(found)  # fmt: skip


async def test_what_the_loaded_model_tells_comes_at_once_too(desk: Desk) -> None:
    desk.model({"task": "raw"})
    desk.profile(
        M, "outputs: {V: {value: z}, W: {value: y.9}}", "roi: [0, 0, 1, 1]", "decide: {value: q, raise: 1}"
    )
    assert [path for _, path, _ in await desk.told()] == [
        "B.roi", "B.outputs.V.value", "B.outputs.W.value", "B.decide.value"]  # fmt: skip


async def test_a_block_with_mistakes_of_its_own_is_looked_at_all_the_same(desk: Desk) -> None:
    desk.model(CLASSES)
    desk.profile(M, "outputs: {L: {value: lable}}", "limits: {queue: 0}")
    book = load(desk.profiles)
    assert [one.path for one in book.problems] == ["B.limits.queue"]
    assert [one.path for one in await check_bindings(book, desk.engine)] == ["B.outputs.L.value"]


async def test_the_service_gets_the_same_reasons_in_one_line(desk: Desk) -> None:
    desk.model(CLASSES)
    desk.profile(M, "outputs: {L: {value: lable}, S: {value: state}}")
    book = load(desk.profiles)
    with pytest.raises(ProfileError) as caught:
        await draw(book.bindings[0], desk.engine, book)
    assert [str(one) for one in caught.value.problems] == [str(one) for one in await desk.found()]
    assert caught.value.brief == f"{caught.value.problems[0]} (and 1 more)"
    assert "\n" not in SetupError("a\n  b").brief


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        ("{valueType: Binary, mediaType: image/jpeg", "is a picture (image/jpeg), the model's x FP32[?, 4]"),
        ("{valueType: Binary", "nothing says of which numbers"),
        ("{valueType: Binary, mediaType: 'application/octet-stream; dtype=float32'", ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "stated", [{}, {"inputs": {"x": {"kind": "vector", "dtype": "float32", "shape": [4]}}}]
)
async def test_bytes_for_a_vector(desk: Desk, resource: str, says: str, stated: dict[str, Any]) -> None:
    desk.model({**CLASSES, **stated})
    desk.profile(M, LABEL, resource=resource[1:].replace(", ", "\n      "))
    told = await desk.told()
    if not says or (stated and "nothing" in says):
        assert told == []
    else:
        ((_, path, message),) = told
        assert path == "B.inputs"
        assert says in message


async def test_scale_and_offset_of_a_picture(desk: Desk) -> None:
    desk.model({"task": "raw"}, shape=[1, 3, 8, 8], batch="none")
    desk.profile(
        M, "inputs: [{resource: Arr, scale: 2}]", "outputs: {Y: {value: y}}", resource="valueType: Binary"
    )
    ((line, path, message),) = await desk.told()
    assert (line, path) == (FIRST + 1, "B.inputs[0].scale")
    assert message.startswith("does nothing for a picture")


@pytest.mark.parametrize(
    ("said", "path", "message"),
    [
        ("decoder: logit", "decoder", "did you mean logits?"),
        ("outputs: {y: {role: scors}}", "outputs.y.role", "did you mean scores?"),
        ("outputs: {q: {tensor: yy}}", "outputs.q.tensor", "the card says 'yy', the file has y"),
        ("inputs: {x: {kind: vector, dtype: int8}}", "inputs.x.dtype", "the card says int8, the file says float32"),
        ("inputs: {x: {kind: vector, shape: [5]}}", "inputs.x.shape", "the card says [5]"),
        ("inputs: {x: {kind: vector, names: [a, b, c, d, e]}}", "inputs.x.names", "5 names for the 4 numbers"),
        ("inputs: {x: {kind: vector, quantization: {scale: 0.1}}}", "inputs.x.quantization", "no whole numbers"),
        ("inputs: {x: {kind: vector, normalize: {mean: [1, 2, 3], std: [1, 2, 3]}}}", "inputs.x.normalize",
         "do not fit a tensor"),
        ("labels: [a, b]", "labels", "2 labels, but the model has 4 classes"),
        ("labels: no.txt", "labels", "'no.txt' is neither"),
        ("score: {limit: 3}", "score", "does nothing for task classification"),
    ],
)  # fmt: skip
async def test_a_card_s_mistake_is_told_in_the_card(desk: Desk, said: str, path: str, message: str) -> None:
    head = (
        'schema: 1\nname: m\nversion: "1"\ntask: classification\nfiles: [{path: model.fake, format: fake}]\n'
    )
    desk.model(head + said + "\n")
    desk.profile(M, LABEL)
    ((line, at, reason),) = await desk.told()
    assert (line, at) == (-6, path)
    assert message in reason


async def test_an_entry_of_a_file_goes_before_the_card_s(desk: Desk) -> None:
    file = "files:\n  - path: model.fake\n    format: fake\n    inputs: {x: {shape: [5]}}\n"
    desk.model('schema: 1\nname: m\nversion: "1"\ntask: classification\n' + file)
    desk.profile(M, LABEL)
    ((line, path, _),) = await desk.told()
    assert (line, path) == (-8, "files[0].inputs.x.shape")


async def test_a_format_that_nobody_reads_is_a_mistake_in_the_card(desk: Desk) -> None:
    desk.model({**CLASSES, "files": [{"path": "model.fake", "format": "onxx"}]})
    desk.profile(M, LABEL)
    (problem,) = await desk.found()
    assert (problem.severity, problem.path) == ("error", "files[0].format")
    assert problem.message.endswith("(did you mean onnx?)")


async def test_a_format_that_only_others_read_is_not_checked(desk: Desk) -> None:
    desk.model({**CLASSES, "files": [{"path": "model.fake", "format": "tflite"}]})
    desk.profile(M, LABEL)
    (problem,) = await desk.found()
    assert (problem.severity, problem.path) == ("not checked", "B.model")


async def test_warnings_of_cards_are_passed_on(desk: Desk) -> None:
    desk.model({**CLASSES, "labels": ["a", "b", "a", "c"]})
    desk.profile(M, LABEL)
    (problem,) = await desk.found()
    assert (problem.file, problem.path, problem.severity) == (str(desk.card), "labels[2]", "warning")


async def test_one_name_has_one_type_in_a_profile(desk: Desk) -> None:
    desk.model(CLASSES)
    desk.model({"task": "regression"}, name="r")
    more = "          C:\n            model: {name: r}\n            outputs: {L: {value: value}}\n"
    desk.profile(M, LABEL, more=more)
    ((line, path, message),) = await desk.told()
    assert (line, path) == (FIRST + 4, "C.outputs.L")
    assert message == "binding B publishes L too, as String; this is Float32: equal types only"


async def test_a_file_that_is_broken_is_named_by_its_model(desk: Desk) -> None:
    desk.model(CLASSES)
    (desk.card.parent / "model.fake").write_text("{")
    desk.profile(M, LABEL)
    ((line, path, message),) = await desk.told()
    assert (line, path) == (-4, "files[0].path")
    assert message.startswith("model.fake: no fake model")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda desk: desk.card.unlink(), "is there, but its version folders (1) must have a model.yaml"),
        (lambda desk: desk.models.rename(desk.models.parent / "away"), "models (no such folder)"),
    ],
)
async def test_where_a_model_was_looked_for(desk: Desk, spoil: Callable[[Desk], object], says: str) -> None:
    desk.model(CLASSES)
    desk.profile(M, LABEL)
    spoil(desk)
    ((line, path, message),) = await desk.told()
    assert (line, path) == (FIRST, "B.model.name")
    assert says in message


async def test_a_version_that_is_missing_is_told_at_the_version(desk: Desk) -> None:
    desk.model(CLASSES)
    desk.profile("model: {name: m, version: '2'}", LABEL)
    ((_, path, message),) = await desk.told()
    assert (path, "it has 1" in message) == ("B.model.version", True)


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ("[1, 2]", "an object is expected, each input's name with its numbers"),
        ('{"y": [1]}', "input x: numbers are expected"),
        ('{"x": ["a"]}', "input x: numbers are expected"),
        ("{", "no JSON"),
    ],
)
async def test_a_golden_sample_that_cannot_be_read(desk: Desk, sample: str, says: str) -> None:
    desk.model({**CLASSES, "golden": [{"input": "in.json", "expect": "out.json"}]})
    (desk.card.parent / "in.json").write_text(sample)
    (desk.card.parent / "out.json").write_text('{"label": "a"}')
    desk.profile(M, LABEL)
    ((_, path, message),) = await desk.told()
    assert path == "B.model"
    assert f"golden sample in.json: {says}" in message


async def test_nothing_is_told_of_what_is_right(desk: Desk) -> None:
    desk.model(CLASSES)
    desk.profile(
        M, "outputs: {L: {value: label}, S: {value: state}, T: {value: top2}}", "decide: {raise: 0.5}"
    )
    assert await desk.found() == []
    book = load(desk.profiles)
    plan = await draw(book.bindings[0], desk.engine, book)
    assert [column.name for column in plan.columns] == ["L", "S", "T"]
    await release(plan, desk.engine)
    assert yaml.safe_load((desk.profiles / "p.yaml").read_text())["name"] == "p"
