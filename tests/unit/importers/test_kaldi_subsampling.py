"""One frame of several, as a chain model of Kaldi gives them: the same numbers, and no frame computed for nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx.reference
import onnxruntime
import pytest

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.importers.kaldi import convert, subsampling
from edgex_inference.testing.kaldi_components import with_ivector, x_vector
from edgex_inference.testing.kaldi_models import KaldiNet
from edgex_inference.testing.kaldi_networks import NETWORKS, chain, counting, evaluated, random, written
from edgex_inference.testing.kaldi_older import deep, pnorm

LENGTHS = (1, 2, 3, 4, 6, 11)


def answers(model: Any, **data: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    exact = onnx.reference.ReferenceEvaluator(model)
    return [session.run(["output"], data)[0], exact.run(["output"], data)[0]]


def context(model: Any) -> int:
    said = {pair.key: pair.value for pair in model.metadata_props}
    return int(said["context.left"]) + int(said["context.right"])


@pytest.mark.parametrize("every", [2, 3, 5])
@pytest.mark.parametrize("edges", ["held", "cut"])
def test_they_are_those_that_come_out_of_all(edges: Any, every: int, tmp_path: Path) -> None:
    """Of a network that remembers nothing; by steps that its layers keep to, and by others."""
    for name, net in (("chain", chain()), ("counting", counting())):
        file = net.write(tmp_path / name, binary=True)
        all_, some = convert(file, edges=edges), convert(file, edges=edges, every=every)
        assert context(all_) == context(some)
        for frames in LENGTHS:
            data = random(2, frames + (context(all_) if edges == "cut" else 0), 5, seed=frames)
            wanted = answers(all_, input=data)[0][:, ::every]
            assert wanted.shape[1] == -(-frames // every)
            for found in answers(some, input=data):
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_frame_that_may_not_be_there(tmp_path: Path) -> None:
    """Three frames before the first there is none of the layer, and one two frames before it is not asked for."""
    net = chain()
    fed = "Append(IfDefined(Offset(t1, -3)), Offset(input, -3), Offset(input, 1))"
    lines = [
        net.lines[0],
        *(one for one in net.lines if "name=t1 " in one),
        f"output-node name=output input={fed}",
    ]
    file = replace(net, lines=lines).write(tmp_path / "final.raw", binary=True)
    data = random(1, 8, 5)
    wanted = answers(convert(file), input=data)[0]
    assert not wanted[0, 0, :6].any()
    assert wanted[0, 3, :6].all()
    for found in answers(convert(file, every=3), input=data):
        np.testing.assert_allclose(found, wanted[:, ::3], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_remembers_ends_with_what_is_asked_for(name: str, tmp_path: Path) -> None:
    """Backwards it begins where the last frame that comes out does, with its context, as Kaldi sees it."""
    specs, (left, right) = NETWORKS[name]
    model = convert(written(specs).write(tmp_path / "final.raw", binary=True), every=3)
    for frames in (1, 6, 8):
        data = random(1, frames, 5, seed=9) * 2
        seen = np.concatenate((data[0, :1].repeat(left, 0), data[0], data[0, -1:].repeat(right, 0)))
        value = evaluated(specs, seen[: left + (frames - 1) // 3 * 3 + 1 + right], (0, 0))
        wanted = np.stack([value("out", left + t) for t in range(0, frames, 3)])
        for found in answers(model, input=data):
            np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-5)


def test_upper_layers_compute_no_frame_for_nothing(tmp_path: Path) -> None:
    """The lowest layer is computed in all frames that the one above it reads, those above it in each third."""
    file = chain().write(tmp_path / "final.mdl", binary=True)
    for every, wanted in ((1, [74, 72, 69, 66, 63, 60, 60]), (3, [72, 24, 23, 22, 21, 20, 20])):
        model = convert(file, every=every)
        products = [node.output[0] for node in model.graph.node if node.op_type == "MatMul"]
        for name in products:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        found = session.run(products, {"input": random(1, 60, 5)})
        assert [one.shape[1] for one in found] == wanted


def test_an_ivector_is_there_for_every_frame(tmp_path: Path) -> None:
    file = with_ivector(random(4, 13), random(4)).write(tmp_path / "final.mdl", binary=True)
    data = {"input": random(2, 7, 5), "ivector": random(2, 3)}
    wanted = answers(convert(file), **data)[0][:, ::3]
    for found in answers(convert(file, every=3), **data):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("net", "every", "wanted"),
    [
        (x_vector(random(4, 12), random(4)), 3, "none can be left out: say --frame-subsampling-factor 1"),
        (deep(), 3, "is of nnet1, which knows no frame subsampling: say --frame-subsampling-factor 1"),
        (pnorm(), 2, "is of nnet2, which knows no frame subsampling"),
        (chain(), 0, "a frame subsampling factor of 0"),
        (chain(), 101, "a frame subsampling factor of 101"),
    ],
)
def test_factors_that_do_not_fit(net: KaldiNet, every: int, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match=wanted):
        convert(net.write(tmp_path / "final.raw", binary=True), every=every)


@pytest.mark.parametrize(("text", "factor"), [(None, 1), ("3\n", 3), (" 1 ", 1)])
def test_the_factor_that_recipes_keep(text: str | None, factor: int, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "frame_subsampling_factor").write_text(text)
    assert subsampling(tmp_path / "final.mdl") == factor


@pytest.mark.parametrize("text", ["", "three", "-3", "0", "3.0"])
def test_a_factor_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "frame_subsampling_factor").write_text(text)
    with pytest.raises(
        ModelRejected, match=r"final.mdl': has frame_subsampling_factor beside it, which says "
    ):
        subsampling(tmp_path / "final.mdl")


def test_a_factor_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "frame_subsampling_factor").mkdir()
    with pytest.raises(ModelRejected, match=r"cannot be read: .*; say --frame-subsampling-factor"):
        subsampling(tmp_path / "final.mdl")
