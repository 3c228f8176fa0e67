"""A connection over which nothing is said: when the service is gone, the kernel ends the worker, whatever that is at.

A worker's own threads cannot see to it while a vendor's library holds Python's lock.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket

_F_SETSIG = 10
"""Linux' own; the module has no name for it."""


def tie(descriptor: int) -> None:
    """Ties this process to the other end: it is killed as soon as nobody has that open any more.

    Sandboxes have kernels that cannot do that: there the worker's own threads see to it alone.
    """
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(descriptor, select.POLLHUP)
    if poll.poll(0):  # it went before that
        os._exit(0)


class Lifeline:
    """The service's end, to be kept until its worker has ended; `theirs` is for the worker."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()

    def close(self) -> None:
        """Lets go; legal more than once."""
        self._ours.close()
        self.theirs.close()
