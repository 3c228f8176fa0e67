"""The part of the accelerator's contract suite that is about numbers: right ones, or none at all."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.errors import SignatureMismatch
from edgex_inference.contracts.tensors import Array
from edgex_inference.testing.accelerator_suite import numbers
from edgex_inference.testing.accelerator_types import TypePromises
from edgex_inference.testing.kinds import Capability, Kind


class NumberPromises(TypePromises):
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

    def test_rows_that_the_request_asks_for(self, tmp_path: Path) -> None:
        fixes = {Capability.SHAPES, Capability.FIXED_BATCHES} <= self.capabilities
        if Capability.BATCHES not in self.capabilities and not fixes:
            return
        with self._session(Kind.ANY, tmp_path, batch=3) as session:
            self._check_affine(session, numbers(3, 3))
            if Capability.BATCHES not in self.capabilities:
                assert (session.traits.batch.kind, session.traits.batch.most) == ("fixed", 3)

    def test_rows_that_depend_on_each_other_are_no_batch(self, tmp_path: Path) -> None:
        if Capability.PROBES not in self.capabilities:
            return
        with self._session(Kind.MIXED, tmp_path) as session:
            assert session.traits.batch.kind == "none"

    def test_any_length_of_an_open_axis(self, tmp_path: Path) -> None:
        if Capability.OPEN_EXTENTS not in self.capabilities:
            return
        with self._session(Kind.OPEN, tmp_path) as session:
            assert session.inputs[0].shape[-1] is None
            for width in (6, 3, 11):
                self._check_affine(session, wide(2, width))

    def test_extents_that_the_request_fixes_are_fixed(self, tmp_path: Path) -> None:
        if Capability.SHAPES not in self.capabilities:
            return
        with self._session(Kind.OPEN, tmp_path / "a", shapes={"x": (None, 6)}) as session:
            assert session.inputs[0].shape[-1] == 6
            self._check_affine(session, wide(1, 6))
            with pytest.raises(SignatureMismatch):
                session.infer({"x": wide(1, 7)})
        with self._session(Kind.ANY, tmp_path / "b", shapes={"x": (1, 4)}) as session:
            assert session.inputs[0].shape == (1, 4)
            assert session.traits.batch.kind == "none"
            self._check_affine(session, numbers(1, 8))
            with pytest.raises(SignatureMismatch):
                session.infer({"x": numbers(2, 8)})

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


def wide(rows: int, width: int) -> Array:
    """Normal random numbers [rows, width]."""
    return np.random.default_rng(width).normal(size=(rows, width)).astype(np.float32)
