"""The key-value store: texts at keys with slashes, and a message on the bus for every change."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pybase64
from aiohttp import web

from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import TransportError
from edgex_inference.contracts.messages import Message
from edgex_inference.testing.keeper.calls import Call, Refused, Route, answer, go_number

_ALLOWED = re.compile(r"[a-zA-Z0-9_~;=./%-]+")
_CHARACTERS = "key only allows characters between a to z, A to Z, 0 to 9, or one of -_ ~;=./%"
_CHANGES = "edgex/configs"


@dataclass(slots=True)
class Value:
    """A stored text with its times in ms."""

    text: str
    created: int
    modified: int


@dataclass(slots=True)
class Store:
    """What is stored, in the order of the last change."""

    values: dict[str, Value] = field(default_factory=dict)

    def put(self, key: str, text: str) -> None:
        now = int(time.time() * 1000)
        known = self.values.pop(key, None)
        self.values[key] = Value(text, known.created if known is not None else now, now)

    def put_tree(self, path: str, tree: Mapping[str, Any]) -> None:
        """Stores every leaf of a tree below a path, as its bootstrapper and its services do."""
        for key, text in _flattened(path, tree):
            self.put(key, text)

    def below(self, path: str) -> list[str]:
        """The keys at or below a path, whole levels only."""
        return [key for key in self.values if key == path or key.startswith(f"{path}/")]

    def text(self, key: str) -> str | None:
        known = self.values.get(key)
        return known.text if known is not None else None


class Kvs:
    """The routes of the store."""

    def __init__(self, store: Store, bus: Bus | None) -> None:
        self._store = store
        self._bus = bus

    def routes(self) -> Sequence[Route]:
        path = "/kvs/key/{key:.+}"
        return (
            Route("GET", path, self._get),
            Route("PUT", path, self._put),
            Route("DELETE", path, self._delete),
        )

    async def _get(self, call: Call) -> web.Response:
        path = _key(call)
        only, plain = call.flag("keyOnly"), call.flag("plaintext")
        found = self._store.below(path)
        if not found:
            raise Refused(404, f"no key starting with '{path}' found")
        if only:
            return answer(call, 200, response=found)
        return answer(call, 200, response=[self._shown(key, plain) for key in found])

    def _shown(self, key: str, plain: bool) -> dict[str, Any]:
        value = self._store.values[key]
        text = value.text if plain else pybase64.b64encode(value.text.encode()).decode()
        return {"key": key, "Created": value.created, "Modified": value.modified, "value": text}

    async def _put(self, call: Call) -> web.Response:
        path = _key(call)
        value = (await call.body()).get("value")
        if value is None:
            raise Refused(400, "the value field is undefined")
        flatten = call.flag("flatten") and isinstance(value, dict)
        written = list(_flattened(path, value)) if flatten else [(path, _text(value))]
        for key, text in written:
            self._store.put(key, text)
        await self._announce(
            call, {"key": path, "Created": 0, "Modified": 0, "value": _gone_through_go(value)}
        )
        return answer(call, 200, response=[key for key, _ in written])

    async def _delete(self, call: Call) -> web.Response:
        path = _key(call)
        found = self._store.below(path)
        if not found:
            raise Refused(404, f"key '{path}' not found")
        if not call.flag("prefixMatch"):
            self._store.values.pop(path, None)
            if found != [path]:
                raise Refused(409, f"keys having the same prefix {path} exist and cannot be deleted")
        for key in found:
            self._store.values.pop(key, None)
        await self._announce(call, {"key": path, "Created": 0, "Modified": 0})
        return answer(call, 200, response=found)

    async def _announce(self, call: Call, payload: Mapping[str, Any]) -> None:
        if self._bus is None:
            return
        envelope = {
            "apiVersion": "v3",
            "receivedTopic": "",
            "correlationID": call.correlation,
            "requestID": "",
            "errorCode": 0,
            "payload": payload,
            "contentType": "application/json",
        }
        try:
            await self._bus.publish(Message(f"{_CHANGES}/{payload['key']}", msgspec.json.encode(envelope)))
        except TransportError:
            return  # the real one logs it, and goes on


def _key(call: Call) -> str:
    key = call.request.match_info["key"]
    if not _ALLOWED.fullmatch(key):
        raise Refused(400, _CHARACTERS)
    return key


def _flattened(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flattened(f"{path}/{key}", item)
    elif isinstance(value, list):
        yield path, ""
    elif value is not None:
        yield path, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return go_number(value)
    return msgspec.json.encode(value, order="sorted").decode()


def _gone_through_go(value: Any) -> Any:
    """Numbers lose what a float64 has no room for."""
    if isinstance(value, dict):
        return {key: _gone_through_go(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_gone_through_go(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return msgspec.Raw(go_number(value).encode())
    return value
