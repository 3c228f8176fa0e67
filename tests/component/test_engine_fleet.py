"""The fleet and the completion of cards, on ONNX Runtime and on the fake."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgex_inference.contracts.accelerator import REMOTE, Batch, Format, LoadRequest, Session
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.contracts.models import Build, ImageInput, ModelCard, NumbersInput, OutputCard, Task
from edgex_inference.contracts.tensors import Datatype
from edgex_inference.engine.cards.complete import complete
from edgex_inference.engine.catalog import Candidate, Catalog
from edgex_inference.engine.claims import GROUP
from edgex_inference.engine.fleet import Fleet, build_for
from edgex_inference.engine.store import Store
from edgex_inference.testing import fake_accelerator, onnx_models
from edgex_inference.testing.fake_accelerator import FAKE, control, write_model

CATALOG = Catalog(
    [
        EntryPoint(name="fake", value="edgex_inference.testing.fake_accelerator:PLUGIN", group=GROUP),
        EntryPoint(name="onnxruntime", value="accelerators.onnxruntime:PLUGIN", group=GROUP),
    ]
)
FAKED, ORT = AcceleratorChoice(name="fake"), AcceleratorChoice(name="onnxruntime")
X = {"x": np.ones((1, 4), np.float32)}


def card(build: Build, **keys: object) -> ModelCard:
    return ModelCard(name="m", version="1", task=Task.RAW, folder=build.path.parent, builds=(build,), **keys)  # type: ignore[arg-type]


def fake_card(tmp_path: Path, name: str = "m.fake", **keys: object) -> ModelCard:
    return card(Build(path=write_model(tmp_path / name, **keys), format=FAKE))


def candidate(choice: AcceleratorChoice) -> Candidate:
    return CATALOG.candidates(choice, [FAKE, Format("onnx")])[0]


async def test_a_run_has_no_more_rows_than_the_binding_says(tmp_path: Path) -> None:
    fleet, shared = Fleet(), fake_card(tmp_path, parallel=1)
    few = replace(FAKED, batch=3)
    lane, _ = await fleet.acquire(candidate(few), few, shared)
    other, _ = await fleet.acquire(candidate(FAKED), FAKED, shared)
    assert lane is not other
    assert (lane.batch, other.batch) == (Batch(kind="range", most=3), Batch(kind="any"))
    strings = control(shared.builds[0].path)
    strings.batches.clear()
    answers = await lane.infer_many([{"x": np.full((1, 4), n, np.float32)} for n in range(8)])
    assert [float(one["y"][0, 0]) for one in answers if isinstance(one, dict)] == [
        2.0 * n + 1 for n in range(8)
    ]
    assert sum(strings.batches) == 8
    assert max(strings.batches) <= 3
    await fleet.close()


async def test_two_bindings_share_a_session_until_the_last_lets_go(tmp_path: Path) -> None:
    fleet, shared = Fleet(), fake_card(tmp_path)
    (first, _), (second, _) = await asyncio.gather(
        fleet.acquire(candidate(FAKED), FAKED, shared), fleet.acquire(candidate(FAKED), FAKED, shared)
    )
    strings = control(shared.builds[0].path)
    assert first is second
    assert strings.loads == 1
    await fleet.release(first)
    assert first.state == "ready"
    await fleet.release(first)
    assert (first.state, strings.closes, fleet.lanes) == ("closed", 1, ())
    await fleet.release(first)


async def test_other_options_precision_or_device_are_another_session(tmp_path: Path) -> None:
    fleet, shared = Fleet(), fake_card(tmp_path)
    choices = [
        FAKED,
        AcceleratorChoice(name="fake", options={"gain": 2.0}),
        AcceleratorChoice(name="fake", precision="f16"),
        AcceleratorChoice(name="fake", device="NPU"),
        AcceleratorChoice(name="fake", threads=2),
    ]
    lanes = [(await fleet.acquire(candidate(choice), choice, shared))[0] for choice in choices]
    assert len(set(lanes)) == len(choices)
    assert (await lanes[1].infer(X))["y"][0, 0] == 6.0
    await fleet.close()
    assert all(lane.state == "closed" for lane in lanes)
    assert fleet.lanes == ()


async def test_a_replaced_file_is_another_session(tmp_path: Path) -> None:
    fleet, shared = Fleet(), fake_card(tmp_path)
    old, _ = await fleet.acquire(candidate(FAKED), FAKED, shared)
    write_model(shared.builds[0].path, scale=3, offset=-100)
    new, _ = await fleet.acquire(candidate(FAKED), FAKED, shared)
    assert old is not new
    assert (await old.infer(X))["y"][0, 0] == 3.0
    assert (await new.infer(X))["y"][0, 0] == -97.0
    await fleet.close()


async def test_external_data_counts_as_the_model(tmp_path: Path) -> None:
    path = onnx_models.write_affine(tmp_path / "m.onnx", external=True)
    fleet, shared = Fleet(), card(Build(path=path, format=Format("onnx")))
    old, _ = await fleet.acquire(candidate(ORT), ORT, shared)
    data = tmp_path / "m.onnx.data"
    data.rename(tmp_path / "elsewhere")
    data.write_bytes((tmp_path / "elsewhere").read_bytes())
    new, _ = await fleet.acquire(candidate(ORT), ORT, shared)
    assert old is not new
    await fleet.close()


async def test_what_cannot_load_is_told_to_all_and_forgotten(tmp_path: Path) -> None:
    fleet, shared = Fleet(), fake_card(tmp_path)
    control(shared.builds[0].path).refuse = ModelRejected("m", "wrong moon")
    outcomes = await asyncio.gather(
        *(fleet.acquire(candidate(FAKED), FAKED, shared) for _ in range(3)), return_exceptions=True
    )
    assert all("wrong moon" in str(outcome) for outcome in outcomes)
    assert fleet.lanes == ()
    control(shared.builds[0].path).refuse = None
    lane, _ = await fleet.acquire(candidate(FAKED), FAKED, shared)
    assert lane.state == "ready"
    await fleet.close()


async def test_options_checksums_and_formats_are_checked_before_loading(tmp_path: Path) -> None:
    fleet, shared = Fleet(), fake_card(tmp_path)
    wrong = AcceleratorChoice(name="fake", options={"gian": 2.0})
    with pytest.raises(AcceleratorUnavailable, match=r"unknown option 'gian' \(did you mean gain\?\)"):
        await fleet.acquire(candidate(wrong), wrong, shared)
    build = shared.builds[0]
    with pytest.raises(ModelRejected, match="its card says 00"):
        await fleet.acquire(
            candidate(FAKED), FAKED, card(Build(path=build.path, format=FAKE, sha256="0" * 64))
        )
    with pytest.raises(ModelRejected, match="onnxruntime reads onnx"):
        await fleet.acquire(candidate(ORT), ORT, shared)
    assert control(build.path).loads == 0


async def test_a_caller_that_gives_up_while_loading_leaves_no_lane(tmp_path: Path) -> None:
    fleet, shared = Fleet(), fake_card(tmp_path)
    strings = control(shared.builds[0].path)
    strings.script.append("hang")  # the warm-up run
    waiting = asyncio.create_task(fleet.acquire(candidate(FAKED), FAKED, shared))
    await asyncio.to_thread(strings.started.wait, 20)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert fleet.lanes == ()
    strings.release.set()


async def test_the_first_file_that_it_reads_is_taken(tmp_path: Path) -> None:
    onnx = Build(path=onnx_models.write_affine(tmp_path / "m.onnx"), format=Format("onnx"))
    fake = fake_card(tmp_path).builds[0]
    both = ModelCard(name="m", version="1", task=Task.RAW, folder=tmp_path, builds=(fake, onnx))
    fleet = Fleet()
    for choice, build in ((ORT, onnx), (FAKED, fake)):
        lane, taken = await fleet.acquire(candidate(choice), choice, both)
        assert taken.path == build.path
        assert (await lane.infer(X))["y"][0, 0] == 3.0
    await fleet.close()


async def test_our_own_models_complete() -> None:
    fleet = Fleet()
    for model in Store([Path(__file__).parents[2] / "edgex_inference" / "demo" / "models"]).all():
        _, build = await fleet.acquire(candidate(ORT), ORT, model)
        assert all(entry.tensor and entry.dtype for entry in (*build.inputs, *build.outputs))
    await fleet.close()


Extents = Sequence[int | str | None]


def completed(
    tmp_path: Path, shape: Extents, *, metadata: dict[str, str] | None = None, **keys: object
) -> Build:
    """The build of a model with one input `pixels` and one output `grid`, completed by ONNX Runtime."""
    spec = (TensorProto.FLOAT, shape)
    path = onnx_models.save(
        tmp_path / "m.onnx", [helper.make_node("Abs", ["pixels"], ["grid"])], {"pixels": spec}, {"grid": spec},
        metadata=metadata,
    )  # fmt: skip
    labels = keys.pop("labels", None)
    build = Build(path=path, format=Format("onnx"), **keys)  # type: ignore[arg-type]
    load = CATALOG.get("onnxruntime").load
    assert load is not None
    session = load(LoadRequest(path=path, format=build.format))
    return complete(card(build, labels=labels), build, session)


@pytest.mark.parametrize(
    ("shape", "layout", "color"),
    [((1, 3, 24, 32), "NCHW", "rgb"), (("N", 24, 32, 3), "NHWC", "rgb"), ((1, 1, 24, 32), "NCHW", "gray")],
)
def test_a_picture_is_recognized(tmp_path: Path, shape: Extents, layout: str, color: str) -> None:
    (image,) = completed(tmp_path, shape).inputs
    assert isinstance(image, ImageInput)
    assert (image.layout, image.size, image.color, image.tensor) == (layout, (32, 24), color, "pixels")
    assert image.dtype is Datatype.FP32


@pytest.mark.parametrize(
    ("shape", "kind", "sample"), [(("N", 16), "vector", (16,)), ((1, 3, 512), "tensor", (3, 512))]
)
def test_numbers_are_recognized(tmp_path: Path, shape: Extents, kind: str, sample: tuple[int, ...]) -> None:
    (numbers,) = completed(tmp_path, shape).inputs
    assert isinstance(numbers, NumbersInput)
    assert (numbers.kind, numbers.shape) == (kind, sample)


def test_what_the_card_says_is_kept_and_the_rest_filled_in(tmp_path: Path) -> None:
    given = ImageInput(name="image", color="bgr", mean=(1, 2, 3), std=(1, 1, 1))
    build = completed(
        tmp_path, (1, 3, 24, 32), inputs=(given,), outputs=(OutputCard(name="out", role="grid"),)
    )
    (image,), (output,) = build.inputs, build.outputs
    assert isinstance(image, ImageInput)
    assert (image.color, image.mean, image.layout, image.tensor) == ("bgr", (1, 2, 3), "NCHW", "pixels")
    assert (output.name, output.tensor, output.role, output.dtype) == ("out", "grid", "grid", Datatype.FP32)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            ImageInput(name="image", size=(64, 24)),
            "the card says [64, 24] (width, height), the file says pixels FP32",
        ),
        (ImageInput(name="image", layout="NHWC"), "the card says NHWC of 3 channels"),
        (ImageInput(name="image", color="gray"), "of 1 channels (gray), the file says"),
        (
            ImageInput(name="image", dtype=Datatype.UINT8),
            "the card says uint8, the file says float32 (pixels FP32",
        ),
        (ImageInput(name="image", tensor="input.1"), "the card says 'input.1', the file has pixels"),
        (
            NumbersInput(name="image", shape=(3, 24)),
            "the card says [3, 24], the file says pixels FP32[1, 3, 24, 32]",
        ),
    ],
)
def test_where_card_and_file_disagree_both_are_named(
    tmp_path: Path, entry: ImageInput | NumbersInput, said: str
) -> None:
    with pytest.raises(ModelRejected) as caught:
        completed(tmp_path, (1, 3, 24, 32), inputs=(entry,))
    assert said in str(caught.value)
    assert "inputs.image" in str(caught.value)


def test_an_open_size_is_left_to_the_card(tmp_path: Path) -> None:
    (open_,) = completed(tmp_path, (1, 3, "H", "W")).inputs
    assert isinstance(open_, ImageInput)
    assert open_.size is None
    (image,) = completed(tmp_path, (1, 3, "H", "W"), inputs=(ImageInput(name="i", size=(64, 48)),)).inputs
    assert isinstance(image, ImageInput)
    assert image.size == (64, 48)


@pytest.mark.parametrize(
    "text", ["{0: 'cat', 1: 'dog'}", '{"0": "cat", "1": "dog"}', '["cat", "dog"]', "cat, dog"]
)
def test_labels_come_from_the_file_when_the_card_has_none(tmp_path: Path, text: str) -> None:
    assert completed(tmp_path, (1, 4), metadata={"names": text}).labels == ("cat", "dog")
    assert completed(tmp_path, (1, 4), metadata={"names": text}, labels=("a", "b")).labels is None


@pytest.mark.parametrize("text", ["{1: 'cat'}", "{0: 1}", "[1, 2]", "{", "(" * 5000, "__import__('os')"])
def test_metadata_that_is_no_list_of_labels_is_left_alone(tmp_path: Path, text: str) -> None:
    found = completed(tmp_path, (1, 4), metadata={"names": text}).labels
    assert found is None or found == ("__import__('os')",)


def test_the_fake_is_one_of_the_installed_kind() -> None:
    assert CATALOG.get("fake") is fake_accelerator.PLUGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    secret: str = ""


async def test_a_plugin_that_reads_no_file_takes_any_card_and_is_told_its_name_and_secrets(
    tmp_path: Path,
) -> None:
    asked: list[LoadRequest] = []

    def load(request: LoadRequest) -> Session:
        asked.append(request)
        return fake_accelerator.load(replace(request, format=FAKE))

    far = replace(
        fake_accelerator.PLUGIN,
        name="far",
        formats=frozenset({REMOTE}),
        options=_Door,
        fileless=True,
        load=load,
    )
    wanted = Candidate(accelerator=far, device="CPU", check=lambda: None)
    path = write_model(tmp_path / "m.fake")
    build = Build(path=path, format=Format("tvm-library"), sha256="0" * 64)
    fleet = Fleet(secrets={"door": {"token": "sesame"}}.__getitem__)
    choice = AcceleratorChoice(name="far", options={"secret": "door"})
    lane, completed = await fleet.acquire(wanted, choice, card(build))
    (request,) = asked
    assert (request.format, request.name, request.secret) == (REMOTE, "m", {"token": "sesame"})
    assert completed.format == "tvm-library", "its tensors mean what the card says"
    assert "sesame" not in repr(request)
    await fleet.release(lane)
    own = Build(path=tmp_path, format=REMOTE, outputs=(OutputCard(name="y"),))
    real = Build(path=path, format=FAKE)
    assert build_for(far, (build, own)) is own
    assert build_for(fake_accelerator.PLUGIN, (own, real)) is real
    assert build_for(fake_accelerator.PLUGIN, (own,)) is None
