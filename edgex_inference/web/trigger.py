"""`POST /trigger`: an event in, the results of every binding that takes it out."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from edgex_inference.contracts.errors import MessageError
from edgex_inference.contracts.events import Event
from edgex_inference.edgex import events
from edgex_inference.edgex.envelope import Envelope
from edgex_inference.pipeline.door import Answer
from edgex_inference.web import answers
from edgex_inference.web.view import View

_DEADLINE = 5.0
"""Seconds where Service.RequestTimeout is 0: a door that never answers is none."""

_IN_TIME = 0.95
"""The part of RequestTimeout that bindings may take, so that the answer is still ours."""

_BUSY = frozenset({"inactive", "overtaken", "queueFull", "overloaded", "deadline", "deviceLost"})
"""Reasons for which the same event may fare better later."""


async def trigger(view: View, request: web.Request, *, timeout: float) -> web.Response:
    """200 when at least one binding has a result; `timeout` is Service.RequestTimeout."""
    loop = asyncio.get_running_loop()
    until = loop.time() + (timeout or _DEADLINE) * _IN_TIME
    headers = answers.correlated(request)
    try:
        event = _event(request, await request.read())
    except MessageError as error:
        return answers.failure(request, 400, str(error), headers)
    left = max(0.0, until - loop.time())
    asked = await view.infer(event, headers[answers.CORRELATION], left)
    if asked.unwanted:
        return answers.failure(request, 404, asked.unwanted, headers)
    results = [_result(answer) for answer in asked.answers]
    status, message = _verdict(asked.answers, timeout or _DEADLINE)
    if status != 200:
        return answers.failure(request, status, message, headers, results=results)
    body = {"apiVersion": answers.api_version(request), "statusCode": 200, "results": results}
    return answers.json(body, headers)


def _event(request: web.Request, body: bytes) -> Event:
    """The event in a body, as an AddEventRequest or bare; a missing or unknown Content-Type is guessed."""
    kind = request.content_type if "Content-Type" in request.headers else ""
    known = kind if kind in ("application/json", "application/cbor") else ""
    where = f"POST {request.path}"
    event = events.read(Envelope(topic=where, content_type=known, payload=body)) if body else None
    if event is None:
        raise _NoEvent(f"{where}: the body is neither an AddEventRequest nor an Event, in JSON or CBOR")
    return event


class _NoEvent(MessageError):
    pass


def _result(answer: Answer) -> dict[str, Any]:
    said: dict[str, Any] = {"profile": answer.profile, "binding": answer.binding}
    outcome = answer.outcome
    if outcome is None:
        return {**said, "fate": "late"}
    said["fate"] = outcome.fate
    if outcome.fate == "result":
        said["published"] = outcome.published
        return said if outcome.event is None else {**said, "event": outcome.event}
    return {**said, "reason": outcome.reason, "message": outcome.message}


def _verdict(found: Sequence[Answer], timeout: float) -> tuple[int, str]:
    """One status for all: 200 with a result, 503 where waiting may help, 500 after a failure, 422 for the event."""
    fates = [answer.outcome.fate if answer.outcome is not None else "late" for answer in found]
    if "result" in fates:
        return 200, ""
    late = [answer.binding for answer in found if answer.outcome is None]
    if late:
        return 503, f"no answer within Service.RequestTimeout ({timeout:g} s) from {', '.join(late)}"
    outcomes = [(answer.binding, answer.outcome) for answer in found if answer.outcome is not None]
    message = "; ".join(f"{name}: {outcome.message} ({outcome.reason})" for name, outcome in outcomes)
    if any(outcome.reason in _BUSY for _, outcome in outcomes):
        return 503, message
    return (500 if "failed" in fates else 422), message
