"""The store of compiled models: `<folder>/<accelerator>/<model>-<what>/<made with>/`, shared by processes.

An artefact is made once, however many ask; it appears whole or not at all; its hash is compared before every load;
what nobody uses makes room. Where nothing can be kept, models are compiled for this process alone.
"""

import errno
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edgex_inference.config.places import listed
from edgex_inference.contracts.accelerator import Artefact, LoadRequest
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected, SetupError
from edgex_inference.engine.compiling import provenance
from edgex_inference.engine.compiling.locks import Lock
from edgex_inference.engine.compiling.making import Progress, make
from edgex_inference.engine.compiling.orders import Order
from edgex_inference.engine.compiling.provenance import Damaged, Parity, Provenance
from edgex_inference.engine.compiling.shelf import Shelf, without_room

log = logging.getLogger(__name__)

FOLDER = "artefacts"
MOST = 4 << 30
"""Bytes that are kept where nobody says how many."""
PATIENCE = 3600.0
"""Seconds to wait for another process that compiles the same."""


@dataclass(slots=True, eq=False)
class Held:
    """An artefact that is in use until `close`; `fresh`: it was made for this question."""

    artefact: Artefact
    said: Provenance
    folder: Path
    fresh: bool
    lock: Lock | None = None
    temporary: Path | None = None

    def request(self, request: LoadRequest) -> LoadRequest:
        """The request that loads the artefact instead of what it was made from."""
        beside = tuple(
            path.relative_to(self.artefact.path.parent).as_posix() for path in self.artefact.beside
        )
        return replace(request, path=self.artefact.path, format=self.artefact.format, beside=beside)

    def note(self, parity: Parity) -> None:
        """Writes down what running it showed; not where nothing can be written."""
        self.said = replace(self.said, parity=parity)
        with suppress(OSError):
            provenance.write(self.folder, self.said)

    @property
    def sound(self) -> bool:
        """Whether its files are still what was made."""
        try:
            provenance.check(self.folder, self.said, self.said.key)
        except (Damaged, OSError):
            return False
        return True

    def close(self) -> None:
        """Lets go of it; legal more than once."""
        if self.lock is not None:
            self.lock.close()
        if self.temporary is not None:
            shutil.rmtree(self.temporary, ignore_errors=True)


def _quiet(fraction: float | None, what: str) -> None:
    return


class Artefacts:
    """Artefacts below a folder, `most` bytes of them. Every method blocks, and belongs into a thread."""

    def __init__(
        self,
        folder: Path | None,
        *,
        most: int = MOST,
        patience: float = PATIENCE,
        pause: float = 0.05,
        strict: bool = False,
    ) -> None:
        """Without a `folder` nothing is kept; `strict`: what cannot be kept is not made."""
        self._shelf = Shelf(folder / FOLDER, most) if folder is not None else None
        self._patience, self._pause, self._strict = patience, pause, strict
        self._told: set[str] = set()

    def keeps(self, accelerator: str) -> bool:
        """Whether there may be artefacts for this accelerator."""
        return self._shelf is not None and (self._shelf.folder / accelerator).is_dir()

    def has(self, order: Order) -> bool:
        """Whether there is an artefact for this order, sound or not."""
        return self._shelf is not None and self._shelf.place(order).is_dir()

    def get(self, order: Order, progress: Progress = _quiet, *, again: bool = False) -> Held:
        """The artefact, made now if need be; `again` makes it anew.

        What is damaged is made again, and reported. Raises ModelRejected or AcceleratorUnavailable, SetupError where
        it must be kept and cannot.
        """
        if self._shelf is None:
            self._complain("compiled models are not kept: Inference.CacheDir is not set")
            return self._apart(order, progress)
        try:
            return self._kept(self._shelf, order, progress, again=again)
        except OSError as error:
            # a folder that is open to everybody is named itself: it may be the one above
            place = error.filename if error.errno == errno.EPERM else self._shelf.folder
            reason = f"{place or self._shelf.folder}: {error.strerror or error}"
            if self._strict:
                raise SetupError(f"nothing can be kept in {reason}") from error
            self._complain(f"compiled models are not kept: {reason}")
            self._tell_damage(self._shelf, order)
            return self._apart(order, progress)

    def discard(self, order: Order, reason: str) -> None:
        """Takes away an artefact that the runtime refuses, unless it is being made again just now."""
        log.warning("the artefact of %s is of no use (%s): it is taken away", order, reason)
        if self._shelf is None:
            return
        with suppress(OSError):
            making = self._shelf.making(order)
            if making is not None:
                self._shelf.remove(self._shelf.place(order))
                making.close()

    def _kept(self, shelf: Shelf, order: Order, progress: Progress, *, again: bool) -> Held:
        place, made, told = shelf.prepare(order), False, False
        ends = time.monotonic() + self._patience
        while True:
            held = None if again and not made else self._sound(shelf, order, made=made)
            if held is not None:
                if made:
                    shelf.make_room()
                return held
            making = shelf.making(order)
            if making is None:
                told = told or self._wait(shelf, order, progress)
                if time.monotonic() > ends:
                    reason = f"another process has been compiling {order.model} for {self._patience:g} s"
                    raise AcceleratorUnavailable(f"{order.accelerator.name}:{order.request.device}", reason)
                time.sleep(self._pause)
                continue
            try:
                if (again and not made) or self._due(order, place):
                    if made:
                        raise ModelRejected(order.request.path, "what was compiled cannot be read back")
                    shelf.remove(place)
                    self._make(shelf, order, progress)
                    made = True
            finally:
                making.close()

    def _sound(self, shelf: Shelf, order: Order, *, made: bool) -> Held | None:
        """The artefact in use, None where there is none that can be loaded; raises OSError."""
        place = shelf.place(order)
        using = shelf.using(order)
        if using is None:
            return None
        try:
            said = _checked(order, place)
        except Damaged:
            said = None
        except OSError:
            using.close()
            raise
        if said is None:
            using.close()
            return None
        return Held(said.artefact(place), said, place, fresh=made, lock=using)

    def _due(self, order: Order, place: Path) -> bool:
        """Whether it must be made, seen by the only one who may; says so of one that is damaged."""
        try:
            return _checked(order, place) is None
        except Damaged as error:
            log.warning("the artefact of %s is damaged (%s): it is compiled again", order, error)
            return True

    def _wait(self, shelf: Shelf, order: Order, progress: Progress) -> Literal[True]:
        who = shelf.maker(order)
        what = f"waiting for process {who}, which compiles it" if who else "waiting for who compiles it"
        log.info("%s: %s", order, what)
        progress(None, what)
        return True

    def _make(self, shelf: Shelf, order: Order, progress: Progress) -> None:
        others = shelf.others(order)
        for other in others:
            log.info(
                "the artefact of %s was made with %s: it is compiled again", order, _differs(other, order)
            )
        if others:
            progress(None, f"compiling again: what is there was made with {_differs(others[0], order)}")
        with shelf.workshop(order) as work:
            try:
                make(order, work, progress)
            except SetupError as error:
                if without_room(error, work):
                    raise OSError("no room to compile in") from error
                raise _explained(error, order, others) from error
            shelf.publish(work / "entry", order)

    def _apart(self, order: Order, progress: Progress) -> Held:
        """Made for this process alone, in a folder that goes with it."""
        device = f"{order.accelerator.name}:{order.request.device}"
        try:
            work = Path(tempfile.mkdtemp(prefix="edgex-inference-"))
        except OSError as error:
            raise AcceleratorUnavailable(
                device, f"nowhere to compile in: {error.strerror or error}"
            ) from error
        try:
            said = make(order, work, progress)
            entry = work / "entry"
            return Held(said.artefact(entry), said, entry, fresh=True, temporary=work)
        except BaseException as error:
            full = isinstance(error, SetupError) and without_room(error, work)
            shutil.rmtree(work, ignore_errors=True)
            if not full and not isinstance(error, OSError):
                raise
            said_so = "no room" if full else getattr(error, "strerror", "") or error
            reason = f"nowhere to compile in: {work.parent}: {said_so}"
            raise AcceleratorUnavailable(device, reason) from error

    def _tell_damage(self, shelf: Shelf, order: Order) -> None:
        """What lies there and cannot be made again, if it is damaged."""
        with suppress(OSError):
            try:
                _checked(order, shelf.place(order))
            except Damaged as error:
                self._complain(f"the artefact of {order} is damaged ({error}), and cannot be replaced")

    def _complain(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            log.warning("%s", sentence)


def _checked(order: Order, place: Path) -> Provenance | None:
    said = provenance.read(place)
    if said is not None:
        provenance.check(place, said, order.key)
    return said


def _differs(other: Mapping[str, str], order: Order) -> str:
    """What is different here from what an artefact was made with."""
    names = [name for name in {**order.made_with, **other} if order.made_with.get(name) != other.get(name)]
    return listed(
        [f"{name} {other.get(name, 'none')}, here is {order.made_with.get(name, 'none')}" for name in names],
        last="and",
    )


def _explained(error: SetupError, order: Order, others: list[Mapping[str, str]]) -> SetupError:
    """The refusal, with why what was made elsewhere is of no use here."""
    if not others:
        return error
    reason = f"its artefact was made with {_differs(others[0], order)}, and here it cannot be made: {error}"
    return AcceleratorUnavailable(f"{order.accelerator.name}:{order.request.device}", reason)
