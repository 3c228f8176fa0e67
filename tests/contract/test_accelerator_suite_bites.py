"""Faults put into an accelerator on purpose: the contract suite must notice each of them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from accelerators.onnxruntime import PLUGIN as ONNXRUNTIME
from edgex_inference.contracts.accelerator import LoadRequest, Session
from edgex_inference.testing.accelerator import AcceleratorContract, promises
from edgex_inference.testing.fake_accelerator import DEVICES, PLUGIN, load
from tests.contract import accelerator_faults as faults

SESSIONS: Mapping[str, type[faults.Broken]] = {
    "test_results_outlive_the_next_call": faults.ReusedBuffer,
    "test_inputs_are_not_changed_and_may_be_read_only_or_strided": faults.SharesInput,
    "test_each_caller_gets_its_own_answer_at_full_parallelism": faults.SwappedAnswers,
    "test_no_vendor_exception_escapes": faults.LeaksVendorError,
    "test_numbers_are_right_at_several_batch_sizes": faults.Doubles,
    "test_inputs_that_do_not_fit_are_refused": faults.TakesAnyType,
    "test_closing_twice_and_running_afterwards": faults.RunsAfterClose,
    "test_closing_during_a_run": faults.RunsAfterClose,
    "test_loading_and_closing_does_not_grow": faults.Grows,
    "test_nan_is_not_made_up_into_a_number": faults.HidesNan,
    "test_wide_integers_are_kept_or_refused": faults.Truncates,
    "test_callers_with_batches_of_different_lengths": faults.RemembersLength,
    "test_a_fixed_batch_is_found": faults.ClaimsNoBatch,
    "test_f32_is_computed_in_f32": faults.Rounds,
    "test_a_precision_is_held_or_refused": faults.SaysNative,
    "test_sixteen_bits_stay_sixteen_bits": faults.Widens,
    "test_texts_go_in_and_come_out": faults.WritesBytes,
    "test_any_length_of_an_open_axis": faults.RemembersWidth,
}

OF_REAL_GRAPHS: Mapping[str, type[faults.Broken]] = {
    "test_placement_counts_the_graph": faults.RunsOnTheCpu,
    "test_inputs_of_several_types_keep_theirs": faults.GivesWholeNumbersOnly,
    "test_several_inputs_and_outputs_keep_their_names": faults.GivesWholeNumbersOnly,
    "test_a_quantized_file_is_within_its_steps_and_says_so": faults.OffByFourSteps,
}
"""Faults that the fake's straight lines cannot show."""

PLUGINS = {
    "test_a_cache_never_answers_for_another_model": replace(PLUGIN, load=faults.remembers_by_path),
    "test_devices_are_unique_and_can_be_named_in_a_profile": replace(
        PLUGIN, devices=lambda: (*DEVICES, DEVICES[0])
    ),
    "test_every_listed_device_loads": replace(PLUGIN, devices=lambda: (replace(DEVICES[0], id="GPU"),)),
    "test_the_plugin_is_a_value_of_this_contract": replace(PLUGIN, contract=99),
    "test_a_broken_model_is_rejected": replace(PLUGIN, load=faults.rejects_nothing),
    "test_a_foreign_format_is_rejected_by_name": replace(PLUGIN, load=faults.rejects_nothing),
    "test_an_unknown_device_is_unavailable": replace(PLUGIN, load=faults.rejects_nothing),
}

COMPILERS = {
    "test_an_artefact_stands_alone": replace(faults.COMPILES, compile=faults.leans_on_its_source),
    "test_two_artefacts_are_apart": replace(faults.COMPILES, compile=faults.one_place_for_all),
    "test_identity_is_what_an_artefact_is_made_with": replace(faults.COMPILES, compile=faults.counts),
    "test_what_cannot_be_compiled_is_refused": replace(faults.COMPILES, compile=faults.compiles_anything),
    "test_progress_is_told_in_order": replace(faults.COMPILES, compile=faults.goes_back),
    "test_a_damaged_artefact_is_rejected": replace(faults.COMPILES, load=faults.loads_halves),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_that_breaks_a_promise_is_found(name: str, tmp_path: Path) -> None:
    broken = SESSIONS[name]
    suite = faults.Suite()
    assert not faults.notices(suite, name, tmp_path), "the good one passes"
    suite.__class__ = type(
        "Broken", (faults.Suite,), {"plugin": replace(PLUGIN, load=lambda given: broken(load(given)))}
    )
    assert faults.notices(suite, name, tmp_path)
    faults.KEPT.clear()


@pytest.mark.parametrize("name", OF_REAL_GRAPHS)
def test_a_session_of_a_real_graph_that_breaks_a_promise_is_found(name: str, tmp_path: Path) -> None:
    suite = faults.Real()
    assert not faults.notices(suite, name, tmp_path), "the good one passes"
    faults.breaks(suite, OF_REAL_GRAPHS[name])
    assert faults.notices(suite, name, tmp_path)


@pytest.mark.parametrize("broken", [faults.RunsOnTheCpu, faults.RunsNowhere])
def test_a_placement_that_is_not_true_is_found(broken: type[faults.Broken], tmp_path: Path) -> None:
    suite = faults.Suite()
    assert not faults.notices(suite, "test_each_device_keeps_its_nodes", tmp_path)
    faults.breaks(suite, broken)
    assert faults.notices(suite, "test_each_device_keeps_its_nodes", tmp_path)


def test_a_quantized_model_that_is_called_f32_is_found(tmp_path: Path) -> None:
    suite = faults.Real()
    faults.breaks(suite, faults.SaysF32)
    assert faults.notices(suite, "test_a_quantized_file_is_within_its_steps_and_says_so", tmp_path)


@pytest.mark.parametrize(
    ("name", "opens"),
    [
        ("test_extents_that_the_request_fixes_are_fixed", faults.without_shapes),
        ("test_a_type_that_arrays_lack_is_named", faults.says_nothing),
    ],
)
def test_a_real_plugin_that_breaks_a_promise_is_found(
    name: str, opens: Callable[[LoadRequest], Session], tmp_path: Path
) -> None:
    suite = faults.Real()
    assert not faults.notices(suite, name, tmp_path), "the good one passes"
    suite.__class__ = type("Broken", (faults.Real,), {"plugin": replace(ONNXRUNTIME, load=opens)})
    assert faults.notices(suite, name, tmp_path)


@pytest.mark.parametrize("name", COMPILERS)
def test_a_compiler_that_breaks_a_promise_is_found(name: str, tmp_path: Path) -> None:
    suite = faults.Compiling()
    assert not faults.notices(suite, name, tmp_path / "good"), "the good one passes"
    suite.__class__ = type("Broken", (faults.Compiling,), {"plugin": COMPILERS[name]})
    assert faults.notices(suite, name, tmp_path / "broken")


def test_an_answer_in_another_precision_than_asked_is_found(tmp_path: Path) -> None:
    suite = faults.Suite()
    suite.__class__ = type(
        "Broken", (faults.Suite,), {"plugin": replace(PLUGIN, load=faults.in_any_precision)}
    )
    assert faults.notices(suite, "test_a_precision_is_held_or_refused", tmp_path)


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_that_breaks_a_promise_is_found(name: str, tmp_path: Path) -> None:
    suite = faults.Suite()
    assert not faults.notices(suite, name, tmp_path), "the good one passes"
    suite.__class__ = type("Broken", (faults.Suite,), {"plugin": PLUGINS[name]})
    assert faults.notices(suite, name, tmp_path)


def test_a_vendor_imported_at_the_top_is_found() -> None:
    suite = type("Broken", (faults.Suite,), {"module": "onnxruntime.capi", "vendor": "onnxruntime"})()
    with pytest.raises(AssertionError, match="imports onnxruntime"):
        suite.test_importing_it_leaves_the_vendor_alone()


def test_double_close_is_found(tmp_path: Path) -> None:
    plugin = replace(PLUGIN, load=lambda given: faults.SecondCloseFails(load(given)))
    suite = type("Broken", (faults.Suite,), {"plugin": plugin})()
    assert faults.notices(suite, "test_closing_twice_and_running_afterwards", tmp_path)


def test_every_promise_is_known_here() -> None:
    assert {*SESSIONS, *OF_REAL_GRAPHS, *COMPILERS, *PLUGINS} <= set(promises(AcceleratorContract))
