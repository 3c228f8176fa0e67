"""The message bus that everybody in a test is on, in the words of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A bus of EdgeX's type `kind` at this port of the loopback interface; `optional` as in EdgeX's configuration.

    ZeroMQ has no server: whoever publishes has a port. There `port` is the device service's and `ours` our own.
    """

    kind: str
    port: int
    protocol: str = "tcp"
    optional: Mapping[str, str] = field(default_factory=dict)
    ours: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """The bus as our own configuration has it."""
        options = {f"MESSAGEBUS_OPTIONAL_{name.upper()}": text for name, text in self.optional.items()}
        return {
            "MESSAGEBUS_TYPE": self.kind,
            "MESSAGEBUS_PROTOCOL": self.protocol,
            "MESSAGEBUS_HOST": "127.0.0.1",
            "MESSAGEBUS_PORT": str(self.port),
            **options,
        }

    def options(self, client: str) -> dict[str, str]:
        """EdgeX's `Optional` for a client of this name."""
        always = {"ClientId": client, "ConnectTimeout": "5"}
        if self.kind == "mqtt":
            always |= {"Qos": "0", "KeepAlive": "10", "AutoReconnect": "true"}
        return always | dict(self.optional)

    def section(self, client: str) -> dict[str, object]:
        """`MessageBus` of EdgeX 3 and 4."""
        return {
            "Type": self.kind,
            "Protocol": self.protocol,
            "Host": "127.0.0.1",
            "Port": self.port,
            "AuthMode": "none",
            "BaseTopicPrefix": "edgex",
            "Optional": self.options(client),
        }
