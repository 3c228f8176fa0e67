"""Faults put into an accelerator on purpose: the contract suite must notice each of them."""

import inspect
import mmap
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import LoadRequest, Session, Traits
from edgex_inference.contracts.tensors import Array, Tensors
from edgex_inference.testing.accelerator import AcceleratorContract, promises
from edgex_inference.testing.fake_accelerator import (
    DEVICES,
    FAKE,
    PLUGIN,
    FakeSession,
    VendorError,
    load,
    write_model,
)
from edgex_inference.testing.kinds import Capability, Kind


class _Broken(FakeSession):
    """The fake's session with one broken promise; made from a good one."""

    def __init__(self, good: Session) -> None:
        self.good = good
        self.inputs, self.outputs, self.parallel = good.inputs, good.outputs, good.parallel
        self.traits, self.metadata = good.traits, good.metadata

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return self.good.infer(tensors, timeout=timeout)

    def close(self) -> None:
        self.good.close()


class _ReusedBuffer(_Broken):
    buffer: Array | None = None

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answer = self.good.infer(tensors)["y"]
        if self.buffer is None or self.buffer.shape != answer.shape:
            self.buffer = answer
        self.buffer[:] = answer
        return {"y": self.buffer}


class _SharesInput(_Broken):
    """Gives a view into the caller's buffer where it can."""

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        array = tensors["x"]
        self.good.infer(tensors)
        if array.flags.writeable:
            array *= 2
            array += 1
            return {"y": array}
        return self.good.infer(tensors)


class _SwappedAnswers(_Broken):
    """Two callers at once get each other's answer."""

    def __init__(self, good: Session) -> None:
        super().__init__(good)
        self.lock, self.last = threading.Lock(), None

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answer = self.good.infer(tensors)
        if threading.active_count() <= 2:
            return answer
        with self.lock:
            before, self.last = self.last, answer  # type: ignore[assignment]
        return before or answer


class _LeaksVendorError(_Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        if not isinstance(tensors.get("x"), np.ndarray):
            raise VendorError("error -7")
        return self.good.infer(tensors)


class _Doubles(_Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return {name: array.astype(np.float64) for name, array in self.good.infer(tensors).items()}


class _TakesAnyType(_Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return self.good.infer({name: np.asarray(array, np.float32) for name, array in tensors.items()})


class _RunsAfterClose(_Broken):
    def close(self) -> None:
        pass


class _SecondCloseFails(_Broken):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise VendorError("double free")
        self.closed = True
        self.good.close()


class _HidesNan(_Broken):
    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        return {name: np.nan_to_num(array) for name, array in self.good.infer(tensors).items()}


class _Truncates(_Broken):
    """Computes integers in 32 bits."""

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answer = self.good.infer(tensors)
        if tensors["x"].dtype != np.int64:
            return answer
        return {name: array.astype(np.int32).astype(np.int64) for name, array in answer.items()}


class _RemembersLength(_Broken):
    """Cuts every answer to the rows of the first batch, as a buffer of one shape does."""

    rows: int | None = None

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        answer = self.good.infer(tensors)
        self.rows = self.rows or len(tensors["x"])
        return {name: array[: self.rows] for name, array in answer.items()}


class _ClaimsBatch(_Broken):
    def __init__(self, good: Session) -> None:
        super().__init__(good)
        self.traits = Traits()


KEPT: list[mmap.mmap] = []
"""Pages of their own: what numpy keeps may come out of memory that an earlier test has freed."""


class _Grows(_Broken):
    def __init__(self, good: Session) -> None:
        super().__init__(good)
        KEPT.append(mmap.mmap(-1, 2 << 20))
        KEPT[-1].write(b"x" * (2 << 20))


SESSIONS: Mapping[str, type[_Broken]] = {
    "test_results_outlive_the_next_call": _ReusedBuffer,
    "test_inputs_are_not_changed_and_may_be_read_only_or_strided": _SharesInput,
    "test_each_caller_gets_its_own_answer_at_full_parallelism": _SwappedAnswers,
    "test_no_vendor_exception_escapes": _LeaksVendorError,
    "test_numbers_are_right_at_several_batch_sizes": _Doubles,
    "test_inputs_that_do_not_fit_are_refused": _TakesAnyType,
    "test_closing_twice_and_running_afterwards": _RunsAfterClose,
    "test_closing_during_a_run": _RunsAfterClose,
    "test_loading_and_closing_does_not_grow": _Grows,
    "test_nan_is_not_made_up_into_a_number": _HidesNan,
    "test_wide_integers_are_kept_or_refused": _Truncates,
    "test_callers_with_batches_of_different_lengths": _RemembersLength,
    "test_a_fixed_batch_is_found": _ClaimsBatch,
}


def _rejects_nothing(request: LoadRequest) -> Session:
    try:
        return load(request)
    except Exception:  # noqa: BLE001 - the fault is to take anything
        write_model(request.path.with_suffix(".other"), shape=[1, 4], batch="none")
        return load(replace(request, path=request.path.with_suffix(".other"), device=None, format=FAKE))


def _remembers_by_path(request: LoadRequest) -> Session:
    """A cache that asks for the path only."""
    if request.cache is None:
        return load(request)
    kept = Path(f"{request.cache}.{request.path.name}")
    if not kept.exists():
        kept.write_bytes(request.path.read_bytes())
    return load(replace(request, path=kept))


PLUGINS = {
    "test_a_cache_never_answers_for_another_model": replace(PLUGIN, load=_remembers_by_path),
    "test_devices_are_unique_and_can_be_named_in_a_profile": replace(
        PLUGIN, devices=lambda: (*DEVICES, DEVICES[0])
    ),
    "test_every_listed_device_loads": replace(PLUGIN, devices=lambda: (replace(DEVICES[0], id="GPU"),)),
    "test_the_plugin_is_a_value_of_this_contract": replace(PLUGIN, contract=99),
    "test_a_broken_model_is_rejected": replace(PLUGIN, load=_rejects_nothing),
    "test_a_foreign_format_is_rejected_by_name": replace(PLUGIN, load=_rejects_nothing),
    "test_an_unknown_device_is_unavailable": replace(PLUGIN, load=_rejects_nothing),
}


class _Suite(AcceleratorContract):
    plugin = PLUGIN
    module = "edgex_inference.testing.fake_accelerator"
    format = FAKE
    capabilities = frozenset(
        {Capability.BATCHES, Capability.FIXED_BATCHES, Capability.INTEGERS, Capability.REPLACED}
    )

    def model(self, kind: Kind, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        keys: dict[Kind, dict[str, object]] = {
            Kind.ANY: {"shape": [None, 4]},
            Kind.INTEGERS: {"shape": [None, 2], "datatype": "INT64"},
            Kind.OTHER: {"shape": [1, 4], "batch": "none", "scale": 3, "offset": -1},
            Kind.FIXED: {"shape": [3, 4], "batch": "fixed", "most": 3},
            Kind.SLOW: {"shape": [1, 4], "batch": "none", "delay": 0.02},
        }
        if kind is Kind.BROKEN:
            (folder / "broken.fake").write_text("{")
            return folder / "broken.fake"
        name = (Kind.ONE if kind is Kind.OTHER else kind).name
        return write_model(folder / f"{name}.fake", **keys.get(kind, {"shape": [1, 4], "batch": "none"}))


def _notices(suite: AcceleratorContract, name: str, folder: Path) -> bool:
    """Whether this test of the suite fails."""
    test: Callable[..., None] = getattr(suite, name)
    available: dict[str, tuple[object, ...]] = {
        "rows": (1, 7),
        "wrong": ("float64", "integer"),
        "cache": ("kept",),
        "tmp_path": (folder,),
    }
    wanted = inspect.signature(test).parameters
    varied = next((key for key in wanted if key != "tmp_path"), "tmp_path")
    for value in available[varied]:
        arguments = {key: available[key][0] for key in wanted} | ({varied: value} if varied in wanted else {})
        try:
            test(**arguments)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure counts
            return True
    return False


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_that_breaks_a_promise_is_found(name: str, tmp_path: Path) -> None:
    broken = SESSIONS[name]
    suite = _Suite()
    assert not _notices(suite, name, tmp_path), "the good one passes"
    suite.__class__ = type(
        "Broken", (_Suite,), {"plugin": replace(PLUGIN, load=lambda given: broken(load(given)))}
    )
    assert _notices(suite, name, tmp_path)
    KEPT.clear()


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_that_breaks_a_promise_is_found(name: str, tmp_path: Path) -> None:
    suite = _Suite()
    assert not _notices(suite, name, tmp_path), "the good one passes"
    suite.__class__ = type("Broken", (_Suite,), {"plugin": PLUGINS[name]})
    assert _notices(suite, name, tmp_path)


def test_a_vendor_imported_at_the_top_is_found() -> None:
    suite = type("Broken", (_Suite,), {"module": "onnxruntime.capi", "vendor": "onnxruntime"})()
    with pytest.raises(AssertionError, match="imports onnxruntime"):
        suite.test_importing_it_leaves_the_vendor_alone()


def test_double_close_is_found(tmp_path: Path) -> None:
    plugin = replace(PLUGIN, load=lambda given: _SecondCloseFails(load(given)))
    suite = type("Broken", (_Suite,), {"plugin": plugin})()
    assert _notices(suite, "test_closing_twice_and_running_afterwards", tmp_path)


def test_every_promise_is_known_here() -> None:
    assert {*SESSIONS, *PLUGINS} <= set(promises(AcceleratorContract))
