"""The accelerator contract on the shipped fake."""

from pathlib import Path

from edgex_inference.testing.accelerator import AcceleratorContract
from edgex_inference.testing.fake_accelerator import FAKE, PLUGIN, write_model
from edgex_inference.testing.kinds import Capability, Kind


class TestFake(AcceleratorContract):
    plugin = PLUGIN
    module = "edgex_inference.testing.fake_accelerator"
    format = FAKE
    capabilities = frozenset(
        {Capability.BATCHES, Capability.FIXED_BATCHES, Capability.INTEGERS, Capability.REPLACED}
        | {Capability.OPEN_EXTENTS, Capability.HALVES, Capability.SHORTS, Capability.TEXTS}
    )

    def model(self, kind: Kind, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        path = folder / f"{(Kind.ONE if kind is Kind.OTHER else kind).name}.fake"
        if kind is Kind.BROKEN:
            path.write_text('{"scale": 2, "offset')
            return path
        return write_model(path, **MODELS[kind])


class TestFakeWithOneThread(TestFake):
    """The fake as a chip that must be driven from the thread that loaded it."""

    def model(self, kind: Kind, folder: Path) -> Path:
        path = super().model(kind, folder)
        if kind is not Kind.BROKEN:
            write_model(path, **{**MODELS[kind], "affinity": "thread", "parallel": 1})
        return path


MODELS: dict[Kind, dict[str, object]] = {
    Kind.ANY: {"shape": [None, 4]},
    Kind.ONE: {"shape": [1, 4], "batch": "none"},
    Kind.OTHER: {"shape": [1, 4], "batch": "none", "scale": 3, "offset": -1},
    Kind.OPEN: {"shape": [None, None]},
    Kind.HALVES: {"shape": [1, 4], "batch": "none", "datatype": "FP16"},
    Kind.SHORTS: {"shape": [1, 4], "batch": "none", "datatype": "INT16"},
    Kind.WORDS: {"shape": [1, 4], "batch": "none", "datatype": "UINT16"},
    Kind.TEXTS: {"shape": [None], "datatype": "BYTES"},
    Kind.FIXED: {"shape": [3, 4], "batch": "fixed", "most": 3},
    Kind.INTEGERS: {"shape": [None, 2], "datatype": "INT64"},
    Kind.SLOW: {"shape": [1, 4], "batch": "none", "delay": 0.02},
}
