"""The part of the accelerator's contract suite that is about numbers: right ones, or none at all."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.errors import SignatureMismatch
from edgex_inference.contracts.tensors import Array
from edgex_inference.testing.accelerator_suite import AcceleratorSuite, numbers
from edgex_inference.testing.kinds import Capability, Kind


class NumberPromises(AcceleratorSuite):
    """Answers are those of the model that was asked for, in the precision that was asked for, or a refusal."""

    @pytest.mark.parametrize("rows", [1, 2, 7, 64])
    def test_numbers_are_right_at_several_batch_sizes(self, tmp_path: Path, rows: int) -> None:
        if rows > 1 and Capability.BATCHES not in self.capabilities:
            return
        with self._session(Kind.ANY, tmp_path) as session:
            self._check_affine(session, numbers(rows, rows))
            if Capability.BATCHES in self.capabilities:
                assert session.traits.batch.kind in ("any", "range")

    def test_one_row_means_no_batch(self, tmp_path: Path) -> None:
        with self._session(Kind.ONE, tmp_path) as session:
            assert session.traits.batch.kind == "none"
            with pytest.raises(SignatureMismatch):
                session.infer({"x": numbers(2, 0)})

    def test_a_fixed_batch_is_found(self, tmp_path: Path) -> None:
        if Capability.FIXED_BATCHES not in self.capabilities:
            return
        with self._session(Kind.FIXED, tmp_path) as session:
            assert (session.traits.batch.kind, session.traits.batch.most) == ("fixed", 3)
            self._check_affine(session, numbers(3, 0))

    def test_rows_that_depend_on_each_other_are_no_batch(self, tmp_path: Path) -> None:
        if Capability.PROBES not in self.capabilities:
            return
        with self._session(Kind.MIXED, tmp_path) as session:
            assert session.traits.batch.kind == "none"

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

    def test_f32_is_computed_in_f32(self, tmp_path: Path) -> None:
        if Capability.PRODUCTS not in self.capabilities:
            return
        with self._session(Kind.SUM, tmp_path) as session:
            assert session.traits.precision == "f32"
            x = np.random.default_rng(7).normal(size=(1, 64)).astype(np.float32)
            y = session.infer({"x": x})["y"]
            assert np.allclose(y, x.sum(dtype=np.float64), atol=1e-4)

    def test_several_inputs_and_outputs_keep_their_names(self, tmp_path: Path) -> None:
        if Capability.SEVERAL not in self.capabilities:
            return
        a, b = numbers(1, 1)[:, :3].copy(), numbers(1, 2)[:, :3].copy()
        with self._session(Kind.TWO, tmp_path) as session:
            answer = session.infer({"b": b, "a": a})
            assert np.allclose(answer["total"], a + b, atol=self.tolerance)
            assert np.allclose(answer["difference"], a - b, atol=self.tolerance)

    def test_nan_is_not_made_up_into_a_number(self, tmp_path: Path) -> None:
        kinds = [Kind.ONE, *([Kind.CLAMPED] if Capability.CLAMPS in self.capabilities else [])]
        for kind in kinds:
            with self._session(kind, tmp_path) as session:
                x = np.full((1, 4), np.nan, dtype=np.float32)
                try:
                    y = session.infer({"x": x})["y"]
                except SignatureMismatch:
                    continue
                assert np.isnan(y).all()

    def test_callers_with_batches_of_different_lengths(self, tmp_path: Path) -> None:
        if Capability.BATCHES not in self.capabilities:
            return
        with self._session(Kind.ANY, tmp_path) as session:
            callers = session.parallel if session.traits.affinity == "any" else 0
            barrier = threading.Barrier(max(1, callers))

            def call(caller: int) -> None:
                barrier.wait(30)
                for turn in range(30):
                    self._check_affine(session, numbers(1 + (caller + turn) % 5, caller * 100 + turn))

            with ThreadPoolExecutor(max(1, callers)) as pool:
                for future in [pool.submit(call, caller) for caller in range(callers)]:
                    future.result(60)

    @pytest.mark.parametrize("cache", ["kept", "damaged", "impossible"])
    def test_a_cache_never_answers_for_another_model(self, tmp_path: Path, cache: str) -> None:
        if Capability.REPLACED not in self.capabilities:
            return
        folder = tmp_path / "cache"
        if cache == "impossible":
            folder.write_text("a file is in the way")
        path = self.model(Kind.ONE, tmp_path / "model")
        for _ in range(2):
            session = self._load(path, cache=folder)
            self._check_affine(session, numbers(1, 1))
            session.close()
        if cache == "damaged":
            for file in [one for one in folder.rglob("*") if one.is_file()]:
                file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
            session = self._load(path, cache=folder)
            self._check_affine(session, numbers(1, 2))
            session.close()
        shutil.rmtree(tmp_path / "model")
        assert self.model(Kind.OTHER, tmp_path / "model") == path, "OTHER has the file names of ONE"
        session = self._load(path, cache=folder)
        x: Array = numbers(1, 3)
        assert np.allclose(session.infer({"x": x})["y"], 3 * x - 1, atol=self.tolerance)
        session.close()
