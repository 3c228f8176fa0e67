"""The contract that every accelerator keeps, as a pytest class: subclass it, and give it your plug-in and models.

class TestMine(AcceleratorContract):
    plugin = PLUGIN
    module, vendor = "mine.plugin", "minelib"
    format = Format("onnx")
    def model(self, kind: Kind, folder: Path) -> Path: ...   # writes the model of this kind
"""

import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import is_dataclass
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import (
    CONTRACT,
    Accelerator,
    Format,
    InferenceDevice,
    Traits,
)
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    EdgexInferenceError,
    InferenceError,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.tensors import Datatype, Tensors
from edgex_inference.engine.options import decode
from edgex_inference.testing.accelerator_compiled import CompilePromises
from edgex_inference.testing.accelerator_suite import AcceleratorSuite, numbers
from edgex_inference.testing.kinds import Kind

_CHECK = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
__import__(sys.argv[2])
raise SystemExit(sys.argv[3] in sys.modules)
"""


class AcceleratorContract(CompilePromises):
    """Every promise of `Accelerator` and `Session`."""

    # Being listed

    def test_importing_it_leaves_the_vendor_alone(self) -> None:
        if self.vendor is None:
            return
        command = [sys.executable, "-P", "-c", _CHECK, json.dumps(sys.path), self.module, self.vendor]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
        assert done.returncode == 0, f"importing {self.module} imports {self.vendor}\n{done.stderr}"

    def test_the_plugin_is_a_value_of_this_contract(self) -> None:
        plugin = self.plugin
        assert isinstance(plugin, Accelerator)
        assert plugin.contract == CONTRACT
        assert self.format in plugin.formats | plugin.compiles
        assert bool(plugin.compiles) == (plugin.compile is not None)
        assert is_dataclass(plugin.options)
        assert plugin.options() == plugin.options(), "options compare by value, and all have defaults"
        assert plugin.load is not None
        assert plugin.version()

    def test_devices_are_unique_and_can_be_named_in_a_profile(self) -> None:
        devices = self.plugin.devices()
        assert devices
        assert all(isinstance(device, InferenceDevice) for device in devices)
        ids = [device.id for device in devices]
        assert len(set(ids)) == len(ids)
        assert all(id_ and ":" not in id_ and not any(c.isspace() for c in id_) for id_ in ids)

    # Loading

    def test_specs_and_traits_are_declared(self, tmp_path: Path) -> None:
        with self._session(Kind.ONE, tmp_path) as session:
            assert [spec.name for spec in session.inputs] == ["x"]
            assert [spec.name for spec in session.outputs] == ["y"]
            assert session.inputs[0].datatype is Datatype.FP32
            assert session.inputs[0].shape == (1, 4)
            assert isinstance(session.traits, Traits)
            assert session.parallel >= 1
            assert all(isinstance(part, str) for pair in session.metadata.items() for part in pair)

    def test_a_broken_model_is_rejected(self, tmp_path: Path) -> None:
        broken = self.model(Kind.BROKEN, tmp_path)
        empty, absent = tmp_path / f"empty{broken.suffix}", tmp_path / f"absent{broken.suffix}"
        empty.write_bytes(b"")
        for path in (broken, empty, absent):
            with pytest.raises(ModelRejected) as caught:
                self._load(path)
            assert caught.value.reason

    def test_a_loaded_model_does_not_look_at_its_file_again(self, tmp_path: Path) -> None:
        assert self.plugin.load is not None
        request = self._ready(self._request(self.model(Kind.ONE, tmp_path)))
        files = [request.path, *(request.path.parent / name for name in request.beside)]
        session = self.plugin.load(request)
        mapped = Path("/proc/self/maps").read_text()
        for file in files:  # of a plug-in that compiles those of the artefact
            assert str(file) not in mapped, "a mapped file ends the process when somebody cuts it short"
            file.write_bytes(b"garbage")
        self._check_affine(session, numbers(1, 4))
        for file in files:
            file.unlink()
        self._check_affine(session, numbers(1, 5))
        session.close()

    def test_a_foreign_format_is_rejected_by_name(self, tmp_path: Path) -> None:
        path = self.model(Kind.ONE, tmp_path)
        with pytest.raises(ModelRejected, match="foreign-format"):
            self._load(path, format_=Format("foreign-format"))

    def test_an_unknown_device_is_unavailable(self, tmp_path: Path) -> None:
        path = self.model(Kind.ONE, tmp_path)
        with pytest.raises(AcceleratorUnavailable, match="NoSuchDevice"):
            self._load(path, device="NoSuchDevice")

    def test_every_listed_device_loads(self, tmp_path: Path) -> None:
        path = self.model(Kind.ONE, tmp_path)
        for device in self.plugin.devices():
            session = self._load(path, device=device.id)
            try:
                self._check_affine(session, numbers(1, 0))
            finally:
                session.close()

    def test_an_unknown_option_is_refused_by_name(self) -> None:
        with pytest.raises(AcceleratorUnavailable, match="noSuchOption"):
            decode(self.plugin, {"noSuchOption": 1})

    def test_loading_in_another_thread(self, tmp_path: Path) -> None:
        path = self.model(Kind.ONE, tmp_path)

        def whole_life() -> None:
            session = self._load(path)
            self._check_affine(session, numbers(1, 3))
            session.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(whole_life).result(60)

    def test_loading_and_closing_does_not_grow(
        self, tmp_path: Path, record_property: Callable[[str, object], None]
    ) -> None:
        path = self.model(Kind.ONE, tmp_path)

        def cycle(times: int) -> None:
            for seed in range(times):
                session = self._load(path)
                self._check_affine(session, numbers(1, seed))
                session.close()
            gc.collect()

        cycle(5)
        before, threads = _resident(), _threads()
        cycle(self.cycles)
        grown, more = _resident() - before, _more_threads(threads)
        record_property("grown", grown)
        record_property("threads", more)
        assert more <= 0
        assert grown < self.growth

    # Promises of a run

    def test_results_outlive_the_next_call(self, tmp_path: Path) -> None:
        with self._session(Kind.ONE, tmp_path) as session:
            given = [numbers(1, seed) for seed in range(20)]
            answers = [session.infer({"x": x}, timeout=30)["y"] for x in given]
            wanted = [2 * x + 1 for x in given]
            for x in given:
                x[:] = -1.0  # the caller's buffer is the caller's again
            gc.collect()
            assert all(
                np.allclose(y, want, atol=self.tolerance) for y, want in zip(answers, wanted, strict=True)
            )

    def test_results_outlive_the_session(self, tmp_path: Path) -> None:
        session = self._load(self.model(Kind.ONE, tmp_path))
        x = numbers(1, 5)
        y = session.infer({"x": x})["y"]
        session.close()
        del session
        gc.collect()
        assert np.allclose(y, 2 * x + 1, atol=self.tolerance)

    def test_inputs_are_not_changed_and_may_be_read_only_or_strided(self, tmp_path: Path) -> None:
        wide = numbers(2, 9)
        frozen, strided = wide[:1].copy(), np.repeat(wide, 2, axis=1)[1:, ::2]
        frozen.setflags(write=False)
        before, strided_before = frozen.copy(), strided.copy()
        with self._session(Kind.ONE, tmp_path) as session:
            self._check_affine(session, frozen)
            self._check_affine(session, strided)
        assert np.array_equal(frozen, before)
        assert np.array_equal(strided, strided_before)

    def test_each_caller_gets_its_own_answer_at_full_parallelism(self, tmp_path: Path) -> None:
        with self._session(Kind.ONE, tmp_path) as session:
            if session.traits.affinity == "thread":
                return
            callers = max(2, session.parallel) if session.parallel > 1 else 1
            barrier = threading.Barrier(callers)

            def call(caller: int) -> None:
                barrier.wait(30)
                for turn in range(50):
                    self._check_affine(session, numbers(1, caller * 1000 + turn))

            with ThreadPoolExecutor(callers) as pool:
                for future in [pool.submit(call, caller) for caller in range(callers)]:
                    future.result(60)

    @pytest.mark.parametrize(
        "wrong", ["missing", "foreign", "float64", "big-endian", "rank", "width", "integer"]
    )
    def test_inputs_that_do_not_fit_are_refused(self, tmp_path: Path, wrong: str) -> None:
        x = numbers(1, 0)
        feeds: Mapping[str, Tensors] = {
            "missing": {},
            "foreign": {"x": x, "zz": x},
            "float64": {"x": x.astype(np.float64)},
            "big-endian": {"x": x.astype(">f4")},
            "rank": {"x": x[0]},
            "width": {"x": x[:, :3]},
            "integer": {"x": x.astype(np.int32)},
        }
        with self._session(Kind.ONE, tmp_path) as session:
            with pytest.raises(SignatureMismatch) as caught:
                session.infer(feeds[wrong])
            assert "zz" in str(caught.value) if wrong == "foreign" else "x" in str(caught.value)
            self._check_affine(session, x)

    def test_no_vendor_exception_escapes(self, tmp_path: Path) -> None:
        x = numbers(1, 0)
        oddities: list[object] = [
            None,
            "text",
            3,
            [1.0] * 4,
            x[:0],
            x.astype(object),
            np.array("x"),
            x.astype("S4"),
            {},
        ]
        with self._session(Kind.ONE, tmp_path) as session:
            for odd in oddities:
                try:
                    session.infer({"x": odd})  # type: ignore[dict-item]
                except EdgexInferenceError:
                    continue
            self._check_affine(session, x)

    # Closing

    def test_closing_twice_and_running_afterwards(self, tmp_path: Path) -> None:
        session = self._load(self.model(Kind.ONE, tmp_path))
        session.close()
        session.close()
        with pytest.raises(InferenceError):
            session.infer({"x": numbers(1, 0)})

    def test_closing_during_a_run(self, tmp_path: Path) -> None:
        session = self._load(self.model(Kind.SLOW, tmp_path))
        if session.traits.affinity == "thread":
            session.close()
            return
        begun, closed, ends = threading.Event(), threading.Event(), list[str]()

        def run() -> None:
            left = 60  # runs that a closed session may take up before it counts as one that takes them all
            while left := left - closed.is_set():
                begun.set()
                try:
                    session.infer({"x": numbers(1, 0)})
                except InferenceError:
                    ends.append("refused")
                    return
                except Exception as error:  # noqa: BLE001 - this is what the test looks for
                    ends.append(f"{type(error).__name__} escaped")
                    return
            ends.append("never ended")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert begun.wait(30)
        session.close()
        closed.set()
        thread.join(60)
        assert ends == ["refused"]


def promises(suite: type[AcceleratorSuite]) -> Mapping[str, Callable[..., None]]:
    """The tests of the suite by name, for running them without pytest's collection."""
    return {name: getattr(suite, name) for name in dir(suite) if name.startswith("test_")}


def _resident() -> int:
    """Bytes of resident memory; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def _more_threads(before: int) -> int:
    """How many there are beyond these, when those that were told to end have had a while for it."""
    patience = 500
    while (more := _threads() - before) > 0 and (patience := patience - 1):
        time.sleep(0.01)
    return more


def _threads() -> int:
    """Threads of this process, native ones included where the system tells."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()
