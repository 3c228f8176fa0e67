"""The worker: loads one session, runs what it is told to, and ends with its service."""

import contextlib
import importlib
import os
import select
import signal
import socket
import threading

from edgex_inference.contracts.accelerator import Accelerator, Session
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.contracts.tensors import Array
from edgex_inference.engine.isolated.frames import (
    Answer,
    Fault,
    Gone,
    Hire,
    Line,
    Load,
    Progress,
    Ready,
    Run,
)
from edgex_inference.engine.isolated.lifeline import tie
from edgex_inference.engine.isolated.memory import Glass, Memory

_BLIND = 71
"""The exit code of a worker that cannot see what it is given."""

_GRACE = 2.0
"""Seconds for the vendor's own closing; then the process ends all the same."""


def main(fd: int, life: int) -> None:
    """Serves the service on the other end of this descriptor, and lives no longer than that of the other."""
    tie(life)
    for one in (signal.SIGINT, signal.SIGTERM):  # sent to a whole group: the service says when it is over
        signal.signal(one, signal.SIG_IGN)
    os.dup2(2, 1)  # a vendor's chatter must not stand between the service's own lines
    connection = socket.socket(fileno=fd)
    threading.Thread(target=_watch, args=(connection.fileno(),), daemon=True).start()
    service = Line(connection)
    with contextlib.suppress(Gone):
        session = _loaded(service)
        if session is not None:
            _serve(service, session)
    os._exit(0)


def _loaded(service: Line) -> Session | None:
    load, _ = service.receive()
    assert isinstance(load, Load)
    try:
        module, _, attribute = load.plugin.partition(":")
        plugin: Accelerator = getattr(importlib.import_module(module), attribute)
        assert plugin.load is not None
        request = load.request(plugin.options, lambda share, doing: service.send(Progress(share, doing)))
        session = plugin.load(request)
    except (AcceleratorUnavailable, ModelRejected) as error:
        service.send(Fault.of(error))
        return None
    except Gone:
        raise
    except BaseException as error:  # noqa: BLE001 - the service is told whatever it is
        reason = f"loading failed with {type(error).__name__}: {error}"
        service.send(Fault.of(AcceleratorUnavailable(load.plugin, reason)))
        return None
    service.send(Ready.of(session))
    return session


def _serve(service: Line, session: Session) -> None:
    """The first slot's runs are done by this thread, which has loaded the session and closes it."""
    own: Line | None = None
    for _ in range(Ready.of(session).parallel):
        hire, fd = service.receive()
        assert isinstance(hire, Hire)
        assert fd is not None
        slot = Line(socket.socket(fileno=fd))
        if own is None:
            own = slot
        else:
            threading.Thread(target=_work, args=(slot, session), daemon=True).start()
    if own is not None:
        _work(own, session)
    with contextlib.suppress(Exception):
        session.close()


def _watch(descriptor: int) -> None:
    """Ends the process some time after the service has gone, or closed the session, whatever it is at then."""
    poll = select.poll()
    poll.register(descriptor, select.POLLHUP | select.POLLRDHUP)
    poll.poll()
    threading.Timer(_GRACE, os._exit, (0,)).start()


def _work(slot: Line, session: Session) -> None:
    memory, glass = Memory(), Glass()
    with contextlib.suppress(Gone):
        while True:
            run, fd = slot.receive()
            assert isinstance(run, Run)
            given = _given(glass, run, fd)
            try:
                cells, fresh = memory.write(session.infer(given, timeout=run.timeout))
            except BaseException as error:  # noqa: BLE001 - the service is told whatever it is
                slot.send(Fault.of(error))
                continue
            slot.send(Answer(cells), fresh)
            memory.told()


def _given(glass: Glass, run: Run, fd: int | None) -> dict[str, Array]:
    """The inputs; without the memory that they lie in, those of a former run would be taken for them."""
    try:
        glass.know(fd)
        return glass.read(run.cells, copied=False)
    except Exception:  # noqa: BLE001 - whatever it is, nothing can be trusted any more
        os._exit(_BLIND)
