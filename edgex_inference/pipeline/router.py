"""Bus messages in: envelope, event, and the runs of every binding that wants it."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edgex_inference.bindings.book import Book
from edgex_inference.contracts.bindings import Binding
from edgex_inference.contracts.errors import MessageError
from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex import envelope, events, topics
from edgex_inference.pipeline.emit import Sender
from edgex_inference.pipeline.intake import Item, Receipt
from edgex_inference.pipeline.run import Run
from edgex_inference.telemetry.metrics import Counts, Histogram

log = logging.getLogger(__name__)

_MOST_WARNINGS = 1000


@dataclass(frozen=True, slots=True)
class Traffic:
    """What came in: messages by fate (matched, unmatched, own, notEvent), refused ones by reason, decode times."""

    messages: Counts = field(default_factory=Counts)
    invalid: Counts = field(default_factory=Counts)
    decode: Histogram = field(default_factory=Histogram)


class Router:
    """Reads messages and offers their events to runs; `start` makes a run for a binding met for the first time."""

    def __init__(
        self,
        book: Book,
        start: Callable[[Binding], Run],
        *,
        sender: Sender,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.traffic = Traffic()
        self._book = book
        self._start = start
        self._sender = sender
        self._max_bytes = max_bytes
        self._clock = clock
        self._runs: dict[int, Run] = {}
        self._warned: set[str] = set()

    @property
    def runs(self) -> Sequence[Run]:
        return tuple(self._runs.values())

    def run_of(self, binding: Binding) -> Run:
        """The run of an effective binding; bindings are told apart by identity, as the book hands them out."""
        run = self._runs.get(id(binding))
        if run is None:
            run = self._runs[id(binding)] = self._start(binding)
        return run

    def take(self, message: Message, acknowledge: Callable[[], None]) -> None:
        """Reads one message; what cannot be read is counted, said once for each topic, and acknowledged."""
        receipt = Receipt(acknowledge)
        try:
            self._take(message, receipt)
        except MessageError as error:
            self.traffic.invalid.add(error.reason)
            first = message.topic not in self._warned and len(self._warned) < _MOST_WARNINGS
            if first:
                self._warned.add(message.topic)
            log.log(logging.WARNING if first else logging.DEBUG, "%s; dropped as %s", error, error.reason)
        finally:
            receipt.release()

    def _take(self, message: Message, receipt: Receipt) -> None:
        if topics.is_own_topic(self._sender.dialect, message.topic, service_key=self._sender.service_key):
            self.traffic.messages.add("own")
            return
        started = self._clock()
        read = envelope.read(message, max_bytes=self._max_bytes)
        event = events.read(read)
        self.traffic.decode.add(self._clock() - started)
        if event is None:
            self.traffic.messages.add("notEvent")
        elif self._is_own(event):
            self.traffic.messages.add("own")
        elif self.offer(event, read.correlation_id, receipt):
            self.traffic.messages.add("matched")
        else:
            self.traffic.messages.add("unmatched")

    def _is_own(self, event: Event) -> bool:
        """Whether one of our results came back by a way that its topic does not show."""
        if not topics.is_own_event(event):
            return False
        source = event.profile_name.removesuffix(topics.COMPANION_SUFFIX)
        return any(run.binding.profile == source for run in self._runs.values())

    def offer(self, event: Event, correlation_id: str, receipt: Receipt) -> int:
        """Offers an event to every binding that wants it; returns how many took it."""
        arrived, taken = self._clock(), 0
        for binding in self._book.match(event.profile_name, event.device_name):
            run = self.run_of(binding)
            if run.wants(event):
                receipt.hold()
                run.offer(Item(event, correlation_id, arrived, receipt))
                taken += 1
        return taken
