"""`edgex-inference run`: the service on the configured message bus."""

import argparse
import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgex_inference.config import flags
from edgex_inference.config.load import Loaded, load
from edgex_inference.contracts.errors import ConfigurationError, SetupError
from edgex_inference.opening import open_bus
from edgex_inference.service import Service
from edgex_inference.telemetry import logs

log = logging.getLogger(__name__)

_LOOK = 1.0
"""Seconds between two looks at the configuration file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """EdgeX's own flags."""
    flags.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the service until SIGTERM or SIGINT; 0 after a clean stop, 1 when it cannot start."""
    given = flags.from_namespace(args)
    loaded = load(given)
    logs.configure(loaded.service_key, level=loaded.config.writable.log_level)
    for note in loaded.notes:
        log.log(note.level, "%s", note.text)
    try:
        run_loop(serve(loaded, given))
    except SetupError as error:
        for line in str(error).splitlines():
            log.error("%s", line)
        return 1
    return 0


async def serve(loaded: Loaded, given: flags.Flags) -> None:
    """The service with signals bound to its stop, following its configuration file."""
    service = Service(loaded, open_bus(loaded))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    following = asyncio.create_task(follow(service, given), name="configuration file")
    try:
        await service.run()
    finally:
        following.cancel()
    log.info("stopped")


async def follow(service: Service, given: flags.Flags) -> None:
    """Takes up the Writable part of the configuration file when it changes, or at once at SIGHUP."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    seen = _stamp(service.loaded.file)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await asked.wait()
        now = _stamp(service.loaded.file)
        if asked.is_set() or now != seen:
            asked.clear()
            seen = now
            _reload(service, given)
            service.look()


def _reload(service: Service, given: flags.Flags) -> None:
    try:
        service.apply(load(given))
    except ConfigurationError as error:
        for problem in error.problems:
            log.error("%s", problem)
        log.error("the configuration has mistakes: what was in force stays")


def _stamp(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


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
