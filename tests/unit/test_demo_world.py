"""The virtual conveyor and the virtual spindle: equal by seed, honest in their truth."""

import io
from collections import Counter
from itertools import chain, combinations, pairwise

import numpy as np
import pytest
from PIL import Image

from edgex_inference.demo.world.conveyor import HEIGHT, LABELS, PITCH, WIDTH, Conveyor
from edgex_inference.demo.world.parts import FLAWS, Flaw, Kind, Part, draw
from edgex_inference.demo.world.spindle import BURSTS_PER_SECOND, RATE, SAMPLES, Spindle

SEEDS = (1, 2, 3)


def a_part(kind: Kind, **changes: object) -> Part:
    values: dict[str, object] = {
        "kind": kind,
        "x": 60.0,
        "y": 60.0,
        "size": 44.0,
        "angle": 0.4,
        "color": (0.8, 0.8, 0.8),
        "flaw": None,
        "grain": 5,
    }
    return Part(**(values | changes))  # type: ignore[arg-type]


def power(burst_seconds: int, spindle: Spindle, low: float, high: float) -> float:
    """Mean power of one burst's X axis between two frequencies."""
    samples = spindle.burst(burst_seconds * BURSTS_PER_SECOND).acceleration[0]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(SAMPLES))) ** 2
    frequencies = np.fft.rfftfreq(SAMPLES, 1 / RATE)
    return float(spectrum[(frequencies >= low) & (frequencies < high)].mean())


def test_equal_seeds_give_equal_pictures_in_any_order() -> None:
    once, again = Conveyor(7), Conveyor(7)
    forward = [once.frame(index) for index in (0, 1, 40)]
    backward = [again.frame(index) for index in (40, 1, 0)][::-1]
    for one, other in zip(forward, backward, strict=True):
        assert one.truth == other.truth
        assert np.array_equal(one.picture, other.picture)


def test_other_seeds_and_other_indices_give_other_pictures() -> None:
    pictures = [Conveyor(1).frame(0), Conveyor(2).frame(0), Conveyor(1).frame(1)]
    assert not any(np.array_equal(a.picture, b.picture) for a, b in combinations(pictures, 2))


def test_a_picture_is_rgb_bytes_five_times_a_second() -> None:
    frame = Conveyor(1).frame(12)
    assert frame.picture.shape == (HEIGHT, WIDTH, 3)
    assert frame.picture.dtype == np.uint8
    assert frame.seconds == pytest.approx(2.4)


def test_the_jpeg_shows_the_picture() -> None:
    frame = Conveyor(3).frame(5)
    decoded = np.asarray(Image.open(io.BytesIO(frame.jpeg())))
    assert decoded.shape == frame.picture.shape
    assert np.abs(decoded.astype(float) - frame.picture).mean() < 6
    assert len(frame.jpeg(quality=40)) < len(frame.jpeg())


@pytest.mark.parametrize("seed", SEEDS)
def test_true_boxes_lie_inside_the_picture_and_have_known_labels(seed: int) -> None:
    conveyor = Conveyor(seed)
    for part in chain.from_iterable(conveyor.frame(index).truth for index in range(0, 60, 15)):
        x0, y0, x1, y1 = part.box
        assert part.label in LABELS
        assert 0 <= x0 < x1 <= 1
        assert 0 <= y0 < y1 <= 1
        assert (x1 - x0) * WIDTH > 10
        assert (y1 - y0) * HEIGHT > 14


def test_every_label_occurs_and_parts_overlap() -> None:
    frames = [Conveyor(seed).frame(index) for seed in SEEDS for index in range(0, 80, 10)]
    labels = Counter(part.label for frame in frames for part in frame.truth)
    assert set(labels) == set(LABELS)
    meeting = 0
    for a, b in chain.from_iterable(combinations(frame.truth, 2) for frame in frames):
        across = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
        meeting += across > 0 and min(a.box[3], b.box[3]) - max(a.box[1], b.box[1]) > 0
    assert meeting > len(frames) / 3


@pytest.mark.parametrize("seed", SEEDS)
def test_parts_move_with_the_belt(seed: int) -> None:
    """A part well inside one picture is in the next one, a pitch further left, with the same label."""
    conveyor = Conveyor(seed)
    for before, after in pairwise(conveyor.frame(index) for index in range(6)):
        inside = [
            part
            for part in before.truth
            if part.box[0] * WIDTH > PITCH + 5 and part.box[2] * WIDTH < WIDTH - 1
        ]
        for part in inside:
            near = [
                other
                for other in after.truth
                if other.label == part.label
                and abs((part.box[0] - other.box[0]) * WIDTH - PITCH) <= 5
                and abs(part.box[1] - other.box[1]) * HEIGHT <= 2
            ]
            assert near, f"picture {before.index}: {part} is gone"


def test_the_light_changes() -> None:
    conveyor = Conveyor(2)
    rails = [conveyor.frame(index).picture[:10].mean() for index in range(0, 100, 20)]
    assert max(rails) > 1.1 * min(rails)


def test_a_negative_index_is_refused() -> None:
    with pytest.raises(ValueError, match="count from 0"):
        Conveyor(1).frame(-1)
    with pytest.raises(ValueError, match="count from 0"):
        Spindle(1).burst(-1)


@pytest.mark.parametrize(("kind", "flaw"), [(kind, flaw) for kind in Kind for flaw in FLAWS[kind]])
def test_a_flaw_shows(kind: Kind, flaw: Flaw) -> None:
    sound, flawed = draw(a_part(kind), 0.3), draw(a_part(kind, flaw=flaw), 0.3)
    changed = (
        np.abs(sound.color * sound.cover[..., None] - flawed.color * flawed.cover[..., None]).max(-1) > 60
    )
    assert sound.flaw.sum() == 0
    assert changed.sum() >= 25  # pixels
    assert (flawed.flaw[changed] > 0).all()


def test_a_flawed_part_of_any_kind_is_a_defect() -> None:
    assert [a_part(kind).label for kind in Kind] == ["bolt", "bolt", "nut", "washer"]
    assert {a_part(kind, flaw=flaw).label for kind in Kind for flaw in FLAWS[kind]} == {"defect"}


def test_nuts_and_washers_have_a_hole_and_standing_bolts_have_none() -> None:
    middle = {kind: draw(a_part(kind), 0.0).cover[25, 25] for kind in Kind}
    assert middle[Kind.NUT] == middle[Kind.WASHER] == 0
    assert middle[Kind.STANDING_BOLT] == 1


def test_equal_seeds_give_equal_bursts_in_any_order() -> None:
    once, again = Spindle(5), Spindle(5)
    later, sooner = again.burst(50), again.burst(3)
    assert np.array_equal(once.burst(3).acceleration, sooner.acceleration)
    assert np.array_equal(once.burst(50).acceleration, later.acceleration)
    assert once.burst(50).temperature == later.temperature
    assert not np.array_equal(Spindle(6).burst(3).acceleration, sooner.acceleration)


def test_a_burst_is_three_axes_in_g_four_times_a_second() -> None:
    burst = Spindle(1).burst(9)
    assert burst.acceleration.shape == (3, 512)
    assert burst.acceleration.dtype == np.float32
    assert burst.seconds == pytest.approx(2.25)
    assert burst.acceleration.mean(1) == pytest.approx([0, 0, 1], abs=0.1)
    assert 25 < burst.temperature < 75


@pytest.mark.parametrize("fault_at", [10.0, 3.1])
def test_the_fault_begins_when_it_should_and_not_before(fault_at: float) -> None:
    sound, faulty = Spindle(4, None), Spindle(4, fault_at)
    for index in range(60):
        burst = faulty.burst(index)
        same = np.array_equal(burst.acceleration, sound.burst(index).acceleration)
        assert burst.faulty == (burst.seconds + (SAMPLES - 1) / RATE > fault_at)
        assert same == (not burst.faulty)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fault_rings_at_the_bearings_resonance(seed: int) -> None:
    spindle, sound = Spindle(seed), Spindle(seed, None)
    assert power(14, spindle, 1000, 1250) > 30 * power(14, sound, 1000, 1250)
    assert power(14, spindle, 20, 60) < 1.5 * power(14, sound, 20, 60)


def test_a_spindle_without_a_fault_stays_sound() -> None:
    assert not any(Spindle(8, fault_at=None).burst(index).faulty for index in range(0, 1000, 10))


def test_the_temperature_follows_the_load() -> None:
    spindle = Spindle(3, None)
    bursts = [spindle.burst(index) for index in range(0, 400, 4)]
    temperature = np.array([burst.temperature for burst in bursts])
    strength = np.array([burst.acceleration.std() for burst in bursts])
    shifts = [np.corrcoef(temperature[lag:], strength[: len(strength) - lag])[0, 1] for lag in range(12)]
    assert temperature.std() > 0.5
    assert max(shifts[1:]) > shifts[0] + 0.03
