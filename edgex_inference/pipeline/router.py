"""Bus messages in: envelope, event, and the runs of every binding that wants it."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from edgex_inference.bindings.book import Book, Rejected
from edgex_inference.contracts.bindings import Binding
from edgex_inference.contracts.errors import MessageError
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import arrivals, envelope, topics
from edgex_inference.edgex.ids import new_id
from edgex_inference.edgex.metadata.records import Barred
from edgex_inference.pipeline.intake import Item, Receipt
from edgex_inference.pipeline.origins import Origins
from edgex_inference.pipeline.publishing.emit import Sender
from edgex_inference.pipeline.repeats import Repeats
from edgex_inference.pipeline.reply import Reply
from edgex_inference.pipeline.running.order import Order
from edgex_inference.pipeline.running.run import Run
from edgex_inference.telemetry.metrics import Counts, Histogram

log = logging.getLogger(__name__)


_MOST_WARNINGS = 1000
_MOST_HEARD = 100_000
_MOST_RUNS = 10_000
_MOST_REMEMBERED = 16_384
"""Topics that are warned about, devices whose profile is remembered for the page, bindings at work: made-up names
on the bus must not fill the memory, and a side-car may match any."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What came in: messages by fate (page.FATES), refused ones by reason, strange origins, decode times."""

    messages: Counts = field(default_factory=Counts)
    invalid: Counts = field(default_factory=Counts)
    origins: Origins = field(default_factory=Origins)
    decode: Histogram = field(default_factory=Histogram)


class Router:
    """Reads messages and offers their events to runs.

    `start` makes the run of a binding that is met for the first time; its second argument is what answered before,
    where the binding cannot run as it is written now.
    """

    def __init__(
        self,
        book: Book,
        start: Callable[[Order, Order | None], Run],
        *,
        sender: Sender,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.traffic = Traffic()
        self._book = book
        self._earlier: Book | None = None
        self._start = start
        self._sender = sender
        self._max_bytes = max_bytes
        self._clock = clock
        self._runs: dict[int, Run] = {}
        self._met: dict[Run, tuple[str, str]] = {}
        self._at_hand: dict[tuple[str, str], Sequence[Run]] = {}
        self._own_topics: dict[str, bool] = {}
        self._stand_ins: dict[tuple[Rejected, str], Binding] = {}
        self._heard: dict[str, str] = {name: device.profile for name, device in book.devices.items()}
        self._barred: Mapping[str, Barred] = {}
        self.heard: Callable[[Event], None] = lambda _event: None
        self._warned: set[str] = set()
        self._crowded = False
        self._repeats = Repeats()

    @property
    def runs(self) -> Sequence[Run]:
        return tuple(self._runs.values())

    def use(self, book: Book) -> None:
        """Another book from here on: each run takes up what its binding has become there, or goes.

        A run belongs to the device that it was met with first; where the forms of a binding for several devices
        have become one, the run of the profile itself stays. Where all of them have the same mistake, each stays.
        """
        runs = sorted(self._met.items(), key=lambda met: met[1][1] != "")
        self._book, self._earlier = book, self._book
        self._runs, self._stand_ins, self._met, self._at_hand = {}, {}, {}, {}
        self._heard.update((name, device.profile) for name, device in book.devices.items())
        for run, (profile, device) in runs:
            order = self._wanted(profile, device, run.binding.name)
            if order is None or id(order.binding) in self._runs:
                run.retire(succeeded=order is not None)
                continue
            self._runs[id(order.binding)] = run
            self._met[run] = (profile, device)
            run.revise(order)

    def bar(self, barred: Mapping[str, Barred]) -> None:
        """The devices that are not to be used from here on; each binding of one says so, again until it is out."""
        before, self._barred = self._barred, barred
        for device in before.keys() | barred.keys():
            why = barred.get(device)
            for run in self.runs_heard(device):
                if before.get(device) != why:
                    run.forget(device)
                if why is not None:
                    run.tell(device, why.reason)

    def barred(self, device: str) -> Barred | None:
        """Why a device is not to be used, if it is not."""
        return self._barred.get(device)

    def forget(self, device: str) -> None:
        """A device that is no more: nothing of it is kept."""
        for run in self.runs_heard(device):
            run.forget(device)
        self._heard.pop(device, None)

    def _wanted(self, profile: str, device: str, name: str) -> Order | None:
        """What a device's binding is in the book."""
        found = self._book.look_up(profile, device)
        for binding in found.bindings:
            if binding.name == name:
                return self._order(binding)
        for rejected in found.rejected:
            if rejected.binding == name:
                binding = self._stand_in(rejected, device)
                if id(binding) in self._runs:
                    key = (replace(rejected, device=""), device)
                    binding = self._stand_ins[key] = _stand_in(rejected)
                return Order(binding=binding, book=self._book, inactive=rejected.reason)
        return None

    def _order(self, binding: Binding) -> Order:
        return Order(binding=binding, book=self._book, inactive=_inactive(binding))

    def runs_of(self, profile: str, device: str) -> Sequence[Run]:
        """The runs of every binding of a device, the unusable ones included; new ones are started."""
        runs = self._at_hand.get((profile, device))
        if runs is None:
            runs = self._looked_up(profile, device)
            _remember(self._at_hand, (profile, device), runs)
        return runs

    def _looked_up(self, profile: str, device: str) -> Sequence[Run]:
        found = self._book.look_up(profile, device)
        orders = [self._order(binding) for binding in found.bindings]
        orders += [
            Order(binding=self._stand_in(rejected, device), book=self._book, inactive=rejected.reason)
            for rejected in found.rejected
        ]
        runs = [self._run(order, (profile, device)) for order in orders]
        return tuple(run for run in runs if run is not None)

    def runs_heard(self, device: str) -> Sequence[Run]:
        """The runs that took events of a device."""
        profile = self._heard.get(device)
        return self.runs_of(profile, device) if profile is not None else ()

    def _run(self, order: Order, met: tuple[str, str]) -> Run | None:
        # Bindings are told apart by identity: the book hands out one object for equal layers.
        binding = order.binding
        run = self._runs.get(id(binding))
        if run is None and len(self._runs) >= _MOST_RUNS:
            if not self._crowded:
                log.error(
                    "profile %s: more than %d bindings: no more are started", binding.profile, _MOST_RUNS
                )
            self._crowded = True
        elif run is None:
            before = self._answered_before(*met, binding.name) if order.inactive else None
            run = self._runs[id(binding)] = self._start(order, before)
            self._met[run] = met
        return run

    def _answered_before(self, profile: str, device: str, name: str) -> Order | None:
        """What the binding of a device was in the book before this one, if it could run."""
        earlier = self._earlier
        found = earlier.match(profile, device) if earlier is not None else ()
        for binding in found:
            if earlier is not None and binding.name == name and not _inactive(binding):
                return Order(binding=binding, book=earlier)
        return None

    def _stand_in(self, rejected: Rejected, device: str) -> Binding:
        """What stands for a binding with mistakes: devices with the same mistake share one, and so one run."""
        rejected = replace(rejected, device="")
        own = self._stand_ins.get((rejected, device)) or self._stand_ins.get((rejected, ""))
        if own is None:
            own = self._stand_ins[rejected, ""] = _stand_in(rejected)
        return own

    def take(self, messages: Iterable[Message], acknowledge: Callable[[Message], None]) -> None:
        """Reads a burst, then hands it on; what nobody takes is acknowledged at once.

        What cannot be read is counted, said once for each topic, and acknowledged.
        """
        fresh = self._foreign(messages, acknowledge)
        if not fresh:
            return
        started = self._clock()
        found = arrivals.read(fresh, max_bytes=self._max_bytes)
        arrived = self._clock()
        good = sum(not isinstance(one, Exception) for one in found)
        self.traffic.decode.repeat((arrived - started) / len(fresh), good)
        fates: dict[str, int] = {}
        hands: dict[Run, list[Item]] = {}
        for message, one in zip(fresh, found, strict=True):
            receipt = Receipt(partial(acknowledge, message), 0)
            try:
                fate = self._fate(message, one, receipt, arrived, hands)
                fates[fate] = fates.get(fate, 0) + 1
            except MessageError as error:
                self._refused(message, error)
            except Exception as error:  # noqa: BLE001 - one message's surprise must not take the others along
                self._surprised(message, error)
            if not receipt.holders:
                receipt.end()
        for fate, amount in fates.items():
            self.traffic.messages.add(fate, amount)
        for run, items in hands.items():
            run.offer(*items)

    def _foreign(
        self, messages: Iterable[Message], acknowledge: Callable[[Message], None]
    ) -> Sequence[Message]:
        """Those that may be somebody else's events; our own are not even read."""
        fresh, known = [], self._own_topics
        for message in messages:
            own = known.get(message.topic)
            if self._is_own_topic(message.topic) if own is None else own:
                self.traffic.messages.add("own")
                acknowledge(message)
            else:
                fresh.append(message)
        return fresh

    def _refused(self, message: Message, error: MessageError) -> None:
        self.traffic.invalid.add(error.reason)
        level = logging.WARNING if self._is_first(message.topic) else logging.DEBUG
        log.log(level, "%.300s; dropped as %s", error, error.reason)

    def _surprised(self, message: Message, error: Exception) -> None:
        self.traffic.invalid.add("unexpected")
        level = logging.ERROR if self._is_first(f"{type(error)}") else logging.DEBUG
        log.log(level, "%.100s: a defect of ours: %r", message.topic, error)
        log.debug("its traceback", exc_info=error)

    def _is_first(self, source: str) -> bool:
        first = source not in self._warned and len(self._warned) < _MOST_WARNINGS
        if first:
            self._warned.add(source)
        return first

    def _fate(
        self,
        message: Message,
        found: arrivals.Arrival | Exception,
        receipt: Receipt,
        arrived: float,
        hands: dict[Run, list[Item]],
    ) -> str:
        """What became of a message (page.FATES); who takes it gets it into its hands."""
        if isinstance(found, Exception):
            raise found
        event, correlation_id = found
        if event is None:
            return "notEvent"
        if self._is_own(event):
            return "own"
        if self._sender.listening:
            self._sender.heard(message, envelope.read(message, max_bytes=self._max_bytes), event)
        if self._repeats.came_before(event.id, receipt):
            level = logging.INFO if self._is_first(f"{message.topic} again") else logging.DEBUG
            log.log(
                level, "%.300s: event %s has come before; it is not inferred again", message.topic, event.id
            )
            return "repeated"
        self.heard(event)
        takers = self._takers(event)
        if not takers:
            return "unmatched"
        self.traffic.origins.look(event)
        receipt.holders = len(takers)
        self._repeats.remember(event.id, receipt)
        item = Item(event, correlation_id or new_id(), arrived, receipt)
        why = self._barred.get(event.device_name) if self._barred else None
        for run in takers:
            if why is not None:
                self._turn_away(run, item, why)
            elif run in hands:
                hands[run].append(item)
            else:
                hands[run] = [item]
        return "matched"

    def _is_own_topic(self, topic: str) -> bool:
        own = self._own_topics.get(topic)
        if own is None:
            sender = self._sender
            own = topics.is_own_topic(sender.dialect, topic, service_key=sender.service_key)
            _remember(self._own_topics, topic, own)
        return own

    def _is_own(self, event: Event) -> bool:
        """Whether one of our results came back by a way that its topic does not show."""
        if not topics.is_own_event(event):
            return False
        source = event.profile_name.removesuffix(topics.COMPANION_SUFFIX)
        return any(run.binding.profile == source for run in self._runs.values())

    def ask(self, event: Event, correlation_id: str) -> Mapping[Run, Reply]:
        """Offers an event that did not come from the bus; each binding that takes it replies."""
        arrived, receipt = self._clock(), Receipt(lambda: None)
        replies = {run: Reply() for run in self._takers(event)}
        why = self._barred.get(event.device_name)
        for run, reply in replies.items():
            receipt.hold()
            item = Item(event, correlation_id, arrived, receipt, reply)
            if why is None:
                run.offer(item)
            else:
                self._turn_away(run, item, why)
        return replies

    def _takers(self, event: Event) -> Sequence[Run]:
        runs = self.runs_of(event.profile_name, event.device_name)
        if runs and len(self._heard) < _MOST_HEARD:
            self._heard[event.device_name] = event.profile_name
        return [run for run in runs if run.binding.enabled and run.wants(event)]

    def _turn_away(self, run: Run, item: Item, why: Barred) -> None:
        """Counts an event of a device that is not to be used; the device knows, unless the run is new."""
        run.measures.events.add("received")
        run.measures.dropped.add(why.word)
        run.tell(item.event.device_name, why.reason)
        item.refuse(why.word, why.reason)


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    """Keeps what is asked for at each message, and forgets all of it before it fills the memory."""
    if len(known) >= _MOST_REMEMBERED:
        known.clear()
    known[key] = value


def _stand_in(rejected: Rejected) -> Binding:
    return Binding(
        profile=rejected.profile, resource=rejected.resource, name=rejected.binding, model=None, outputs=()
    )


def _inactive(binding: Binding) -> str:
    """Why a binding without mistakes cannot run all the same."""
    later = ", ".join(binding.unsupported)
    return f"not yet supported: {later}" if later else ""
