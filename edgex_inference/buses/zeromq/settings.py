"""Whom to listen to and where to publish, and how the `MessageBus` section says it."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgex_inference.buses.section import Section, is_host, is_port
from edgex_inference.contracts.errors import ConfigurationError

PROTOCOLS = ("tcp", "zmq", "zero")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a publisher is."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """As ZeroMQ writes it; an IPv6 address in brackets."""
        return f"tcp://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroMqSettings:
    """The publishers to listen to, and the port to publish on, 0 for none (EdgeX 2's SubscribeHost, PublishHost).

    `settle`: seconds that a subscription waits for publishers which do not say that they have it, as EdgeX's own
    services wait 0.3.
    """

    publishers: tuple[Address, ...] = (Address("localhost", 5563),)
    publish_port: int = 5566
    bind_host: str = "*"
    settle: float = 0.3
    connect_timeout: float = 5.0
    max_backlog: int = 10_000

    @property
    def place(self) -> str:
        """How messages to people name the bus."""
        return f"ZeroMQ {', '.join(one.url for one in self.publishers)}"


def settings_from(section: Mapping[str, object], *, file: str = "configuration") -> ZeroMqSettings:
    """Reads a `MessageBus` section: Host and Port are the publisher to listen to.

    `Optional.SubscribeHosts` names more of them, `host:port` and commas, `Optional.PublishPort` where we publish.
    Raises ConfigurationError with every mistake.
    """
    reader = Section(section, None, file)
    reader.one_of("Protocol", PROTOCOLS, "tcp")
    first = Address(reader.host(), reader.port(5563))
    more = _addresses(reader)
    settings = ZeroMqSettings(
        publishers=tuple(dict.fromkeys((first, *more))),
        publish_port=reader.number("PublishPort", 5566, 0, 65535),
        connect_timeout=reader.number("ConnectTimeout", 5, 1, 600),
    )
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return settings


def _addresses(reader: Section) -> list[Address]:
    found = []
    for text in filter(None, (part.strip() for part in reader.option("SubscribeHosts").split(","))):
        host, _, port = text.removeprefix("tcp://").rpartition(":")
        host = host.strip("[]")
        if is_host(host) and is_port(port):
            found.append(Address(host, int(port)))
        else:
            reader.wrong("Optional.SubscribeHosts", f"{text!r} is not host:port, for instance core-data:5563")
    return found
