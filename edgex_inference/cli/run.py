"""`edgex-inference run`: the service on the configured message bus."""

import argparse
import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from edgex_inference.config import flags
from edgex_inference.config.load import Loaded, load
from edgex_inference.contracts.errors import SetupError
from edgex_inference.service import Service, open_bus
from edgex_inference.telemetry import logs

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """EdgeX's own flags."""
    flags.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the service until SIGTERM or SIGINT; 0 after a clean stop, 1 when it cannot start."""
    loaded = load(flags.from_namespace(args))
    logs.configure(loaded.service_key, level=loaded.config.writable.log_level)
    for note in loaded.notes:
        log.log(note.level, "%s", note.text)
    try:
        run_loop(serve(loaded))
    except SetupError as error:
        for line in str(error).splitlines():
            log.error("%s", line)
        return 1
    return 0


async def serve(loaded: Loaded) -> None:
    """The service with signals bound to its stop."""
    service = Service(loaded, open_bus(loaded))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    await service.run()
    log.info("stopped")


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine on uvloop where it is installed, else on asyncio's own loop."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop
