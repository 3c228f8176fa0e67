"""The accelerator contract against a server that `python -m tests.remotes` has started; not a part of `make test`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from accelerators.remote import PLUGIN
from edgex_inference.contracts.accelerator import REMOTE
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.kinds import Capability, Kind


class TestServer(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "accelerators.remote", "urllib3"
    format = REMOTE
    options: ClassVar[Mapping[str, object]] = {
        "url": os.environ["EDGEX_INFERENCE_REMOTE_URL"],
        "timeout": 30.0,
    }
    # A model is put in place of another by hand there, which is the server's business.
    capabilities = frozenset(
        {
            Capability.BATCHES,
            Capability.FIXED_BATCHES,
            Capability.PROBES,
            Capability.INTEGERS,
            Capability.SEVERAL,
            Capability.PRODUCTS,
            Capability.CLAMPS,
        }
    )

    @pytest.mark.parametrize("precision", ["native", "f16", "bf16", "int8"])
    def test_a_precision_is_held_or_refused(self, tmp_path: Path, precision: str) -> None:
        path = self.model(Kind.SUM, tmp_path)
        if precision == "native":
            self._load(path, precision=precision).close()
            return
        with pytest.raises(ModelRejected, match=f"the server's, not {precision}"):
            self._load(path, precision=precision)

    def model(self, kind: Kind, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{kind.name.lower()}.remote"
        path.write_text("")
        return path

    def test_f32_is_computed_in_f32(self, tmp_path: Path) -> None:
        """A server tells nobody in what it computes; this one's answers are right."""
        with self._session(Kind.SUM, tmp_path) as session:
            assert session.traits.precision == "native"
            x = np.random.default_rng(7).normal(size=(1, 64)).astype(np.float32)
            assert np.allclose(session.infer({"x": x})["y"], x.sum(dtype=np.float64), atol=1e-4)

    def test_halves_whole_numbers_and_texts(self) -> None:
        for name, x in (
            ("halves", np.array([[0.5, -2, 65504, 1e-3]], np.float16)),
            ("bytes", np.array([[0, 1, 254, 255]], np.uint8)),
            ("texts", np.array([["pump", "Überdruck"]], dtype=object)),
        ):
            session = self._load(Path(f"{name}.remote"))
            try:
                assert session.infer({"x": x})["y"].tolist() == x.tolist()
                assert session.inputs[0].datatype.numpy == x.dtype
            finally:
                session.close()
