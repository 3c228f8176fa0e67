"""TensorRT's plug-in on stand-ins of TensorRT 10, 11 and RTX: making engines, here and for other machines."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelerators.tensorrt import PLUGIN
from edgex_inference.contracts.accelerator import ONNX, Batch
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected, SignatureMismatch
from edgex_inference.contracts.models import Build, ImageInput, ModelCard, Task
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.compiling.orders import Order, order
from edgex_inference.engine.fleet import Fleet
from edgex_inference.testing.onnx_models import save, write_affine
from tests.tensorrt_engines import FLAVORS, ONES, loaded, made, opened, opened_for, request, told


@pytest.fixture(params=FLAVORS)
def gpu(request: pytest.FixtureRequest, nvidia: Callable[..., Any]) -> Any:
    return nvidia(request.param, gpus=2)


@pytest.fixture
def affine(tmp_path: Path) -> Path:
    """y = 2x + 1 for any number of rows."""
    return write_affine(tmp_path / "affine.onnx")


def test_rows_of_small_and_of_large_inputs(gpu: Any, affine: Path, tmp_path: Path) -> None:
    assert opened(affine).traits.batch == Batch(kind="range", most=64)
    assert opened(affine, options={"maxBatch": 3}).traits.batch == Batch(kind="range", most=3)
    large = write_affine(tmp_path / "large.onnx", shape=("N", 70_000))
    assert opened(large).traits.batch == Batch(kind="range", most=8)
    with opened_for(affine, options={"maxBatch": 3}) as session, pytest.raises(SignatureMismatch) as caught:
        session.infer({"x": np.ones((4, 4), np.float32)})
    assert "x cannot have the shape [4, 4]; the engine takes x FP32[?, 4]" in str(caught.value)


def test_open_extents_need_a_profile_and_keep_to_it(gpu: Any, tmp_path: Path) -> None:
    spec = (TensorProto.FLOAT, ("N", "L"))
    path = save(tmp_path / "open.onnx", [helper.make_node("Neg", ["x"], ["y"])], {"x": spec}, {"y": spec})
    with pytest.raises(ModelRejected) as caught:
        opened(path)
    assert "the input x leaves more open than its first axis [-1, -1]: give the option profiles" in str(
        caught.value
    )
    with opened_for(path, options={"profiles": {"x": [[1, 1], [1, 8], [4, 16]]}}) as session:
        for shape in ((1, 8), (4, 16), (2, 1)):
            x = np.ones(shape, np.float32)
            assert np.array_equal(session.infer({"x": x})["y"], -x)
        with pytest.raises(SignatureMismatch, match="cannot have the shape"):
            session.infer({"x": np.ones((1, 17), np.float32)})
        assert np.all(session.infer({"x": np.ones((1, 8), np.float32)})["y"] == -1), "it goes on"
    with pytest.raises(ModelRejected, match="has 2 axes, its profile"):
        opened(path, options={"profiles": {"x": [[1], [1], [4]]}})
    with pytest.raises(ModelRejected, match=r"there is no input z \(inputs are x\)"):
        opened(path, options={"profiles": {"z": [[1], [1], [4]]}})
    with opened_for(path, shapes={"x": (None, 8)}) as session:
        assert session.inputs[0].shape == (None, 8)


def test_rows_of_a_binding_are_the_most_and_the_best(gpu: Any, affine: Path) -> None:
    assert told(made(request(affine)))["profile"]["x"] == [[1, 4], [1, 4], [64, 4]]
    assert told(made(request(affine, batch=6)))["profile"]["x"] == [[1, 4], [6, 4], [6, 4]]
    options = {"maxBatch": 9, "bestBatch": 2}
    assert told(made(request(affine, batch=6, options=options)))["profile"]["x"] == [[1, 4], [2, 4], [9, 4]]
    assert opened(affine, batch=6).traits.batch == Batch(kind="range", most=6)


def test_open_pictures_are_built_as_the_card_says(gpu: Any, tmp_path: Path) -> None:
    """From the card to the engine: what nobody says elsewhere needs no profile, and is a part of the artefact's key."""
    spec = (TensorProto.FLOAT, ("N", 3, "H", "W"))
    path = save(tmp_path / "open.onnx", [helper.make_node("Neg", ["x"], ["y"])], {"x": spec}, {"y": spec})
    orders = [ordered(path, size, batch) for size, batch in (((32, 16), 2), ((32, 16), 3), ((64, 48), 2))]
    found = [made(replace(one.request, cache=tmp_path / "cache")) for one in orders]
    assert [told(one)["profile"]["x"] for one in found] == [
        [[1, 3, 16, 32], [2, 3, 16, 32], [2, 3, 16, 32]],
        [[1, 3, 16, 32], [3, 3, 16, 32], [3, 3, 16, 32]],
        [[1, 3, 48, 64], [2, 3, 48, 64], [2, 3, 48, 64]],
    ]
    assert len({one.key for one in orders}) == 3
    session = loaded(orders[0].request, found[0])
    assert session.inputs[0].shape == (None, 3, 16, 32)
    assert session.traits.batch == Batch(kind="range", most=2)


def ordered(path: Path, size: tuple[int, int], batch: int) -> Order:
    """What the fleet orders for a card that says the size of its picture, and a binding that says its batch."""
    build = Build(path=path, format=ONNX, inputs=(ImageInput(name="picture", size=size),))
    card = ModelCard(name="m", version="1", task=Task.RAW, folder=path.parent, builds=(build,))
    choice = AcceleratorChoice(name="tensorrt", batch=batch)
    (candidate,) = Catalog().candidates(choice, [ONNX])
    return order(candidate, Fleet().request(candidate, choice, card, build), card, build)


def test_an_operator_that_tensorrt_lacks(gpu: Any, tmp_path: Path) -> None:
    spec = (TensorProto.FLOAT, (1, 4))
    nodes = [
        helper.make_node("Relu", ["x"], ["z"]),
        helper.make_node("Scaler", ["z"], ["y"], domain="ai.onnx.ml"),
    ]
    nodes[1].name = "scaling"
    with pytest.raises(ModelRejected) as caught:
        opened(save(tmp_path / "tree.onnx", nodes, {"x": spec}, {"y": spec}))
    assert "the node scaling (Scaler): TensorRT has no such operator" in caught.value.reason


def test_quantized_the_wrong_way(gpu: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelRejected) as caught:
        opened(quantized(tmp_path, np.int32))
    assert "the node widened (DequantizeLinear)" in caught.value.reason
    assert "TensorRT takes symmetric quantization only" in caught.value.reason
    assert "QuantizeBias false" in caught.value.reason
    assert opened(quantized(tmp_path, np.int8)).traits.precision == "int8"


def quantized(folder: Path, kind: type) -> Path:
    """y = x rounded to halves, plus a constant that is dequantized from this type."""
    constants = [
        numpy_helper.from_array(np.float32(0.5), "step"),
        numpy_helper.from_array(np.int8(0), "zero"),
        numpy_helper.from_array(np.full((1, 4), 2, kind), "whole"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["whole", "step"], ["w"], name="widened"),
        helper.make_node("Add", ["d", "w"], ["y"]),
    ]
    spec = (TensorProto.FLOAT, (1, 4))
    return save(folder / f"q{kind.__name__}.onnx", nodes, {"x": spec}, {"y": spec}, constants)


def test_texts_and_broken_files(gpu: Any, tmp_path: Path) -> None:
    spec = (TensorProto.STRING, (1,))
    path = save(
        tmp_path / "text.onnx", [helper.make_node("Identity", ["x"], ["y"])], {"x": spec}, {"y": spec}
    )
    with pytest.raises(ModelRejected, match="is no ONNX model that TensorRT reads: Failed to convert"):
        opened(path)
    path.write_bytes(b"garbage" * 9)
    with pytest.raises(ModelRejected, match="is no ONNX model that TensorRT reads: Failed to parse"):
        opened(path)


def test_words_of_the_file_and_weights_beside_it(gpu: Any, tmp_path: Path) -> None:
    path = write_affine(tmp_path / "split.onnx", external=True)
    model = onnx.load(path, load_external_data=False)
    helper.set_model_props(model, {"names": "{0: 'cat'}"})
    onnx.save(model, path)
    with opened_for(path) as session:
        assert session.metadata == {"names": "{0: 'cat'}"}
        assert np.all(session.infer({"x": ONES})["y"] == 3)


def test_precision_is_a_flag_in_tensorrt_10(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("ten")
    half, exact, native = (made(request(affine, precision=one)) for one in ("f16", "f32", "native"))
    assert (told(half)["flags"], told(half)["typed"]) == (["FP16"], False)
    assert (told(exact)["flags"], told(exact)["typed"]) == ([], True), "f32 is not TF32"
    assert told(native)["flags"] == ["TF32"]
    assert loaded(request(affine), half).traits.precision == "f16"
    assert loaded(request(affine), native).traits.precision == "tf32"


@pytest.mark.parametrize("flavor", ["eleven", "rtx"])
def test_precision_is_the_files_in_tensorrt_11(nvidia: Callable[..., Any], flavor: str, affine: Path) -> None:
    nvidia(flavor)
    with pytest.raises(
        ModelRejected, match="what the file says, f32, not in f16: convert the file to float16"
    ):
        opened(affine, precision="f16")
    with pytest.raises(ModelRejected, match="f32, not in int8: quantize the file"):
        opened(affine, precision="int8")
    half = write_affine(affine.with_name("half.onnx"), element=TensorProto.FLOAT16)
    with opened_for(half, precision="f16") as session:
        assert session.traits.precision == "f16"
        assert np.all(session.infer({"x": ONES.astype(np.float16)})["y"] == 3)


@pytest.mark.parametrize("flavor", ["ten", "eleven"])
def test_timings_are_kept_in_a_file(
    nvidia: Callable[..., Any], flavor: str, affine: Path, tmp_path: Path
) -> None:
    nvidia(flavor)
    kept = tmp_path / "timings"
    lengths = []
    for _ in range(3):
        made(request(affine, options={"timingCache": str(kept)}))
        lengths.append(len(kept.read_bytes()))
    assert lengths[0] < lengths[1] < lengths[2], "each build adds to what was known"
    kept.write_bytes(b"of another version")
    made(request(affine, options={"timingCache": str(kept)}))
    assert len(kept.read_bytes()) == lengths[0], "begun anew"


def test_rtx_is_not_made_to_look_for_a_gpu_by_timings(
    nvidia: Callable[..., Any], affine: Path, tmp_path: Path
) -> None:
    nvidia("rtx", driver="absent")
    kept = tmp_path / "timings"
    made(request(affine, device="SM86", options={"timingCache": str(kept)}))
    assert not kept.exists()


def test_progress_of_a_build(gpu: Any, affine: Path) -> None:
    steps: list[tuple[float | None, str]] = []
    made(request(affine, progress=lambda share, what: steps.append((share, what))))
    assert steps[0] == (0.0, "building engine")
    assert (0.0, "tactic selection") in steps
    assert steps[-1] == (1.0, "building engine")

    def fails(share: float | None, what: str) -> None:
        raise RuntimeError("nobody listens")

    made(request(affine, progress=fails))


def test_no_memory_to_build(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("eleven", fault="build")
    with pytest.raises(AcceleratorUnavailable, match=r"no memory to build affine\.onnx: .*; lower maxBatch"):
        opened(affine)


# For where


def test_an_engine_for_another_machines_gpu(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("rtx", driver="absent")
    wanted = request(affine, device="SM89")
    ahead = made(wanted)
    assert ahead.format == "tensorrt-rtx-engine"
    assert PLUGIN.identity is not None
    assert ahead.made_with == PLUGIN.identity(wanted)
    assert ahead.made_with["compute capability"] == "8.9"
    with pytest.raises(AcceleratorUnavailable, match="SM89 is what models are compiled for"):
        loaded(wanted, ahead)
    nvidia(compute="8.9")
    assert PLUGIN.identity(request(affine)) == ahead.made_with, "as if it had been made there"
    assert np.all(loaded(request(affine), ahead).infer({"x": ONES})["y"] == 3)
    nvidia(compute="8.6")
    with pytest.raises(
        ModelRejected, match=r"compute capability 8\.9, this one has 8\.6: compile the model again"
    ):
        loaded(request(affine), ahead)
    with pytest.raises(AcceleratorUnavailable, match="compiles for SM120, SM121, SM75, SM80, SM86, SM89"):
        made(request(affine, device="SM87"))


def test_tensorrt_itself_compiles_for_its_own_machine_only(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("eleven")
    with pytest.raises(
        AcceleratorUnavailable, match="for the GPU of its own machine only; TensorRT-RTX compiles"
    ):
        made(request(affine, device="SM86", options={"library": "tensorrt"}))


def test_an_engine_of_another_version_or_gpu(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("ten")
    old = made(request(affine))
    nvidia("eleven")
    with pytest.raises(
        ModelRejected, match=r"made with TensorRT 10\.13\.3\.9, here is 11\.4\.0\.106: compile"
    ):
        loaded(request(affine), old)
    old.beside[0].unlink()
    with pytest.raises(ModelRejected) as caught:
        loaded(request(affine), old)
    assert "expecting library version 11.4.0.106 got 10.13.3.9" in caught.value.reason
    nvidia("ten", compute="8.9")
    with pytest.raises(ModelRejected, match=r"incompatible device, expecting compute 8\.6 got compute 8\.9"):
        loaded(request(affine), old)


def test_an_engine_that_came_alone(gpu: Any, affine: Path) -> None:
    found = made(request(affine))
    found.beside[0].unlink()
    session = loaded(request(affine), found)
    assert (session.traits.precision, session.metadata) == ("native", {})
    assert np.all(session.infer({"x": ONES})["y"] == 3)


def test_an_engine_for_ampere_and_later_gpus(nvidia: Callable[..., Any], affine: Path) -> None:
    nvidia("eleven")
    keys: dict[str, Any] = {"options": {"hardwareCompatibility": "ampere"}}
    found = made(request(affine, **keys))
    nvidia(compute="12.0")
    assert np.all(loaded(request(affine, **keys), found).infer({"x": ONES})["y"] == 3)
    nvidia(compute="7.5")
    with pytest.raises(ModelRejected, match=r"8\.0 and later, this one has 7\.5"):
        loaded(request(affine, **keys), found)
    nvidia("rtx")
    with pytest.raises(ModelRejected, match="hardwareCompatibility is not for this TensorRT"):
        made(request(affine, **keys))
