"""The catalogue of accelerators: what is installed, what is refused and why, and who may run a model."""

import importlib.metadata
import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.accelerator import Accelerator, Format, Level
from edgex_inference.contracts.bindings import AcceleratorChoice
from edgex_inference.contracts.errors import AcceleratorUnavailable
from edgex_inference.engine.claims import GROUP, Claim, admit, claims
from edgex_inference.engine.machine import hardware
from edgex_inference.engine.probe import DEADLINE, Found, Probe, probe

AUTO = "auto"

_STALE = 20.0
"""Seconds after which a device that was not found may have come meanwhile."""

_NAMED_ONLY = ("other", "remote")
"""Kinds of devices that `auto` passes over: those over other devices, and other machines."""

_RANK = {
    level: rank for rank, level in enumerate((Level.TUNED, Level.PROVEN, Level.SIMULATED, Level.DECLARED))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the list of accelerators; `reason` says why it cannot be used, or what is missing.

    `shown` is the level with the devices that it was shown on.
    """

    name: str
    level: str
    shown: str
    version: str | None
    formats: tuple[str, ...]
    devices: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An accelerator and the inference device on it that may run a model; written `onnxruntime:CPU`."""

    accelerator: Accelerator
    device: str
    plugin: str = field(default="", compare=False, repr=False)
    """The distribution that brings the accelerator, with its version."""
    value: str = field(default="", compare=False, repr=False)
    """`module:attribute` of the plug-in, for another process to find it."""
    check: Callable[[], None] = field(compare=False, repr=False)
    """Raises AcceleratorUnavailable when the device is not on this machine; may take seconds."""

    def __str__(self) -> str:
        return f"{self.accelerator.name}:{self.device}"


class Catalog:
    """The accelerators that entry points of the group `edgex_inference.accelerators` declare.

    Plug-ins are loaded at the first question. `entry_points`, `probe` and `hardware` are there for tests.
    """

    def __init__(
        self,
        entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
        *,
        probe: Probe = probe,
        deadline: float = DEADLINE,
        hardware: Callable[[], Sequence[str]] = hardware,
    ) -> None:
        self.hardware = hardware
        self.considered: frozenset[str] = frozenset()  # whom `auto` may take; empty: everybody
        self._given = None if entry_points is None else tuple(entry_points)
        self._probe, self._deadline = probe, deadline
        self._claims: Mapping[str, Claim] | None = None
        self._found: dict[str, tuple[float, Found]] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def names(self) -> Sequence[str]:
        """The names of all plug-ins, the refused ones included."""
        return sorted(self._all())

    def entries(self) -> tuple[Entry, ...]:
        """Every plug-in with its devices, or the sentence that says how to get it; looks for devices (seconds)."""
        return tuple(self._entry(self._all()[name]) for name in self.names())

    def get(self, name: str) -> Accelerator:
        """The plug-in of this name; raises AcceleratorUnavailable when there is none that can load models."""
        accelerator = self.admitted(name)
        reason = _obstacle(accelerator)
        if reason:
            raise AcceleratorUnavailable(name, reason)
        return accelerator

    def admitted(self, name: str) -> Accelerator:
        """The plug-in of this name, whether it can load models here or not; raises AcceleratorUnavailable."""
        claim = self._all().get(name)
        if claim is None:
            known = listed(self.names(), last="and") or "none"
            reason = self._ended(name) or f"no such accelerator{suggest(name, self.names())}"
            raise AcceleratorUnavailable(name, f"{reason}; installed: {known}")
        if claim.accelerator is None:
            raise AcceleratorUnavailable(name, claim.reason)
        return claim.accelerator

    def _ended(self, name: str) -> str:
        """What became of a device of an earlier generation that is written as if it were an accelerator."""
        old = [one.accelerator for one in self._all().values() if one.accelerator is not None]
        word = name.upper()
        found = (f"an old name for {one.name}: {one.retired[word]}" for one in old if word in one.retired)
        return next(found, "")

    def formats(self) -> frozenset[Format]:
        """What all plug-ins read together, those included that cannot be used here."""
        found = [
            claim.accelerator.readable for claim in self._all().values() if claim.accelerator is not None
        ]
        return frozenset().union(*found)

    def candidates(
        self, choice: AcceleratorChoice, formats: Iterable[Format], *, everybody: bool = False
    ) -> Sequence[Candidate]:
        """Who may run a model that has files of these formats, in order; `auto` is every usable plug-in that does
        not insist on being named, on each of its real devices: where there are such, they are looked for (seconds).

        `everybody`: also whom the configuration keeps from `auto`. Raises AcceleratorUnavailable when nobody may.
        """
        wanted = frozenset(formats)
        if choice.name == AUTO:
            return self._automatic(choice, wanted, frozenset() if everybody else self.considered)
        accelerator = self._named(choice)
        if not wanted & accelerator.readable and not accelerator.fileless:
            raise AcceleratorUnavailable(
                choice.name,
                f"reads {listed(sorted(accelerator.readable), last='and')}; the model has {_have(wanted)}",
            )
        return (self._candidate(accelerator, choice),)

    def elsewhere(self, candidate: Candidate, placement: Mapping[str, int]) -> int:
        """How many nodes are on devices of another kind than the candidate's; may look for devices (seconds).

        A device that stands for others (AUTO, HETERO) has them where it likes. Of a plug-in that names places which
        it does not list nothing is known.
        """
        asked = candidate.device.upper()
        if {place.upper() for place in placement} <= {asked}:
            return 0
        claim = self._all()[candidate.accelerator.name]
        kinds = {"CPU": "cpu"} | {one.id.upper(): one.kind for one in self._devices(claim).devices}
        kind = kinds.get(asked, kinds.get(_base(asked)))
        if kind is None or kind == "other":
            return 0
        return sum(
            count
            for places, count in placement.items()
            if {kinds.get(place.upper(), kind) for place in places.split("+")} != {kind}
        )

    def _named(self, choice: AcceleratorChoice) -> Accelerator:
        """Whom a binding names; where an option brings the runtime itself, `load` says whether it is there."""
        accelerator = self.admitted(choice.name)
        if accelerator.load is not None and accelerator.device_options & choice.options.keys():
            return accelerator
        reason = _obstacle(accelerator, choice.device or "")
        if reason:
            raise AcceleratorUnavailable(choice.name, reason)
        return accelerator

    def _automatic(
        self, choice: AcceleratorChoice, wanted: frozenset[Format], considered: frozenset[str]
    ) -> Sequence[Candidate]:
        usable, reasons = [], []
        for name in self.names():
            try:
                accelerator = self.get(name)
            except AcceleratorUnavailable as error:
                reasons.append(f"{name}: {error.reason}")
                continue
            if considered and name not in considered:
                reasons.append(f"{name} is not in Inference.AutoAccelerators")
            elif not accelerator.automatic:
                reasons.append(f"{name} must be named")
            elif wanted & accelerator.readable:
                usable.append(accelerator)
            else:
                reasons.append(f"{name} reads {listed(sorted(accelerator.readable), last='and')}")
        if not usable:
            why = "; ".join(reasons) or "none is installed"
            raise AcceleratorUnavailable(AUTO, f"nothing here reads {_have(wanted)} ({why})")
        usable.sort(key=lambda accelerator: (_RANK[accelerator.level], accelerator.name))
        devices = {one.name: () for one in usable} if choice.device else self._beside(usable)
        return [
            self._candidate(one, replace(choice, device=device))
            for one in usable
            for device in (choice.device or one.default_device, *devices[one.name])
        ]

    def _beside(self, usable: Sequence[Accelerator]) -> Mapping[str, Sequence[str]]:
        """The real devices of each plug-in beside its default one; nobody is asked where there can be none."""
        if not self.hardware():
            return {one.name: () for one in usable}
        found = self._found_together([self._all()[one.name] for one in usable])
        return {
            one.name: [
                device.id
                for device in found[one.name].devices
                if device.kind not in _NAMED_ONLY and device.id != one.default_device
            ]
            for one in usable
        }

    def _found_together(self, claimed: Sequence[Claim]) -> Mapping[str, Found]:
        """Their devices, looked for at once: each child takes a second to start."""
        with ThreadPoolExecutor(max_workers=max(1, len(claimed))) as pool:
            found = list(pool.map(self._devices, claimed))
        return {one.name: two for one, two in zip(claimed, found, strict=True)}

    def _candidate(self, accelerator: Accelerator, choice: AcceleratorChoice) -> Candidate:
        device = choice.device or accelerator.default_device
        own = bool(accelerator.device_options & choice.options.keys())
        return Candidate(
            accelerator=accelerator,
            device=device,
            plugin=self._all()[accelerator.name].brought_by,
            value=self._all()[accelerator.name].value,
            check=lambda: self._check(accelerator, device, own=own),
        )

    def _check(self, accelerator: Accelerator, device: str, *, own: bool) -> None:
        """Looks for a device in a child process first, so that loading on it cannot take the service down.

        `own`: an option brings devices that only `load` can know.
        """
        if own or device.upper() == accelerator.default_device.upper() == "CPU":
            return
        claim, base = self._all()[accelerator.name], _base(device)
        found = self._devices(claim)
        if base not in _bases(found):
            found = self._devices(claim, newer_than=time.monotonic() - _STALE)
        if _has(found, device):
            return
        ids = [one.id for one in found.devices]
        alone = f"its {base} has no number: say {base}" if base in (one.upper() for one in ids) else ""
        reason = (
            alone
            or accelerator.retired.get(base)
            or found.reason
            or found.absent.get(base)
            or (
                f"not on this machine (found {', '.join(ids)}); add a fallback or install what brings {device}"
            )
        )
        raise AcceleratorUnavailable(f"{accelerator.name}:{device}", reason)

    def _devices(self, claim: Claim, *, newer_than: float = 0.0) -> Found:
        with self._lock:
            turn = self._turns.setdefault(claim.name, threading.Lock())
        with turn:  # one child for each plug-in; who asks for another one, or for names, does not wait for it
            when, found = self._found.get(claim.name, (-math.inf, Found()))
            if when < newer_than:
                found = self._probe(claim.value, self._deadline)
                self._found[claim.name] = (time.monotonic(), found)
            return found

    def _entry(self, claim: Claim) -> Entry:
        accelerator = claim.accelerator
        if accelerator is None:
            return Entry(
                name=claim.name, level="", shown="", version=None, formats=(), devices=(), reason=claim.reason
            )
        found = Found(reason=accelerator.declared) if accelerator.load is None else self._devices(claim)
        number = _version(accelerator)
        hint = _impostor(accelerator) if number is None and "the installed" not in found.reason else ""
        return Entry(
            name=claim.name,
            level=accelerator.level,
            shown=accelerator.shown,
            version=number,
            formats=tuple(sorted(accelerator.readable)),
            devices=tuple(device.id for device in found.devices),
            reason=hint + found.reason,
        )

    def _all(self) -> Mapping[str, Claim]:
        with self._lock:
            if self._claims is None:
                points = self._given
                if points is None:
                    points = tuple(importlib.metadata.entry_points(group=GROUP))
                self._claims = {claim.name: admit(claim) for claim in claims(points)}
            return self._claims


def _bases(found: Found) -> frozenset[str]:
    return frozenset(_base(one.id) for one in found.devices)


def _has(found: Found, device: str) -> bool:
    """Whether a device is among those found; of the second of a kind only loading tells, but a CPU has no second."""
    base = _base(device)
    same = [one for one in found.devices if _base(one.id) == base]
    known = device.upper() in (one.id.upper() for one in same)
    return known or any(one.kind != "cpu" for one in same)


def _base(device: str) -> str:
    """What comes before a number or a list: GPU of GPU.1, AUTO of AUTO:GPU,CPU."""
    return re.split(r"[.:]", device, maxsplit=1)[0].upper()


def _obstacle(accelerator: Accelerator, device: str = "") -> str:
    """Why a plug-in cannot load models here, without importing its vendor; empty when it can."""
    if accelerator.load is None:
        return accelerator.declared
    if _version(accelerator) is not None:
        return ""
    ended = accelerator.retired.get(_base(device))
    if ended:
        return ended
    cure = accelerator.cure or f'pip install "edgex-inference[{accelerator.extra}]"'
    return f"its runtime is missing: {_impostor(accelerator)}{cure}"


def _impostor(accelerator: Accelerator) -> str:
    """What is installed in place of the runtime."""
    for name, what in accelerator.impostors.items():
        try:
            number = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        return f"the installed {name} {number} is {what}; "
    return ""


def _version(accelerator: Accelerator) -> str | None:
    try:
        return accelerator.version()
    except Exception:  # noqa: BLE001 - a plug-in that cannot tell counts as not installed
        return None


def _have(formats: frozenset[Format]) -> str:
    return listed(sorted(formats), last="and") or "no format"
