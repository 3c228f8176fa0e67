"""The part of the accelerator's contract suite that is about what a session says of itself: where, and how exactly."""

from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import Session
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.testing.accelerator_numbers import NumberPromises
from edgex_inference.testing.accelerator_suite import numbers
from edgex_inference.testing.kinds import STEP_ANSWER, WEIGHTS, Capability, Kind

_OFF = {"f32": 1e-4, "tf32": 0.05, "f16": 0.05, "bf16": 0.5, "int8": 4.0}
"""How far the sum of 64 normal numbers may be off in each precision."""


class ReportPromises(NumberPromises):
    """Nothing runs elsewhere, or less exactly, than the session says."""

    def test_each_device_keeps_its_nodes(self, tmp_path: Path) -> None:
        """On a device of its kind; what stands for several others (`other`) runs on some that are listed."""
        devices = self.plugin.devices()
        kinds = {"CPU": "cpu", **{device.id.upper(): device.kind for device in devices}}
        path = self.model(Kind.ONE, tmp_path)
        for device in devices:
            session = self._load(path, device=device.id)
            placement = dict(session.traits.placement)
            session.close()
            assert placement, f"{device.id}: no word on where the nodes are"
            assert all(type(count) is int and count > 0 for count in placement.values()), placement
            places = [place.upper() for key in placement for place in key.split("+")]
            assert set(places) <= set(kinds), f"{device.id}: {placement} names devices that are not listed"
            if device.kind != "other":
                found = {kinds[place] for place in places}
                assert found == {device.kind}, f"{device.id} was asked for, and it runs on {placement}"

    def test_placement_counts_the_graph(self, tmp_path: Path) -> None:
        if Capability.COUNTS not in self.capabilities:
            return
        counts = []
        for kind in (Kind.ONE, Kind.SLOW):
            with self._session(kind, tmp_path) as session:
                counts.append(sum(session.traits.placement.values()))
        assert counts[0] + 3 <= counts[1], f"a graph of two nodes has {counts[0]}, one of many {counts[1]}"

    def test_f32_is_computed_in_f32(self, tmp_path: Path) -> None:
        with self._session(self._exact_kind, tmp_path) as session:
            assert session.traits.precision == "f32"
            self._check_exactness(session, "f32")

    @pytest.mark.parametrize("precision", ["native", "f16", "bf16", "int8"])
    def test_a_precision_is_held_or_refused(self, tmp_path: Path, precision: str) -> None:
        path = self.model(self._exact_kind, tmp_path)
        session, refusal = None, ""
        try:
            session = self._load(path, precision=precision)
        except ModelRejected as error:
            refusal = error.reason
        if session is None:
            assert precision != "native", f"native is whatever the device likes best: {refusal}"
            assert precision in refusal, f"the refusal does not name {precision}: {refusal}"
            return
        effective = session.traits.precision
        assert effective in _OFF, f"{effective} is no precision"
        assert precision in ("native", effective), f"{precision} was asked for, {effective} was given"
        self._check_exactness(session, effective)
        session.close()

    def test_a_quantized_file_is_within_its_steps_and_says_so(self, tmp_path: Path) -> None:
        if Capability.QUANTIZED not in self.capabilities:
            return
        with self._session(Kind.QUANTIZED, tmp_path) as session:
            assert session.traits.precision == "int8"
            for seed in range(5):
                x = np.random.default_rng(seed).uniform(-0.99, 0.99, (1, 64)).astype(np.float32)
                y = session.infer({"x": x})["y"]
                off = np.abs(y - x.astype(np.float64) @ WEIGHTS).max() / STEP_ANSWER
                assert off <= self.quantized, f"{off:.2f} steps off"

    @property
    def _exact_kind(self) -> Kind:
        return Kind.SUM if Capability.PRODUCTS in self.capabilities else Kind.ONE

    def _check_exactness(self, session: Session, precision: str) -> None:
        if Capability.PRODUCTS in self.capabilities:
            x = np.random.default_rng(7).normal(size=(1, 64)).astype(np.float32)
            wanted = x.sum(dtype=np.float64)
        else:
            x = numbers(1, 7)
            wanted = 2 * x.astype(np.float64) + 1
        y = session.infer({"x": x})["y"]
        assert y.dtype == np.float32
        assert np.allclose(y, wanted, atol=_OFF[precision]), f"less exact than {precision}"
