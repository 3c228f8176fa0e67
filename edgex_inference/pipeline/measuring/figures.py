"""Everything that is measured, as families with their points."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgex_inference.pipeline.alerting.alerts import NOTICES
from edgex_inference.pipeline.alerting.lookout import Lookout
from edgex_inference.pipeline.emission import RUNNING
from edgex_inference.pipeline.measure import STAGES, Measures
from edgex_inference.pipeline.measuring.ledger import Entry, Key, Ledger
from edgex_inference.pipeline.origins import ORIGINS
from edgex_inference.pipeline.outbox import OUTBOX, Outbox
from edgex_inference.pipeline.page import messages
from edgex_inference.pipeline.router import Traffic
from edgex_inference.telemetry.families import Family, Point, Points
from edgex_inference.telemetry.metrics import Counts

_BINDING = ("profile", "binding")
_OVERLOAD = ("overtaken", "queueFull", "maxAge")
"""Drops that are no fault of the message."""

RECEIVED = Family(
    metric="MessagesReceived", series="", kind="counter", help="Messages that came from the bus, of any kind."
)
INVALID = Family(
    metric="InvalidMessagesReceived", series="", kind="counter", help="Messages that were refused."
)
PROCESSED = Family(
    metric="PipelineMessagesProcessed",
    series="",
    kind="counter",
    help="Events that a binding is through with; the pipeline is the binding.",
    labels=("pipeline",),
)
ERRORS = Family(
    metric="PipelineProcessingErrors",
    series="",
    kind="counter",
    help="Events that ended in a drop or a failure, overload aside.",
    labels=("pipeline",),
)
PROCESSING = Family(
    metric="PipelineMessageProcessingTime",
    series="",
    kind="timer",
    help="From arrival to the readings of the result.",
    labels=("pipeline",),
)
QUEUE_SIZE = Family(
    metric="StoreForwardQueueSize", series="", kind="counter", help="Messages that wait on disk for the bus."
)
OF_THE_SDK = (RECEIVED, INVALID, PROCESSED, ERRORS, PROCESSING, QUEUE_SIZE)
"""Under the names of EdgeX's own app SDK, on the bus only."""

MESSAGES = Family(
    metric="InferenceMessages",
    series="edgex_inference_messages_total",
    kind="counter",
    help="Messages from the bus by what became of them.",
    labels=("fate",),
)
REFUSED = Family(
    metric="InferenceMessagesInvalid",
    series="edgex_inference_messages_invalid_total",
    kind="counter",
    help="Messages that were refused, by reason.",
    labels=("reason",),
)
DECODE = Family(
    metric="InferenceDecodeTime",
    series="edgex_inference_decode_seconds",
    kind="timer",
    help="From the bytes of a message to an event.",
)
CONNECTED = Family(
    metric="InferenceBusConnected",
    series="edgex_inference_bus_connected",
    kind="gauge",
    help="1 while the message bus is connected.",
)
READY = Family(
    metric="InferenceReady",
    series="edgex_inference_ready",
    kind="gauge",
    help="1 while /ready answers 200.",
)
LOST = Family(
    metric="InferenceMetricsLost",
    series="edgex_inference_metrics_lost_total",
    kind="counter",
    help="EdgeX metrics that could not be published, the bus being away.",
)
WAITING = Family(
    metric="InferenceOutboxWaiting",
    series="edgex_inference_outbox_waiting",
    kind="gauge",
    help="Messages that wait on disk for the bus.",
)
STORED = Family(
    metric="InferenceOutbox",
    series="edgex_inference_outbox_total",
    kind="counter",
    help="Messages that found the bus away, by what became of them.",
    labels=("fate",),
)
CONDITIONS = Family(
    metric="InferenceConditions",
    series="edgex_inference_conditions_total",
    kind="counter",
    help="How often each fault from outside has begun.",
    labels=("condition",),
)
STRANGE = Family(
    metric="InferenceStrangeOrigins",
    series="edgex_inference_strange_origins_total",
    kind="counter",
    help="Inferred events from the future or out of order.",
    labels=("kind",),
)
NOTIFIED = Family(
    metric="InferenceNotifications",
    series="edgex_inference_notifications_total",
    kind="counter",
    help="Notifications by what became of them.",
    labels=("fate",),
)
_EVENTS = {
    "received": "Events that a binding was offered.",
    "published": "Events of results that went to the bus.",
    "suppressed": "Results that the publish policy held back.",
    "repeated": "Repetitions by keepAlive.",
    "unfit": "Numbers left out of an event because they did not fit their type.",
}
EVENTS = {
    word: Family(
        metric=f"Inference{word.capitalize()}",
        series=f"edgex_inference_{word}_total",
        kind="counter",
        help=text,
        labels=_BINDING,
    )
    for word, text in _EVENTS.items()
}
DROPPED = Family(
    metric="InferenceDropped",
    series="edgex_inference_dropped_total",
    kind="counter",
    help="Events without a run, by reason.",
    labels=(*_BINDING, "reason"),
)
FAILED = Family(
    metric="InferenceFailed",
    series="edgex_inference_failed_total",
    kind="counter",
    help="Runs without a result, and results that the bus did not take, by kind.",
    labels=(*_BINDING, "kind"),
)
QUEUED = Family(
    metric="InferenceQueued",
    series="edgex_inference_queued",
    kind="gauge",
    help="Events that wait for their turn.",
    labels=_BINDING,
)
AT_WORK = Family(
    metric="InferenceRunning",
    series="edgex_inference_running",
    kind="gauge",
    help="1 while the status is running in every form of the binding, else 0.",
    labels=_BINDING,
)
MODEL = Family(
    metric="",
    series="edgex_inference_model_info",
    kind="gauge",
    help="1 for the model and the accelerator that answer now.",
    labels=(*_BINDING, "model", "version", "accelerator"),
)
_STAGES = {
    "queue": "From arrival to the start of preparation.",
    "preprocess": "From the event to a tensor.",
    "infer": "Until the answers of the whole burst are back, waiting for the session included.",
    "postprocess": "From tensors to readings.",
    "publish": "The hand-over to the bus.",
    "total": "From arrival to the readings of the result.",
}
TIMES = {
    stage: Family(
        metric=f"Inference{'EndToEnd' if stage == 'total' else stage.capitalize()}Time",
        series=f"edgex_inference_{'end_to_end' if stage == 'total' else stage}_seconds",
        kind="timer",
        help=_STAGES[stage],
        labels=_BINDING,
    )
    for stage in STAGES
}
FAMILIES = (
    *OF_THE_SDK,
    *(MESSAGES, REFUSED, DECODE, CONNECTED, READY, LOST, WAITING, STORED),
    *(CONDITIONS, STRANGE, NOTIFIED),
    *EVENTS.values(),
    *(DROPPED, FAILED, QUEUED, AT_WORK, MODEL),
    *TIMES.values(),
)
"""All there are, in the order of the reference page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the service as a whole is asked for its figures."""

    connected: bool
    ready: bool
    lost: int
    lookout: Lookout
    outbox: Outbox | None = None


async def points(ledger: Ledger, traffic: Traffic, standing: Standing) -> Points:
    """Every figure now; the sums are made in a thread."""
    entries = ledger.entries()
    found = [*_service(traffic, standing), *(one for key in entries for one in _state(key, entries[key]))]
    return [*found, *await asyncio.to_thread(_sums, entries)]


def _service(traffic: Traffic, standing: Standing) -> Iterator[Point]:
    fates = messages(traffic)
    yield Point(RECEIVED, sum(fates.values()))
    yield Point(INVALID, fates["invalid"])
    for fate, amount in fates.items():
        yield Point(MESSAGES, amount, {"fate": fate})
    for reason, amount in traffic.invalid.by_word().items():
        yield Point(REFUSED, amount, {"reason": reason})
    yield Point(DECODE, traffic.decode.spread())
    yield Point(CONNECTED, int(standing.connected))
    yield Point(READY, int(standing.ready))
    yield Point(LOST, standing.lost)
    for word in ORIGINS:
        yield Point(STRANGE, traffic.origins.counts.total(word), {"kind": word})
    conditions, alerts = standing.lookout.conditions, standing.lookout.alerts
    for kind in conditions.kinds:
        yield Point(CONDITIONS, conditions.counts.total(kind), {"condition": kind})
    if alerts is not None:
        for fate in NOTICES:
            yield Point(NOTIFIED, alerts.counts.total(fate), {"fate": fate})
    if standing.outbox is not None:
        yield Point(QUEUE_SIZE, standing.outbox.waiting)
        yield Point(WAITING, standing.outbox.waiting)
        for word in OUTBOX:
            yield Point(STORED, standing.outbox.counts.total(word), {"fate": word})


def _state(key: Key, entry: Entry) -> Iterator[Point]:
    labels = _labels(key)
    yield Point(QUEUED, sum(run.queued for run in entry.runs), labels, key[1])
    running = bool(entry.runs) and all(run.status == RUNNING for run in entry.runs)
    yield Point(AT_WORK, int(running), labels, key[1])
    plans = [run.journey.plan for run in entry.runs if run.journey is not None]
    told = {(plan.card.name, plan.card.version, plan.accelerator) for plan in plans}
    for answering in sorted(told):
        words = zip(("model", "version", "accelerator"), answering, strict=True)
        yield Point(MODEL, 1, {**labels, **dict(words)}, key[1])


def _labels(key: Key) -> Mapping[str, str]:
    return dict(zip(_BINDING, key, strict=True))


def _sums(entries: Mapping[Key, Entry]) -> Points:
    return [point for key, entry in entries.items() for point in _of_binding(key, entry.total())]


def _of_binding(key: Key, measures: Measures) -> Iterator[Point]:
    labels, name = _labels(key), key[1]
    for word, family in EVENTS.items():
        yield Point(family, measures.events.total(word), labels, name)
    for family, word, counts in (
        (DROPPED, "reason", measures.dropped),
        (FAILED, "kind", measures.failed),
    ):
        for said, amount in counts.by_word().items():
            yield Point(family, amount, {**labels, word: said}, name)
    for stage, family in TIMES.items():
        yield Point(family, measures.stages[stage].spread(), labels, name)
    pipeline = {"pipeline": "/".join(key)}
    yield Point(PROCESSED, _through(measures), pipeline, name)
    yield Point(ERRORS, measures.failed.total() + _faults(measures.dropped), pipeline, name)
    yield Point(PROCESSING, measures.stages["total"].spread(), pipeline, name)


def _through(measures: Measures) -> int:
    through = measures.events.total("published") + measures.events.total("suppressed")
    return through + measures.dropped.total() + measures.failed.total()


def _faults(dropped: Counts) -> int:
    return sum(amount for word, amount in dropped.by_word().items() if word not in _OVERLOAD)
