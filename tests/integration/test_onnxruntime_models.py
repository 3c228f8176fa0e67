"""ONNX Runtime on the models that bite: lying shapes, maps, texts, external data."""

import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx import load as load_graph
from onnx import save as save_graph

from accelerators.onnxruntime import PLUGIN, opening, session, targets
from accelerators.onnxruntime.options import Options
from edgex_inference.contracts.accelerator import ONNX, LoadRequest, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    InferenceError,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.tensors import Array, Datatype
from edgex_inference.engine.batching import unsound
from edgex_inference.testing import onnx_models
from edgex_inference.testing.kinds import Kind

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def opened(path: Path, **keys: object) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(LoadRequest(path=path, format=ONNX, **keys))  # type: ignore[arg-type]


def test_an_exporter_that_flattens_its_answer_is_found_out(tmp_path: Path) -> None:
    """Declared [None, 1], but 16 rows come back for one."""
    flat = numpy_helper.from_array(np.array([-1, 1], np.int64), "flat")
    path = onnx_models.save(
        tmp_path / "ae.onnx",
        [helper.make_node("Reshape", ["x", "flat"], ["variable"])],
        {"x": (FLOAT, (None, 16))},
        {"variable": (FLOAT, (None, 1))},
        [flat],
    )
    loaded = opened(path)
    assert loaded.traits.batch.kind == "none"
    assert loaded.infer({"x": np.zeros((1, 16), np.float32)})["variable"].shape == (16, 1)


def test_answers_whose_length_depends_on_the_values_are_no_batch(tmp_path: Path) -> None:
    path = onnx_models.save(
        tmp_path / "nms.onnx",
        [
            helper.make_node("NonZero", ["high"], ["found"]),
            helper.make_node("Greater", ["x", "half"], ["high"]),
        ][::-1],
        {"x": (FLOAT, ("N", 8))},
        {"found": (INT64, (2, "M"))},
        [numpy_helper.from_array(np.float32(0.5), "half")],
    )
    assert opened(path).traits.batch.kind == "none"


def test_an_output_of_unknown_rank_promises_no_length(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("NonZero", ["x"], ["at"]),
            helper.make_node("Transpose", ["at"], ["turned"]),
            helper.make_node("Squeeze", ["turned"], ["y"]),  # of what, no shape inference can tell
        ],
        "hits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, None)],
    )
    path = tmp_path / "hits.onnx"
    save_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    loaded = opened(path)
    assert loaded.outputs[0].shape == (None, None)
    for hits in (0, 2, 6):
        given = np.zeros((1, 6), np.float32)
        given[0, :hits] = 1
        answer = loaded.infer({"x": given})
        assert answer["y"].shape == (hits, 2)
        assert unsound(loaded.outputs, answer, loaded.traits.batch) == ""


@pytest.mark.parametrize("axes", [("open", 3, "open", "open"), ("n", 3, "side", "side"), ("n", 3, "h", "w")])
def test_one_name_for_axes_of_different_extents_fixes_nothing(
    axes: tuple[int | str, ...], tmp_path: Path
) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "same",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, axes)],
    )
    path = tmp_path / "same.onnx"
    save_graph(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    loaded = opened(path, shapes={"x": (None, None, 48, 64)})
    assert loaded.infer({"x": np.ones((2, 3, 48, 64), np.float32)})["y"].shape == (2, 3, 48, 64)


def test_an_input_that_the_card_does_not_mention_leaves_no_name_open(tmp_path: Path) -> None:
    import onnxruntime

    spec = (FLOAT, ("b", "words"))
    nodes = [helper.make_node("Mul", ["ids", "mask"], ["y"])]
    path = onnx_models.save(tmp_path / "two.onnx", nodes, {"ids": spec, "mask": spec}, {"y": spec})
    job = opening.Job(ort=onnxruntime, place=targets.target(onnxruntime, "CPU", ""))
    request = LoadRequest(path=path, format=ONNX, shapes={"ids": (None, 8)})
    assert opening.extents(job, request) == {"words": 8}


def test_rows_that_depend_on_earlier_rows_are_no_batch(tmp_path: Path) -> None:
    spec = (FLOAT, ("N", 4))
    axis = numpy_helper.from_array(np.array(0, np.int64), "axis")
    nodes = [helper.make_node("CumSum", ["x", "axis"], ["y"])]
    path = onnx_models.save(tmp_path / "sum.onnx", nodes, {"x": spec}, {"y": spec}, [axis])
    assert opened(path).traits.batch.kind == "none"


def test_a_declared_rank_that_is_wrong_is_corrected(tmp_path: Path) -> None:
    path = onnx_models.save(
        tmp_path / "rank.onnx",
        [helper.make_node("Squeeze", ["x", "axis"], ["y"])],
        {"x": (FLOAT, ("N", 1, 4))},
        {"y": (FLOAT, ("N", "K"))},
        [numpy_helper.from_array(np.array([1], np.int64), "axis")],
    )
    graph = load_graph(path)
    graph.graph.output[0].type.tensor_type.ClearField("shape")
    save_graph(graph, path)
    loaded = opened(path)
    assert loaded.outputs[0].shape == (None, 4)
    assert loaded.traits.batch.kind == "any"


def test_a_picture_model_of_any_number_of_rows_is_proven(tmp_path: Path) -> None:
    path = onnx_models.save(
        tmp_path / "net.onnx",
        [
            helper.make_node("Conv", ["image", "w"], ["c"]),
            helper.make_node("GlobalAveragePool", ["c"], ["p"]),
            helper.make_node("Flatten", ["p"], ["scores"]),
        ],
        {"image": (FLOAT, ("N", 3, 96, 96))},
        {"scores": (FLOAT, ("N", 5))},
        [numpy_helper.from_array(np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32), "w")],
    )
    assert opened(path).traits.batch.kind == "any"


def test_label_to_score_maps_arrive_as_dicts(tmp_path: Path) -> None:
    path = onnx_models.save(
        tmp_path / "zip.onnx",
        [helper.make_node("ZipMap", ["x"], ["p"], domain="ai.onnx.ml", classlabels_strings=["good", "bad"])],
        {"x": (FLOAT, ("N", 2))},
        {"p": (FLOAT, ("N",))},
    )
    graph = load_graph(path)
    maps = helper.make_map_type_proto(STRING, helper.make_tensor_type_proto(FLOAT, None))
    graph.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(maps))
    save_graph(graph, path)
    loaded = opened(path)
    assert loaded.outputs[0].datatype is Datatype.BYTES
    assert loaded.traits.batch.kind == "any"
    answer = loaded.infer({"x": np.array([[0.25, 0.75], [1, 0]], np.float32)})["p"]
    assert answer.shape == (2,)
    assert answer[0] == {"good": 0.25, "bad": 0.75}


@pytest.mark.parametrize(
    "texts", [["a", "é"], [b"a", "é".encode()], np.array(["a", "é"]), np.array([b"a", b"b"])]
)
def test_texts_go_in_and_out(tmp_path: Path, texts: list[object] | Array) -> None:
    spec = (STRING, ("N",))
    nodes = [helper.make_node("Identity", ["t"], ["u"])]
    loaded = opened(onnx_models.save(tmp_path / "t.onnx", nodes, {"t": spec}, {"u": spec}))
    given = texts if isinstance(texts, np.ndarray) else np.array(texts, dtype=object)
    answer = loaded.infer({"t": given})["u"]
    assert answer.dtype == object
    assert list(answer) == [t.decode() if isinstance(t, bytes) else str(t) for t in given]
    with pytest.raises(SignatureMismatch):
        loaded.infer({"t": np.array([1.5])})


def test_external_data_lies_beside_the_graph(tmp_path: Path) -> None:
    path = onnx_models.write_affine(tmp_path / "big.onnx", external=True)
    assert (tmp_path / "big.onnx.data").is_file()
    x = np.ones((1, 4), np.float32)
    assert np.all(opened(path).infer({"x": x})["y"] == 3)
    (tmp_path / "big.onnx.data").unlink()
    with pytest.raises(ModelRejected, match=r"big\.onnx\.data"):
        opened(path)


def test_external_data_outside_the_folder_is_refused(tmp_path: Path) -> None:
    path = onnx_models.write_affine(tmp_path / "in" / "big.onnx", external=True)
    shutil.move(tmp_path / "in" / "big.onnx.data", tmp_path / "big.onnx.data")
    graph = load_graph(path, load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../big.onnx.data" if entry.key == "location" else entry.value
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelRejected):
        opened(path)


def test_metadata_and_fixed_shapes(tmp_path: Path) -> None:
    spec = (FLOAT, ("batch", "length"))
    nodes = [helper.make_node("Abs", ["x"], ["y"])]
    path = onnx_models.save(tmp_path / "m.onnx", nodes, {"x": spec}, {"y": spec}, metadata={"names": "a,b"})
    loaded = opened(path, shapes={"x": (None, 6)})
    assert loaded.metadata["names"] == "a,b"
    assert loaded.inputs[0].shape == (None, 6)
    with pytest.raises(SignatureMismatch):
        loaded.infer({"x": np.zeros((1, 7), np.float32)})


def test_trees_take_nan_for_a_missing_value(tmp_path: Path) -> None:
    """As XGBoost and LightGBM export them: which way a missing value goes is said in the file."""
    numbers = {"target_nodeids": [1, 2], "target_treeids": [0, 0], "target_ids": [0, 0], "nodes_treeids": [0, 0, 0],
               "nodes_nodeids": [0, 1, 2], "nodes_featureids": [0, 0, 0], "nodes_truenodeids": [1, 0, 0],
               "nodes_falsenodeids": [2, 0, 0], "nodes_missing_value_tracks_true": [1, 0, 0]}  # fmt: skip
    tree = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1,
                            nodes_modes=["BRANCH_LT", "LEAF", "LEAF"], nodes_values=[0.5, 0.0, 0.0],
                            target_weights=[10.0, 20.0], **numbers)  # fmt: skip
    path = onnx_models.save(
        tmp_path / "tree.onnx", [tree], {"x": (FLOAT, ("N", 1))}, {"y": (FLOAT, ("N", 1))}
    )
    answer = opened(path).infer({"x": np.array([[0.2], [0.9], [np.nan]], np.float32)})["y"]
    assert answer.ravel().tolist() == [10, 20, 10]


def test_what_a_run_refuses_is_no_reason_to_reopen(tmp_path: Path) -> None:
    table = numpy_helper.from_array(np.eye(4, dtype=np.float32), "table")
    nodes = [helper.make_node("Gather", ["table", "i"], ["row"])]
    path = onnx_models.save(
        tmp_path / "g.onnx", nodes, {"i": (INT64, ("N",))}, {"row": (FLOAT, ("N", 4))}, [table]
    )
    loaded = opened(path)
    with pytest.raises(InferenceFailed, match="indices element out of data bounds"):
        loaded.infer({"i": np.array([9])})
    assert loaded.infer({"i": np.array([2])})["row"][0, 2] == 1


def test_closing_ends_a_long_run_early(tmp_path: Path) -> None:
    loaded = opened(onnx_models.write(Kind.SLOW, tmp_path))
    x, ends = np.ones((1, 4), np.float32), list[InferenceError]()

    def run() -> None:
        try:
            while True:
                loaded.infer({"x": x})
        except InferenceError as error:
            ends.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    loaded.close()
    thread.join(30)
    assert "closed" in str(ends[0])


def test_types_that_the_port_lacks_are_named(tmp_path: Path) -> None:
    spec = (TensorProto.BFLOAT16, ("N",))
    path = onnx_models.save(
        tmp_path / "b.onnx", [helper.make_node("Identity", ["x"], ["y"])], {"x": spec}, {"y": spec}
    )
    with pytest.raises(ModelRejected, match="bfloat16"):
        opened(path)


def test_an_operator_that_is_unknown_is_named(tmp_path: Path) -> None:
    spec = (FLOAT, ("N",))
    path = onnx_models.save(
        tmp_path / "f.onnx", [helper.make_node("Frobnicate", ["x"], ["y"])], {"x": spec}, {"y": spec}
    )
    with pytest.raises(ModelRejected, match="Frobnicate"):
        opened(path)


def test_precision_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    path = onnx_models.write(Kind.ONE, tmp_path)
    assert opened(path, precision="native").traits.precision == "f32"
    with pytest.raises(ModelRejected, match="cannot be asked for precision f16"):
        opened(path, precision="f16")


def test_two_distributions_in_one_folder_are_both_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(session, "owners", lambda: [("onnxruntime", "1.32.0"), ("onnxruntime-gpu", "1.31.0")])
    with pytest.raises(
        AcceleratorUnavailable, match=r"onnxruntime 1\.32\.0 and onnxruntime-gpu 1\.31\.0 overwrite"
    ):
        opened(onnx_models.write(Kind.ONE, tmp_path))


def test_a_missing_runtime_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = onnx_models.write(Kind.ONE, tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(
        AcceleratorUnavailable, match=r'onnxruntime is missing: pip install "edgex-inference\[onnxruntime'
    ):
        opened(path)


class _Runtime:
    """Stands in for a build with more providers; `usable` are those whose sessions really open."""

    def __init__(self, real: object, usable: set[str], plugins: tuple[str, ...] = ()) -> None:
        self.real, self.usable, self.plugins = real, usable, plugins
        self.asked: list[Mapping[str, object]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    def get_available_providers(self) -> list[str]:
        return [
            "CUDAExecutionProvider",
            "TensorrtExecutionProvider",
            "AzureExecutionProvider",
            "CPUExecutionProvider",
        ]

    def get_ep_devices(self) -> list[object]:
        return [SimpleNamespace(ep_name=name) for name in ("CPUExecutionProvider", *self.plugins)]

    def InferenceSession(self, model: object, settings: object, **keys: object) -> object:
        if keys["providers"] == ["CPUExecutionProvider"]:
            return self.real.InferenceSession(model, **keys)  # type: ignore[attr-defined]
        ((wanted, options),) = keys["providers"]  # type: ignore[misc, attr-defined]
        self.asked.append({"provider": wanted, **options})
        native = self.real.InferenceSession(model, providers=["CPUExecutionProvider"])  # type: ignore[attr-defined]
        first = wanted if wanted in self.usable else "CPUExecutionProvider"
        native.get_providers = lambda: [first, "CPUExecutionProvider"]
        native.get_provider_graph_assignment_info = list
        return native


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> _Runtime:
    import onnxruntime

    made = _Runtime(onnxruntime, {"CUDAExecutionProvider"}, ("QNNExecutionProvider",) * 2)
    monkeypatch.setattr(session, "_vendor", lambda: made)
    monkeypatch.setattr(targets, "packages", tuple)
    return made


def test_compiled_in_is_not_usable(runtime: _Runtime) -> None:
    assert [device.id for device in session.devices()] == ["CPU", "CUDA", "QNN", "QNN.1"]
    assert [device.kind for device in session.devices()] == ["cpu", "gpu", "npu", "npu"]


def test_a_silent_fallback_to_the_cpu_is_refused(runtime: _Runtime, tmp_path: Path) -> None:
    path = onnx_models.write(Kind.ONE, tmp_path)
    with pytest.raises(AcceleratorUnavailable, match="fell back to CPUExecutionProvider"):
        opened(path, device="TENSORRT")
    opened(
        path, device="CUDA.1", options=Options(provider_options={"arena_extend_strategy": "kSameAsRequested"})
    )
    assert runtime.asked[-1] == {
        "provider": "CUDAExecutionProvider",
        "device_id": "1",
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
    }


def test_a_lost_gpu_is_a_lost_device(runtime: _Runtime, tmp_path: Path) -> None:
    loaded = opened(onnx_models.write(Kind.ONE, tmp_path), device="CUDA")

    def lost(*_: object) -> object:
        raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")

    loaded._run = lost  # type: ignore[attr-defined]
    with pytest.raises(DeviceLost, match=r"onnxruntime:CUDA is lost: CUDA failure 700"):
        loaded.infer({"x": np.zeros((1, 4), np.float32)})


def test_strict_placement_is_asked_of_the_real_runtime(tmp_path: Path) -> None:
    """Azure's provider takes no node of this graph: with fallback disabled the runtime itself must refuse."""
    import onnxruntime

    place = targets.Target(id="AZURE", provider="AzureExecutionProvider")
    path = onnx_models.write(Kind.ONE, tmp_path)
    job = opening.Job(ort=onnxruntime, place=place)
    with pytest.raises(Exception, match=opening.STRICT):
        opening.opened(job, str(path))
    assert opening.left(job, path) == "2 of 2 nodes (Add, Mul)"
