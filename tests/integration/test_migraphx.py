"""What the plug-in for MIGraphX does with files, machines, programs and runs; over a stand-in of its C library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelerators.migraphx import PLUGIN, library
from accelerators.migraphx.graph import names
from edgex_inference.contracts.accelerator import MIGRAPHX_PROGRAM, ONNX, Format, LoadRequest, Session
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.tensors import Datatype
from edgex_inference.engine.options import decode, option_problems
from edgex_inference.testing import onnx_models
from edgex_inference.testing.kinds import Kind
from tests.simulators.migraphx import BEFORE_7_1, SINCE_7_1, Library


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Library]:
    def make(**keys: Any) -> Library:
        made = Library(**keys)
        monkeypatch.setattr(library, "_loaded", lambda _name: made)
        return made

    return make


def request(path: Path, format_: Format = ONNX, **keys: Any) -> LoadRequest:
    options = decode(PLUGIN, keys.pop("options", {}))
    return LoadRequest(path=path, format=format_, options=options, **keys)


def opened(*arguments: Any, **keys: Any) -> Session:
    assert PLUGIN.load is not None
    return PLUGIN.load(request(*arguments, **keys))


def test_without_the_library_the_cure_is_named() -> None:
    if PLUGIN.version() is not None:
        pytest.skip("declared: a libmigraphx_c is installed")
    with pytest.raises(
        AcceleratorUnavailable, match=r"libmigraphx_c\.so\.3 is missing: install ROCm's package"
    ):
        PLUGIN.devices()


def test_the_library_is_found_without_being_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading it brings ROCm into the process, and its number is that of the file behind the links."""
    real = tmp_path / "rocm" / "libmigraphx_c.so.3.0.70101"
    real.parent.mkdir()
    real.write_bytes(b"\x7fELF")
    (real.parent / "libmigraphx_c.so.3").symlink_to(real.name)
    monkeypatch.setattr(library, "_loaded", lambda name: pytest.fail(f"{name} is loaded"))
    path = onnx_models.write_affine(tmp_path / "m.onnx", shape=(1, 4))
    assert PLUGIN.identity is not None
    cache = tmp_path / "ld.so.cache"
    monkeypatch.setattr(library, "_CACHE", cache)
    cache.write_bytes(
        b"libm.so.6\0libmigraphx_c.so.3\0" + bytes(real.with_name("libmigraphx_c.so.3")) + b"\0"
    )
    assert PLUGIN.version() == "3.0.70101"
    assert PLUGIN.identity(request(path))["library"] == "libmigraphx_c.so.3.0.70101 of 4 bytes"
    cache.unlink()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere:{real.parent}")
    assert PLUGIN.version() == "3.0.70101"
    named = request(path, options={"library": str(real)})
    assert PLUGIN.identity(named)["library"] == "libmigraphx_c.so.3.0.70101 of 4 bytes"


def test_without_a_gpu_the_reference_is_listed_and_the_gpu_refused(
    native: Callable[..., Library], tmp_path: Path
) -> None:
    native(gpu=False)
    assert [one.id for one in PLUGIN.devices()] == ["REF"]
    path = onnx_models.write_affine(tmp_path / "m.onnx", shape=(1, 4))
    with pytest.raises(AcceleratorUnavailable, match=r"migraphx:GPU.*no GPU for it here .*status 4"):
        opened(path)
    session = opened(path, device="REF")
    assert np.all(session.infer({"x": np.ones((1, 4), np.float32)})["y"] == 3)
    assert session.traits.placement == {"REF": 1}
    session.close()


def test_the_numbers_of_element_types_are_found_out(native: Callable[..., Library], tmp_path: Path) -> None:
    path = onnx_models.write_affine(tmp_path / "m.onnx", shape=(1, 4))
    for types in (BEFORE_7_1, SINCE_7_1):
        native(types=types)
        session = opened(path)
        assert session.inputs[0].datatype is Datatype.FP32
        assert np.all(session.infer({"x": np.ones((1, 4), np.float32)})["y"] == 3)
        session.close()
    native(types=("", "bool"))
    with pytest.raises(AcceleratorUnavailable, match="numbers its element types as none before"):
        opened(path)


def test_an_open_batch_is_compiled_for_the_length_that_is_asked_for(
    native: Callable[..., Library], tmp_path: Path
) -> None:
    native()
    session = opened(onnx_models.write_affine(tmp_path / "m.onnx"), options={"batch": 8, "programs": 2})
    assert (session.inputs[0].shape, session.parallel) == ((8, 4), 2)
    assert (session.traits.batch.kind, session.traits.batch.most) == ("fixed", 8)
    session.close()


def test_a_compiled_program_says_the_same_with_the_same_names(
    native: Callable[..., Library], tmp_path: Path
) -> None:
    native()
    assert PLUGIN.compile is not None
    assert PLUGIN.identity is not None
    told: list[object] = []
    asked = request(
        onnx_models.write_affine(tmp_path / "m.onnx", shape=(1, 4)),
        cache=tmp_path / "made",
        progress=lambda *words: told.append(words),
    )
    made = PLUGIN.compile(asked)
    assert (made.format, made.beside) == (MIGRAPHX_PROGRAM, (tmp_path / "made" / "m.mxr.json",))
    assert made.made_with == PLUGIN.identity(asked)
    assert told == [(None, "compiling")]
    session = opened(made.path, MIGRAPHX_PROGRAM)
    assert np.all(session.infer({"x": np.ones((1, 4), np.float32)})["y"] == 3)
    session.close()
    made.beside[0].write_text("{}")
    with pytest.raises(ModelRejected, match="the names beside it cannot be read"):
        opened(made.path, MIGRAPHX_PROGRAM)
    made.beside[0].unlink()
    with pytest.raises(ModelRejected, match=r"m\.mxr\.json: No such file"):
        opened(made.path, MIGRAPHX_PROGRAM)


def test_a_run_that_fails_is_a_lost_device(native: Callable[..., Library], tmp_path: Path) -> None:
    native()
    session = opened(onnx_models.write_affine(tmp_path / "m.onnx", shape=(1, 4)))
    with pytest.raises(DeviceLost, match="program_run says status 4"):
        session.infer({"x": np.full((1, 4), 2000, np.float32)})
    session.close()


def test_nothing_of_the_librarys_is_left_behind(native: Callable[..., Library], tmp_path: Path) -> None:
    made = native()
    session = opened(onnx_models.write_affine(tmp_path / "m.onnx", shape=(1, 4)))
    for _ in range(20):
        session.infer({"x": np.ones((1, 4), np.float32)})
    session.close()
    del session
    assert made.alive == 0


def test_int8_and_wrong_options_are_refused(native: Callable[..., Library], tmp_path: Path) -> None:
    native()
    path = onnx_models.write_affine(tmp_path / "m.onnx", shape=(1, 4))
    with pytest.raises(ModelRejected, match="int8 needs a model that is quantized itself"):
        opened(path, precision="int8")
    assert opened(path, precision="f16").traits.precision == "f16"
    assert "batch must be 1 to 4096" in option_problems(PLUGIN, {"batch": 0})["batch"]


def test_quantized_files_say_so_and_nan_is_refused(native: Callable[..., Library], tmp_path: Path) -> None:
    native()
    assert names(onnx_models.write(Kind.QUANTIZED, tmp_path)).quantized
    path = onnx_models.write(Kind.ONE, tmp_path)
    assert not names(path).quantized
    session = opened(path)
    with pytest.raises(SignatureMismatch, match="x holds NaN, of which a chip may make a plausible number"):
        session.infer({"x": np.full((1, 4), np.nan, np.float32)})
    session.close()


def test_names_of_a_real_file_and_of_damaged_ones(testdata: Path, tmp_path: Path) -> None:
    whole = testdata / "models" / "face-rfb320" / "version-RFB-320.onnx"
    found = names(whole)
    assert (found.inputs, found.outputs) == ({"input": (1, 3, 240, 320)}, ["scores", "boxes"])
    for size in (0, 1, 10, 1000):
        part = tmp_path / "part.onnx"
        part.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(ModelRejected, match=r"is empty|is no ONNX model, or a truncated one"):
            names(part)
