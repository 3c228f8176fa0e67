"""`edgex-inference run`: the service on the configured message bus."""

import argparse
import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from edgex_inference.config import flags
from edgex_inference.config.load import service_key
from edgex_inference.contracts.errors import ConfigurationError, RegistryUnavailable, SetupError
from edgex_inference.edgex.providers.boot import Booted, Origin, boot
from edgex_inference.edgex.providers.presence import Presence, presence
from edgex_inference.opening import open_bus
from edgex_inference.service import Service
from edgex_inference.telemetry import logs

log = logging.getLogger(__name__)

_GC = (20_000, 20, 20)
"""Objects and generations between two searches for cycles."""
Result = TypeVar("Result")

_LOOK = 1.0
"""Seconds between two looks at the configuration file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """EdgeX's own flags."""
    flags.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Runs the service until SIGTERM or SIGINT; 0 after a clean stop, 1 when it cannot start."""
    given = flags.from_namespace(args)
    origin = Origin.of(given)
    logs.configure(service_key(origin.settled)[0])
    return run_loop(start(origin))


async def start(origin: Origin) -> int:
    """Finds the configuration, whose mistakes are raised, then serves; the exit code."""
    loop, booting = asyncio.get_running_loop(), asyncio.create_task(boot(origin), name="start")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, booting.cancel)
    try:
        booted = await booting
        loaded = booted.loaded
        logs.set_level(loaded.config.writable.log_level)
        for note in loaded.notes:
            log.log(note.level, "%s", note.text)
    except asyncio.CancelledError:
        log.info("stopped before it had its configuration")
        return 0
    except ConfigurationError:
        raise
    except SetupError as error:
        return _unable(error)
    around = presence(booted)
    try:
        await serve(booted, around)
    except SetupError as error:
        return _unable(error)
    finally:
        await around.close()
    return 0


def _unable(error: SetupError) -> int:
    for line in str(error).splitlines():
        log.error("%s", line)
    return 1


async def serve(booted: Booted, around: Presence) -> None:
    """The service with signals bound to its stop, following where its configuration comes from."""
    service = Service(booted.loaded, open_bus(booted.loaded), presence=around)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    following = asyncio.create_task(follow(service, booted), name="configuration")
    try:
        await service.run()
    finally:
        following.cancel()
    log.info("stopped")


async def follow(service: Service, booted: Booted) -> None:
    """Takes up the Writable part of the configuration file when it changes, or at once at SIGHUP.

    A provider tells its changes itself; SIGHUP asks it again.
    """
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    file = service.loaded.file if booted.provided is None else None
    seen = _stamp(file)
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await asked.wait()
        now = _stamp(file)
        if asked.is_set() or now != seen:
            asked.clear()
            seen = now
            await _reload(service, booted)
            service.look()


async def _reload(service: Service, booted: Booted) -> None:
    try:
        service.apply(await booted.again())
    except ConfigurationError as error:
        for problem in error.problems:
            log.error("%s", problem)
        log.error("the configuration has mistakes: what was in force stays")
    except (RegistryUnavailable, SetupError) as error:
        log.warning("the configuration is not read again: %s", error)


def _stamp(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def run_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs a coroutine on uvloop where it is installed, else on asyncio's own loop.

    What is made for each event dies by itself; looking for cycles among 700 young objects at a time costs a tenth.
    """
    gc.set_threshold(*_GC)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop
