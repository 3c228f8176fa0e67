"""docs/reference/faults.md names nothing that is not tested."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "faults.md"
FAULTS, CORE = "component/test_faults.py", "component/metadata/test_outside_faults.py"
PROVIDER, STARTS = "integration/test_service_provider.py", "integration/test_service_starts.py"

TESTED = {
    "the bus is away at the start": (
        (FAULTS, "test_the_bus_is_away"),
        (STARTS, "test_a_broker_that_comes_later"),
    ),
    "the bus goes away": (
        (FAULTS, "test_the_bus_is_away"),
        ("integration/test_service_outbox.py", "test_results_wait_on_disk_for_a_broker_that_is_away"),
    ),
    "core-metadata is away at the start": (
        (CORE, "test_core_metadata_is_away"),
        ("component/metadata/test_following.py", "test_required_waits_for_it"),
    ),
    "core-metadata goes away": ((CORE, "test_core_metadata_is_away"),),
    "the configuration provider is away at the start": (
        (PROVIDER, "test_it_waits_for_a_provider_that_comes_late"),
        (PROVIDER, "test_a_provider_that_never_comes_ends_the_start"),
    ),
    "the configuration provider goes away": ((PROVIDER, "test_a_provider_that_goes_and_comes"),),
    "the provider holds a broken value": (
        (PROVIDER, "test_writable_changes_at_run_time_and_the_rest_says_so"),
    ),
    "messages that cannot be read": (
        (FAULTS, "test_garbage"),
        ("integration/test_service_bus.py", "test_good_events_between_every_kind_of_bad_ones"),
    ),
    "the same event twice": (
        (FAULTS, "test_the_same_event_twice"),
        (FAULTS, "test_the_same_event_twice_at_once"),
    ),
    "events out of order": ((FAULTS, "test_out_of_order"),),
    "events from the future": (
        (FAULTS, "test_from_the_future"),
        (FAULTS, "test_from_the_future_and_left_waiting_too_long"),
    ),
    "a flood, `overload: all`": ((FAULTS, "test_a_flood"), (FAULTS, "test_a_flood_is_shown_while_it_lasts")),
    "a flood, `overload: latest`": ((FAULTS, "test_a_flood"),),
    "a device is renamed while its picture is in flight": (
        (CORE, "test_a_device_is_renamed_while_its_picture_is_in_flight"),
    ),
    "support-notifications is away": (
        ("component/test_notifications.py", "test_away_they_wait_in_order_and_are_said_once_each_way"),
    ),
}


def rows() -> dict[str, list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    cells = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    return {first: rest for first, *rest in cells}


def test_every_row_is_tested() -> None:
    assert set(rows()) == set(TESTED)
    for tests in TESTED.values():
        for file, name in tests:
            assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), (
                name
            )


@pytest.mark.parametrize("fault", sorted(TESTED))
def test_what_is_said_is_in_the_code_and_what_is_counted_has_that_name(fault: str) -> None:
    _, said, shown, counted = rows()[fault]
    code = "\n".join(path.read_text() for path in (ROOT / "edgex_inference").rglob("*.py"))
    plain = re.sub(r'"\s*\n\s*f?"', "", code)
    for text in re.findall(r"`([^`]+)`", said + shown):
        assert text in plain, text
    for word in re.findall(r"`([^`]+)`", counted):
        assert re.search(rf'["\.\[]{re.escape(word.split(".")[-1])}\b', code), word
