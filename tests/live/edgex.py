"""The running EdgeX as `make live` is told of it, and its REST services."""

import json
import os
import socket
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

WORDS = {
    "EDGEX_METADATA": "core-metadata, as http://host:59881",
    "EDGEX_BUS": "the message bus, as mqtt://host:1883 or mqtt://user:password@host:1883",
    "EDGEX_COMMAND": "core-command, as http://host:59882: without it nothing is polled",
    "EDGEX_DATA": "core-data, as http://host:59880: without it nobody looks at what is stored",
    "EDGEX_KEEPER": "core-keeper, as http://host:59890: without it the configuration comes from a file",
    "EDGEX_DEVICE": "a device and a numeric resource of another device service, as Random-Float-Device/Float32",
    "EDGEX_RESTART": "restarts a service, as 'docker restart edgex-{}': without it only connections break",
    "EDGEX_SELF": "this machine as core-command reaches it: by default the address that leads to core-metadata",
}


class Unusable(Exception):
    """What was given does not lead to an EdgeX; the text says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where everything is; empty for what is not there."""

    metadata: str
    bus: SplitResult
    command: str = ""
    data: str = ""
    keeper: str = ""
    device: str = ""
    restart: str = ""
    self: str = "127.0.0.1"

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Place":
        """Raises Unusable with all that is wrong."""
        given = {name: environment.get(name, "").rstrip("/") for name in WORDS}
        bus = urlsplit(given["EDGEX_BUS"])
        wrong = [
            f"{name} is needed: {WORDS[name]}" for name in ("EDGEX_METADATA", "EDGEX_BUS") if not given[name]
        ]
        if given["EDGEX_BUS"] and (bus.scheme not in ("mqtt", "tcp") or not bus.hostname):
            wrong.append(f"EDGEX_BUS: {given['EDGEX_BUS']} is no mqtt://host:port")
        for name in ("EDGEX_METADATA", "EDGEX_COMMAND", "EDGEX_DATA", "EDGEX_KEEPER"):
            if given[name] and urlsplit(given[name]).scheme != "http":
                wrong.append(f"{name}: {given[name]} is no http://host:port")
        if given["EDGEX_DEVICE"] and given["EDGEX_DEVICE"].count("/") != 1:
            wrong.append(f"EDGEX_DEVICE: {given['EDGEX_DEVICE']} is no device/resource")
        if wrong:
            raise Unusable("\n".join(wrong))
        return cls(
            metadata=given["EDGEX_METADATA"],
            bus=bus,
            command=given["EDGEX_COMMAND"],
            data=given["EDGEX_DATA"],
            keeper=given["EDGEX_KEEPER"],
            device=given["EDGEX_DEVICE"],
            restart=given["EDGEX_RESTART"],
            self=given["EDGEX_SELF"] or _towards(given["EDGEX_METADATA"]),
        )


def address(url: str | SplitResult, default: int = 80) -> tuple[str, int]:
    """Host and port."""
    split = urlsplit(url) if isinstance(url, str) else url
    return split.hostname or "127.0.0.1", split.port or default


def call(method: str, url: str, body: Any = None, timeout: float = 15.0) -> tuple[int, Any]:
    """Status and decoded answer; the status is 0 when there is none."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=timeout) as answer:
            return answer.status, _decoded(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _decoded(error.read())
    except OSError as error:
        return 0, str(error)


class Metadata:
    """core-metadata: what is added here is deleted by `clear`, newest first."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v3"
        self._added: list[str] = []

    @property
    def version(self) -> str:
        """Raises Unusable when there is no core-metadata."""
        status, body = call("GET", f"{self._url}/version")
        if status != 200 or not isinstance(body, dict) or "version" not in body:
            raise Unusable(f"EDGEX_METADATA: {self._url}/version answers {status}: {body}")
        return str(body["version"])

    def add(self, kind: str, key: str, record: Mapping[str, Any]) -> None:
        """Adds a record; the kind is that of the path."""
        body = [{"apiVersion": "v3", "requestId": str(uuid.uuid4()), key: record}]
        status, answer = call("POST", f"{self._url}/{kind}", body)
        told = answer[0] if isinstance(answer, list) and answer else answer
        assert status == 207, (status, told)
        assert told["statusCode"] == 201, told
        self.own(kind, record["name"])

    def own(self, kind: str, name: str) -> None:
        """Has this record deleted too, though somebody else added it."""
        path = f"{kind}/name/{quote(name, safe='')}"
        if path not in self._added:
            self._added.append(path)

    def change(self, kind: str, key: str, record: Mapping[str, Any]) -> None:
        """Changes some fields of a record."""
        body = [{"apiVersion": "v3", "requestId": str(uuid.uuid4()), key: record}]
        status, answer = call("PATCH", f"{self._url}/{kind}", body)
        assert status == 207, (status, answer)
        assert answer[0]["statusCode"] == 200, answer

    def get(self, kind: str, name: str) -> Any:
        """The record, None when there is none of that name."""
        status, body = call("GET", f"{self._url}/{kind}/name/{quote(name, safe='')}")
        found = {"deviceprofile": "profile", "device": "device", "deviceservice": "service"}
        return body[found[kind]] if status == 200 else None

    def profiles(self) -> set[str]:
        """The names of all of them."""
        names: set[str] = set()
        while True:
            status, body = call("GET", f"{self._url}/deviceprofile/all?offset={len(names)}&limit=20")
            found = body.get("profiles") or [] if status == 200 else []
            names |= {one["name"] for one in found}
            if not found or len(names) >= body["totalCount"]:
                return names

    def clear(self) -> list[str]:
        """Deletes what was added; what could not be deleted, with the answer."""
        left = []
        for path in reversed(self._added):
            status, body = call("DELETE", f"{self._url}/{path}")
            if status not in (200, 404):
                left.append(f"{path}: {status} {body}")
        self._added.clear()
        return left


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")[:200]


def _towards(url: str) -> str:
    """This machine's address on the way to a server; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address(url))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
