"""The part of the accelerator's contract suite that is about element types: they go in and come out as declared."""

from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.errors import ModelRejected, SignatureMismatch
from edgex_inference.contracts.tensors import Array, Datatype
from edgex_inference.testing.accelerator_suite import AcceleratorSuite, numbers
from edgex_inference.testing.kinds import Capability, Kind

_SIXTEEN = {
    Kind.HALVES: (Capability.HALVES, Datatype.FP16, np.array([[0.5, -2, 3.25, 100]], np.float16)),
    Kind.SHORTS: (Capability.SHORTS, Datatype.INT16, np.array([[1, -2, 300, -16000]], np.int16)),
    Kind.WORDS: (Capability.SHORTS, Datatype.UINT16, np.array([[1, 2, 300, 32000]], np.uint16)),
}


class TypePromises(AcceleratorSuite):
    """No element type turns into another one on the way, and one that cannot be had is named."""

    def test_integers_stay_integers(self, tmp_path: Path) -> None:
        if Capability.INTEGERS not in self.capabilities:
            return
        with self._session(Kind.INTEGERS, tmp_path) as session:
            x = np.array([[1, -5]], dtype=np.int64)
            y = session.infer({"x": x})["y"]
            assert y.dtype == np.int64
            assert np.array_equal(y, 2 * x + 1)

    def test_wide_integers_are_kept_or_refused(self, tmp_path: Path) -> None:
        if Capability.INTEGERS not in self.capabilities:
            return
        with self._session(Kind.INTEGERS, tmp_path) as session:
            x = np.array([[1, -(2**40)]], dtype=np.int64)
            try:
                y = session.infer({"x": x})["y"]
            except SignatureMismatch:
                return
            assert np.array_equal(y, 2 * x + 1)

    @pytest.mark.parametrize("kind", list(_SIXTEEN), ids=lambda kind: kind.name.lower())
    def test_sixteen_bits_stay_sixteen_bits(self, tmp_path: Path, kind: Kind) -> None:
        capability, datatype, x = _SIXTEEN[kind]
        if capability not in self.capabilities:
            return
        with self._session(kind, tmp_path) as session:
            assert session.inputs[0].datatype is session.outputs[0].datatype is datatype
            y = session.infer({"x": x})["y"]
            assert y.dtype == x.dtype
            assert np.array_equal(y, 2 * x + 1)
            with pytest.raises(SignatureMismatch, match="x"):
                session.infer({"x": x.astype(np.float32)})

    def test_a_type_that_arrays_lack_is_named(self, tmp_path: Path) -> None:
        if Capability.NAMES_TYPES not in self.capabilities:
            return
        with pytest.raises(ModelRejected, match=r"(?i)bf(loat)?16"):
            self._load(self.model(Kind.BRAINS, tmp_path))

    def test_texts_go_in_and_come_out(self, tmp_path: Path) -> None:
        if Capability.TEXTS not in self.capabilities:
            return
        texts = np.array(["one", "", "zwölf", "a longer one with spaces"], dtype=object)
        with self._session(Kind.TEXTS, tmp_path) as session:
            assert session.inputs[0].datatype is session.outputs[0].datatype is Datatype.BYTES
            y = session.infer({"x": texts})["y"]
            assert y.dtype == object
            assert list(y) == list(texts)
            with pytest.raises(SignatureMismatch):
                session.infer({"x": np.array([1.5], np.float32)})

    def test_several_inputs_and_outputs_keep_their_names(self, tmp_path: Path) -> None:
        if Capability.SEVERAL not in self.capabilities:
            return
        a, b = numbers(1, 1)[:, :3].copy(), numbers(1, 2)[:, :3].copy()
        with self._session(Kind.TWO, tmp_path) as session:
            answer = session.infer({"b": b, "a": a})
            assert np.allclose(answer["total"], a + b, atol=self.tolerance)
            assert np.allclose(answer["difference"], a - b, atol=self.tolerance)

    def test_inputs_of_several_types_keep_theirs(self, tmp_path: Path) -> None:
        if not {Capability.SEVERAL, Capability.INTEGERS} <= self.capabilities:
            return
        a: Array = numbers(1, 3)[:, :3].copy()
        n = np.array([[7, -8, 2**20]], dtype=np.int64)
        with self._session(Kind.TYPES, tmp_path) as session:
            assert {spec.name: spec.datatype for spec in session.inputs} == {
                "a": Datatype.FP32,
                "n": Datatype.INT64,
            }
            answer = session.infer({"n": n, "a": a})
            assert answer["shifted"].dtype == np.float32
            assert np.allclose(answer["shifted"], a + n, rtol=1e-6, atol=self.tolerance)
            assert answer["doubled"].dtype == np.int64
            assert np.array_equal(answer["doubled"], 2 * n)
            with pytest.raises(SignatureMismatch, match="n"):
                session.infer({"a": a, "n": n.astype(np.int32)})
