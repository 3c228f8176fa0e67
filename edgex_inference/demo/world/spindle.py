"""A virtual spindle: bursts of 3-axis acceleration, a temperature, and a bearing fault, by seed."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 3200  # samples a second within a burst
SAMPLES = 512
BURSTS_PER_SECOND = 4
AXES = ("AccelX", "AccelY", "AccelZ")

_OUTER_RACE = 3.58  # impulses of an outer-race fault per turn of the shaft
_WARMING = 6.0  # seconds in which the housing follows its load
_GROWTH = 1.5  # seconds in which a new fault reaches 63 % of its strength

# for each axis: gravity in g, and the strength in g of the harmonics 1, 2, 3, 6 and 12 of the shaft
_GRAVITY = np.array([0.02, -0.04, 1.0])
_HARMONICS = (1, 2, 3, 6, 12)
_STRENGTHS = np.array(
    [
        [0.110, 0.042, 0.020, 0.014, 0.006],
        [0.085, 0.055, 0.016, 0.017, 0.005],
        [0.035, 0.016, 0.011, 0.008, 0.007],
    ]
)
_STRUCTURE = ((430.0, 0.05, 0.018), (790.0, 0.04, 0.012))  # resonances: Hz, damping, g per unit of load
_RINGING = (1130.0, 0.035)  # what the fault's impulses excite: Hz, damping
_FAULT = np.array([0.55, 0.80, 0.42])  # g, per axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What one event carries, and whether the bearing is truly faulty by then.

    `acceleration` is in g, [3, 512] float32 (AccelX, AccelY, AccelZ), `temperature` in °C.
    """

    index: int
    seconds: float
    acceleration: NDArray[np.float32]
    temperature: float
    faulty: bool


class Spindle:
    """Every burst of one run; equal seeds give equal bursts, in any order of asking."""

    def __init__(self, seed: int, fault_at: float | None = 10.0) -> None:
        """A fault starts after `fault_at` seconds; None: never."""
        self.seed = seed
        self.fault_at = fault_at
        rng = np.random.default_rng([seed, 11])
        self._base_speed = rng.uniform(24.0, 30.0)  # turns a second
        self._phases = rng.uniform(0, 2 * math.pi, 8)
        self._ambient = rng.uniform(20.0, 24.0)
        self._balance = rng.uniform(0.85, 1.15, _STRENGTHS.shape)
        self._lags = rng.uniform(0, 2 * math.pi, _STRENGTHS.shape)
        self._noise = rng.uniform(0.0085, 0.0105)
        self._severity = rng.uniform(0.85, 1.25)

    def burst(self, index: int) -> Burst:
        """The burst number `index` (0 and up), four a second."""
        if index < 0:
            raise ValueError(f"a spindle has no burst {index}: they count from 0")
        seconds = index / BURSTS_PER_SECOND
        rng = np.random.default_rng([self.seed, 12, index])
        time = seconds + np.arange(SAMPLES) / RATE
        load = self._load(seconds)
        signal = self._rotation(time, load) + _structure(load, rng)
        strength = self._fault_strength(time)
        if strength[-1] > 0:
            signal += strength * self._impacts(time, load, rng)
        signal += rng.normal(0, self._noise, signal.shape) + _GRAVITY[:, None]
        temperature = self._heat(seconds) + 6.0 * strength[-1] * (
            1 - math.exp(-self._age(time[-1]) / _WARMING)
        )
        return Burst(
            index=index,
            seconds=seconds,
            acceleration=signal.astype(np.float32),
            temperature=float(np.float32(temperature + rng.normal(0, 0.08))),
            faulty=self._age(time[-1]) > 0,
        )

    def _age(self, seconds: float) -> float:
        return 0.0 if self.fault_at is None else max(0.0, seconds - self.fault_at)

    def _fault_strength(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        age = np.maximum(time - (math.inf if self.fault_at is None else self.fault_at), 0.0)
        strength: NDArray[np.float64] = self._severity * (1 - np.exp(-age / _GROWTH))
        return strength

    def _load(self, seconds: float) -> float:
        """Share of the full load, 0.45 to 0.95, wandering slowly."""
        p = self._phases
        return 0.7 + 0.16 * math.sin(0.19 * seconds + p[0]) + 0.09 * math.sin(0.53 * seconds + p[1])

    def _heat(self, seconds: float) -> float:
        """Degrees Celsius: the load as a slow housing feels it (a first-order lag of each of its waves)."""
        lagged = 0.7
        for size, pace, phase in ((0.16, 0.19, self._phases[0]), (0.09, 0.53, self._phases[1])):
            slow = pace * _WARMING
            lagged += size / math.hypot(1, slow) * math.sin(pace * seconds + phase - math.atan(slow))
        return float(self._ambient + 31.0 * lagged)

    def _turns(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """The shaft's angle in turns: the integral of a slowly varying speed."""
        p, sway = self._phases, 0.02 * self._base_speed
        waves = np.cos(0.31 * time + p[2]) / 0.31 + 0.4 * np.cos(1.1 * time + p[3]) / 1.1
        turns: NDArray[np.float64] = self._base_speed * time - sway * waves
        return turns

    def _rotation(self, time: NDArray[np.float64], load: float) -> NDArray[np.float64]:
        turns = 2 * math.pi * self._turns(time)
        waves = np.sin(np.multiply.outer(_HARMONICS, turns)[None] + self._lags[..., None])  # [3, 5, 512]
        sizes = _STRENGTHS * self._balance * (0.5 + 0.75 * load)
        signal: NDArray[np.float64] = (sizes[..., None] * waves).sum(1)
        return signal

    def _impacts(
        self, time: NDArray[np.float64], load: float, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """One ringing for each pass of a ball over the flaw, as strong as the load presses at that angle."""
        longer = np.concatenate(
            [time[0] + np.arange(-100, 0) / RATE, time]
        )  # rings of earlier impulses reach into the burst
        passes = _OUTER_RACE * self._turns(longer)
        numbers = np.arange(math.ceil(passes[0]), math.floor(passes[-1]) + 1)
        moments = np.interp(numbers, passes, longer) + rng.normal(0, 0.00025, numbers.size)
        sizes = (0.55 + 0.6 * load) * (
            1 + 0.35 * np.sin(2 * math.pi * numbers / _OUTER_RACE + self._phases[4])
        )
        sizes *= rng.uniform(0.75, 1.25, numbers.size)
        frequency, damping = _RINGING
        since = time[None] - moments[:, None]
        omega = 2 * math.pi * frequency
        rings = np.where(since >= 0, np.exp(-damping * omega * np.maximum(since, 0)), 0) * np.sin(
            omega * since
        )
        impacts: NDArray[np.float64] = _FAULT[:, None] * (sizes[:, None] * rings).sum(0)
        return impacts


def _structure(load: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The machine's own resonances, shaken by cutting: noise [3, 512] shaped around each of them."""
    frequencies = np.fft.rfftfreq(SAMPLES, 1 / RATE)
    total = np.zeros((3, SAMPLES))
    for center, damping, size in _STRUCTURE:
        ratio = frequencies / center
        shape = 1 / np.sqrt((1 - ratio**2) ** 2 + (2 * damping * ratio) ** 2)
        noise = np.fft.irfft(np.fft.rfft(rng.normal(0, 1, (3, SAMPLES))) * shape, SAMPLES)
        total += size * load * noise / np.sqrt(np.mean(shape**2))
    return total
