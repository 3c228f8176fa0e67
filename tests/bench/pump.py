"""A bare MQTT 3.1.1 client on a blocking socket: sends packets made before, counts or stamps what comes back.

It takes so little processor time that the two cores are left to the broker and to who is measured.
"""

import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence

from tests.bench.feeder import PATIENCE, Feeder, is_result

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Without it a broker that leaves Nagle on keeps a result back until our next event acknowledges the one before."""


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(kind: int, body: bytes) -> bytes:
    """An MQTT packet: first byte, length, body."""
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (128 if length else 0))
        if not length:
            return bytes([kind, *digits]) + body


def publication(topic: str, payload: bytes, *, qos: int = 0, number: int = 1) -> bytes:
    """A PUBLISH packet; `number` is its identifier at QoS 1."""
    identifier = struct.pack(">H", number) if qos else b""
    return packet(0x30 | qos << 1, _text(topic) + identifier + payload)


class Pump(Feeder):
    """One connection that subscribes to `results`; use as a context manager."""

    def __init__(self, port: int, results: str, *, qos: int = 0, name: str = "pump") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = self._last = b""
        self.acknowledged = 0
        self._send(packet(0x10, _text("MQTT") + bytes([4, 2]) + struct.pack(">H", 0) + _text(name)))
        self._await(0x20)
        self._send(packet(0x82, struct.pack(">H", 1) + _text(results) + bytes([qos])))
        self._await(0x90)

    def __enter__(self) -> "Pump":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def packet(self, topic: str, payload: bytes) -> bytes:
        return publication(topic, payload)

    def _burst(self, packets: Sequence[bytes]) -> None:
        self._send(b"".join(packets))

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _count(self, seconds: float) -> int:
        """How many results come in one reading; 0 after so many seconds without any."""
        ready, _, _ = select.select([self._socket], [], [], seconds)
        if not ready:
            return 0
        data = self._socket.recv(1 << 20)
        if _QUICK_ACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
        if not data:
            raise ConnectionError("the broker hung up")
        return sum(self._take(kind, body) for kind, body in self._packets(data))

    def _take(self, kind: int, body: bytes) -> bool:
        if kind == 0x40:
            self.acknowledged += 1
        if kind >> 4 != 3:
            return False
        if kind & 6:
            (length,) = struct.unpack_from(">H", body)
            self._send(packet(0x40, body[2 + length : 4 + length]))
        if not is_result(body):
            return False
        self._last = body
        return True

    def _answer(self) -> bytes:
        (length,) = struct.unpack_from(">H", self._last)
        return self._last[2 + length :]

    def _packets(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        data = self._rest + data
        at = 0
        while (found := _framed(data, at)) is not None:
            begin, end = found
            yield data[at], data[begin:end]
            at = end
        self._rest = data[at:]

    def _await(self, kind: int) -> None:
        deadline = time.perf_counter() + PATIENCE
        seen: list[int] = []
        while kind not in seen:
            if time.perf_counter() > deadline:
                raise TimeoutError("the broker does not answer")
            ready, _, _ = select.select([self._socket], [], [], 0.1)
            if ready:
                seen += [one for one, _ in self._packets(self._socket.recv(1 << 16))]


def _framed(data: bytes, at: int) -> tuple[int, int] | None:
    """Begin and end of the body of the packet that starts here, None while it is not whole."""
    length = shift = 0
    for index in range(at + 1, min(at + 5, len(data))):
        length |= (data[index] & 127) << shift
        shift += 7
        if data[index] < 128:
            end = index + 1 + length
            return (index + 1, end) if end <= len(data) else None
    return None
