"""Bare clients of Redis, NATS and ZeroMQ, as `pump` has one of MQTT."""

import json
import select
import socket
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence

import zmq

from tests.bench.feeder import PATIENCE, Feeder, is_result

_END = b"\r\n"


class _Stream(Feeder):
    """A feeder whose results come as lines and blocks on one connection."""

    def __init__(self, port: int) -> None:
        self._socket = _connected(port)
        self._rest = self._last = b""

    def __enter__(self) -> "Feeder":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _count(self, seconds: float) -> int:
        ready, _, _ = select.select([self._socket], [], [], seconds)
        if not ready:
            return 0
        data = self._socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the server hung up")
        count, self._rest = 0, self._rest + data
        for payload in self._payloads():
            if is_result(payload):
                count, self._last = count + 1, payload
        return count

    def _answer(self) -> bytes:
        return self._last

    @abstractmethod
    def _payloads(self) -> Iterator[bytes]:
        """Takes whole messages off `_rest`."""

    def _await(self, text: bytes) -> None:
        deadline = time.perf_counter() + PATIENCE
        while text not in self._rest:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"the server does not answer: {self._rest[-200:]!r}")
            if select.select([self._socket], [], [], 0.1)[0]:
                self._rest += self._socket.recv(1 << 16)
        self._rest = b""


class RedisPump(_Stream):
    """Publishes on a connection of its own, as Redis wants it, which is told to answer nothing."""

    def __init__(self, port: int, results: str) -> None:
        super().__init__(port)
        pattern = results.replace("/", ".").replace("#", "*").encode()
        self._socket.sendall(_command(b"PSUBSCRIBE", pattern))
        self._await(b":1\r\n")
        self._out = _connected(port)
        self._out.sendall(_command(b"CLIENT", b"REPLY", b"OFF"))

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._out.close()

    def packet(self, topic: str, payload: bytes) -> bytes:
        return _command(b"PUBLISH", topic.replace("/", ".").encode(), payload)

    def _burst(self, packets: Sequence[bytes]) -> None:
        self._out.sendall(b"".join(packets))

    def _payloads(self) -> Iterator[bytes]:
        data, at = self._rest, 0
        while (found := _pushed(data, at)) is not None:
            begin, end = found
            yield data[begin:end]
            at = end + 2
        self._rest = data[at:]


class NatsPump(_Stream):
    """The envelope travels as headers, EdgeX's default; what it sends JetStream keeps too."""

    def __init__(self, port: int, results: str) -> None:
        super().__init__(port)
        self._await(_END)
        subject = results.replace("/", ".").replace("#", ">")
        options = json.dumps({"verbose": False, "pedantic": False, "headers": True})
        self._socket.sendall(f"CONNECT {options}\r\nSUB {subject} 1\r\nPING\r\n".encode())
        self._await(b"PONG")

    def packet(self, topic: str, payload: bytes) -> bytes:
        """`payload` is a bare AddEventRequest."""
        headers = (
            b"NATS/1.0\r\nApiVersion: v3\r\nContent-Type: application/json\r\nErrorCode: 0\r\nRequestId: \r\n"
            b"X-Correlation-ID: 5f0e9a1e-0a44-4a1e-9f6b-1b1a44d5b6de\r\n\r\n"
        )
        sizes = f"{len(headers)} {len(headers) + len(payload)}"
        return f"HPUB {topic.replace('/', '.')} {sizes}\r\n".encode() + headers + payload + _END

    def _burst(self, packets: Sequence[bytes]) -> None:
        self._socket.sendall(b"".join(packets))

    def _payloads(self) -> Iterator[bytes]:
        data, at = self._rest, 0
        while (end := data.find(_END, at)) >= 0:
            line = data[at:end].split()
            if line[0] not in (b"MSG", b"HMSG"):
                self._said(line[0], data[at:end])
                at = end + 2
                continue
            begin, size = end + 2, int(line[-1])
            if len(data) < begin + size + 2:
                break
            head = int(line[-2]) if line[0] == b"HMSG" else 0
            yield data[begin + head : begin + size]
            at = begin + size + 2
        self._rest = data[at:]

    def _said(self, word: bytes, line: bytes) -> None:
        if word == b"PING":
            self._socket.sendall(b"PONG\r\n")
        elif word == b"-ERR":
            raise ConnectionError(line.decode())


class ZeroMqPump(Feeder):
    """Binds `port`, as a device service does, and listens to the service's `theirs`."""

    def __init__(self, port: int, theirs: int, results: str) -> None:
        self._context = zmq.Context()
        self._out, self._in = self._context.socket(zmq.PUB), self._context.socket(zmq.SUB)
        self._out.bind(f"tcp://127.0.0.1:{port}")
        self._in.connect(f"tcp://127.0.0.1:{theirs}")
        self._in.subscribe(results.removesuffix("#"))
        self._last = b""

    def __enter__(self) -> Feeder:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)

    def packet(self, topic: str, payload: bytes) -> bytes:
        return topic.encode() + _END + payload

    def _burst(self, packets: Sequence[bytes]) -> None:
        for one in packets:
            topic, _, payload = one.partition(_END)
            self._out.send_multipart((topic, payload), copy=True)

    def _count(self, seconds: float) -> int:
        if not self._in.poll(seconds * 1000):
            return 0
        count = 0
        try:
            while True:
                payload = self._in.recv_multipart(zmq.DONTWAIT)[-1]
                if is_result(payload):
                    count, self._last = count + 1, payload
        except zmq.Again:
            return count

    def _answer(self) -> bytes:
        return self._last


def _connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _pushed(data: bytes, at: int) -> tuple[int, int] | None:
    """Begin and end of the payload of the pmessage that starts here, None while it is not whole."""
    begin = end = data.find(_END, at)  # after "*4"
    for _ in range(4):
        line = data.find(_END, end + 2)
        if end < 0 or line < 0:
            return None
        begin = line + 2
        end = begin + int(data[end + 3 : line])
    return (begin, end) if len(data) >= end + 2 else None
