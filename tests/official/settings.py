"""What is in the configuration files of official services: YAML for EdgeX 3 and 4, TOML for 2."""

import json
from collections.abc import Mapping
from typing import Any

from official.line import Line

_CORS = {
    "EnableCORS": False,
    "CORSAllowCredentials": False,
    "CORSAllowedOrigin": "https://localhost",
    "CORSAllowedMethods": "GET",
    "CORSAllowedHeaders": "Content-Type",
    "CORSExposeHeaders": "Content-Type",
    "CORSMaxAge": 3600,
}
_DEVICE = {
    "DataTransform": True,
    "MaxCmdOps": 128,
    "MaxCmdValueLen": 256,
    "AsyncBufferSize": 16,
    "EnableAsyncReadings": True,
    "Discovery": {"Enabled": False, "Interval": "0s"},
}
_FOLDERS = {"ProfilesDir": "./res/profiles", "DevicesDir": "./res/devices"}


def common(line: Line, metadata: int, *, escape: bool = False) -> dict[str, Any]:
    """What EdgeX 3 and 4 hand out to everybody; `metadata` is core-metadata's port."""
    client = {"core-metadata": {"Protocol": "http", "Host": "127.0.0.1", "Port": metadata}}
    return {
        "all-services": {
            "Writable": {"Telemetry": {"Interval": "30s", "Metrics": {}}},
            "Service": {
                "HealthCheckInterval": "10s",
                "ServerBindAddr": "127.0.0.1",
                "MaxResultCount": 1024,
                "RequestTimeout": "5s",
                "EnableNameFieldEscape": escape,
            },
            "MessageBus": line.section("nobody"),
        },
        "device-services": {
            "Writable": {"Reading": {"ReadingUnits": True}},
            "Clients": client,
            "Device": _DEVICE,
        },
        "app-services": {"Clients": client, "Trigger": {"Type": "edgex-messagebus"}},
    }


def device(key: str, port: int, line: Line) -> dict[str, Any]:
    """A device service's own file, EdgeX 3 and 4."""
    return _own(key, port, line) | {"Device": _FOLDERS}


def audience(key: str, port: int, line: Line, topics: str) -> dict[str, Any]:
    """An application service's own file, EdgeX 3 and 4; `topics` without the base."""
    return _own(key, port, line) | {"Trigger": {"Type": "edgex-messagebus", "SubscribeTopics": topics}}


def _own(key: str, port: int, line: Line) -> dict[str, Any]:
    return {
        "Writable": {"LogLevel": "DEBUG"},
        "Service": {"Host": "localhost", "Port": port, "StartupMsg": f"{key} started"},
        "MessageBus": {"Optional": line.options(key)},
    }


def device_of_2(key: str, port: int, line: Line, metadata: int) -> dict[str, Any]:
    """The whole file of a device service, EdgeX 2."""
    return _all_of_2(key, port, metadata) | {
        "MaxEventSize": 0,
        "MessageQueue": {
            "Type": line.kind,
            "Protocol": line.protocol,
            "Host": "127.0.0.1",
            "Port": line.port,
            "AuthMode": "none",
            "SecretName": "",
            "PublishTopicPrefix": "edgex/events/device",
            "Optional": line.options(key),
            "Topics": {
                "CommandRequestTopic": f"edgex/device/command/request/{key}/#",
                "CommandResponseTopicPrefix": "edgex/device/command/response",
            },
        },
        "Device": _DEVICE | _FOLDERS | {"UpdateLastConnected": False, "Labels": [], "UseMessageBus": True},
    }


def audience_of_2(key: str, port: int, line: Line, metadata: int, topics: str) -> dict[str, Any]:
    """The whole file of an application service, EdgeX 2; `topics` are whole ones, which ZeroMQ takes as prefixes."""
    topics = topics.removesuffix("#") if line.kind == "zero" else topics
    place = {"Host": "127.0.0.1", "Port": line.ours or line.port, "Protocol": line.protocol}
    return _all_of_2(key, port, metadata) | {
        "Trigger": {
            "Type": "edgex-messagebus",
            "EdgexMessageBus": {
                "Type": line.kind,
                "SubscribeHost": place | {"SubscribeTopics": topics},
                "PublishHost": place | {"Port": 0 if line.kind == "zero" else line.port, "PublishTopic": ""},
                "Optional": {"authmode": "none", **line.options(key)},
            },
        },
    }


def _all_of_2(key: str, port: int, metadata: int) -> dict[str, Any]:
    client = {"Protocol": "http", "Host": "127.0.0.1", "Port": metadata}
    return {
        "Writable": {
            "LogLevel": "DEBUG",
            "Reading": {"ReadingUnits": True},
            "Telemetry": {"Interval": "0s", "PublishTopicPrefix": "edgex/telemetry", "Metrics": {}},
        },
        "Service": {
            "HealthCheckInterval": "10s",
            "Host": "localhost",
            "Port": port,
            "ServerBindAddr": "127.0.0.1",
            "StartupMsg": f"{key} started",
            "MaxResultCount": 1024,
            "MaxRequestSize": 0,
            "RequestTimeout": "20s",
            "CORSConfiguration": _CORS,
        },
        "Registry": {"Host": "localhost", "Port": 8500, "Type": "consul"},
        "Clients": {"core-metadata": client, "core-data": client},
    }


def toml(document: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """The document as TOML; JSON's texts, numbers, booleans and lists are TOML's as well."""
    lines = [f"[{'.'.join(path)}]"] if path else []
    tables = {key: value for key, value in document.items() if isinstance(value, Mapping)}
    lines += [f"{key} = {json.dumps(value)}" for key, value in document.items() if key not in tables]
    return "\n".join([*lines, *(toml(value, (*path, key)) for key, value in tables.items())])
