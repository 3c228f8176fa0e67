"""From an HTTP request to records and back: bodies, batches, pages, answers."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from edgex_inference.edgex.ids import is_id
from edgex_inference.testing.metadata.events import Announcer
from edgex_inference.testing.metadata.generations import Generation
from edgex_inference.testing.metadata.shapes import Document, Mistyped, Shape, text
from edgex_inference.testing.metadata.state import Refused, State

CORRELATION = "X-Correlation-ID"
Check = Callable[[str, Document, Generation], Iterator[str]]
_DEFAULT_LIMIT = 20
_MOST = 2**31 - 1
_UNREADABLE = "Failed to unmarshal request body as JSON."
_BASE = (text("apiVersion"), text("requestId"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What every route works on."""

    state: State
    bus: Announcer

    @property
    def generation(self) -> Generation:
        return self.state.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The requests that a batch call consists of: `go_type` and `member` are the names in EdgeX's messages."""

    go_type: str
    key: str
    member: str
    shape: Shape
    check: Check
    with_profile: bool = False
    """`profileName` stands beside the record"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One request of a batch."""

    request_id: str
    record: Document
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP call being answered."""

    request: web.Request
    correlation: str
    version: str

    def flag(self, name: str) -> bool:
        return self.request.query.get(name, "").lower() == "true"

    def said(self, status: int, *, message: str = "", request_id: str = "", id: str = "") -> Document:
        """EdgeX's BaseResponse; what is empty is left out."""
        return {
            "apiVersion": self.version,
            **({"requestId": request_id} if request_id else {}),
            **({"message": message} if message else {}),
            "statusCode": status,
            **({"id": id} if id else {}),
        }

    def part(self, name: str) -> str:
        """A part of the path, decoded."""
        return self.request.match_info[name]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path below the API, and who answers there; what it raises is answered by the server."""

    method: str
    path: str
    handle: Callable[[Call], Awaitable[web.Response]]


Act = Callable[[Call, Element], Awaitable[str | None]]


async def batch(core: Core, call: Call, body: Body, act: Act, status: int) -> web.Response:
    """207 with an answer for each element, in order; `act` returns the id to tell, or raises Refused.

    Raises Refused where the whole call is: nothing has been done then.
    """
    elements = _elements(await call.request.read(), body, core.generation)
    answers = [await _one(call, element, act, status) for element in elements]
    return answer(call, 207, answers or None)


async def _one(call: Call, element: Element, act: Act, status: int) -> Document:
    try:
        id = await act(call, element)
    except Refused as refused:
        return call.said(refused.status, message=refused.message, request_id=element.request_id)
    return call.said(status, request_id=element.request_id, id=id or "")


def single(data: bytes, body: Body, generation: Generation) -> Element:
    """The one request of a call that is no batch; raises Refused."""
    given = _json(data)
    if not isinstance(given, dict):
        raise Refused(
            500, f"json: cannot unmarshal {_go_kind(given)} into Go value of type requests.{body.go_type}"
        )
    return _element(given, body, generation)


def _elements(data: bytes, body: Body, generation: Generation) -> list[Element]:
    try:
        return _read(data, body, generation)
    except Refused:
        if generation.first:  # 2.1 keeps to itself what is wrong
            raise Refused(400, f"*[]requests.{body.go_type} json decoding failed") from None
        raise


def _read(data: bytes, body: Body, generation: Generation) -> list[Element]:
    given = _json(data)
    if given is not None and not isinstance(given, list):
        wanted = f"[]requests.{body.go_type}"
        raise Refused(500, f"json: cannot unmarshal {_go_kind(given)} into Go value of type {wanted}")
    return [_element(one, body, generation) for one in given or ()]


def _json(data: bytes) -> Any:
    if not data.strip():
        raise Refused(500, "EOF")
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        cut = "truncated" in str(error)
        raise Refused(500, "unexpected EOF" if cut else f"invalid character: {error}") from None


def _go_kind(value: object) -> str:
    kinds = {dict: "object", str: "string", bool: "bool", int: "number", float: "number", list: "array"}
    return kinds.get(type(value), "null")


def _element(given: Any, body: Body, generation: Generation) -> Element:
    """One request, read and checked; raises Refused (400) for the whole call."""
    beside = (text("profileName"),) if body.with_profile else ()
    try:
        around = Shape((*_BASE, *beside)).read(given)
        values = {str(key).lower(): value for key, value in given.items()}
        record = body.shape.read(given if not body.key else values.get(body.key.lower()) or {})
    except Mistyped:
        raise Refused(400, _UNREADABLE) from None
    problems = [*_around(around, body, generation)]
    path = f"{body.go_type}.{body.member}" if body.member else body.go_type
    problems += [*body.check(path, record, generation)]
    if problems:
        raise Refused(400, "; ".join(problems))
    return Element(
        request_id=around.get("requestId", ""), record=record, profile=around.get("profileName", "")
    )


def _around(given: Document, body: Body, generation: Generation) -> Iterable[str]:
    base = f"{body.go_type}.BaseRequest"
    if not given.get("apiVersion"):
        yield f"{base}.Versionable.ApiVersion field is required"
    if given.get("requestId") and not is_id(given["requestId"]):
        yield generation.invalid(f"{base}.RequestId", "len=0|uuid")
    if body.with_profile and not given.get("profileName"):
        yield f"{body.go_type}.ProfileName field is required"


def page(
    core: Core, call: Call, key: str, found: list[Document], shape: Shape, *, service: str = ""
) -> web.Response:
    """The part of a list (of one device service's) that `offset` and `limit` ask for; raises Refused (400, 416)."""
    most = core.state.policies.max_result_count
    offset = integer(call, "offset", 0, 0)
    limit = integer(call, "limit", _DEFAULT_LIMIT, -1, most)
    limit = most if limit == -1 else limit
    if limit and found and offset > len(found):
        raise Refused(416, core.generation.out_of_range(len(found), offset, limit, service))
    shown = [shape.write(record) for record in found[offset : offset + limit]]
    return answer(call, 200, call.said(200) | {"totalCount": len(found), key: shown})


def labelled(call: Call) -> Callable[[Document], bool]:
    """Whether a record has all the labels that the query asks for."""
    wanted = {label for label in call.request.query.get("labels", "").split(",") if label}
    return lambda record: wanted <= set(record.get("labels", ()))


def integer(call: Call, name: str, default: int, least: int, most: int = _MOST) -> int:
    """A whole number of the query; raises Refused (400)."""
    given = call.request.query.get(name, "")
    if not given:
        return default
    try:
        value = int(given)
    except ValueError:
        why = f'Error:strconv.Atoi: parsing "{given}": invalid syntax'
        raise Refused(
            400, f"failed to parse querystring {name}'s value {given} into integer. {why}"
        ) from None
    if not least <= value <= most:
        raise Refused(400, f"querystring {name}'s value {value} is out of min {least} ~ max {most} range.")
    return value


def answer(call: Call, status: int, document: Any) -> web.Response:
    """JSON with the call's correlation id, ended by a line feed, as Go's encoder does."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(document) + b"\n",
        content_type="application/json",
        headers={CORRELATION: call.correlation},
    )
