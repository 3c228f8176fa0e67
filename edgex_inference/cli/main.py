"""The command line: finds the command, imports only its module, and turns every ending into an exit code.

A command is a module `edgex_inference.cli.<name>` (`try_` for `try`, which Python keeps) with `add_arguments(parser)`
and `run(args) -> int`. Flags alone mean `run`, as EdgeX starts its services.
"""

import argparse
import importlib
import keyword
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn, Protocol

from edgex_inference.config.flags import spell_out
from edgex_inference.config.places import suggest
from edgex_inference.contracts.errors import EdgexInferenceError

PROGRAM = "edgex-inference"
COMMANDS = {
    "run": "run the service on the configured message bus",
    "demo": "show it at work without EdgeX, broker, camera or network",
    "validate": "check profiles, side-cars, devices files and model cards",
    "try": "show what a binding would publish for pictures, numbers or captured events",
    "model": "look into a model file, check a model of the store, add one to it, convert one",
    "toolchain": "list, install, remove and check the environments that conversions need",
    "compile": "compile a model ahead, for accelerators of this host or of another one",
    "rules": "print rules for eKuiper on what a profile's bindings publish",
    "init": "print a first profile for a model of the store",
    "schema": "print the JSON Schema of profiles, blocks or model cards, for editors",
    "accelerators": "list what can run models here, and how to get the rest",
}
"""Command → what it does; `run` is what flags alone mean."""

INTERRUPTED, BROKEN_PIPE, USAGE = 130, 141, 2


class Command(Protocol):
    """What the module of a command offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code and lets no traceback reach a user's mistake."""
    try:
        code = _main(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _let_go_of_stdout()
        return BROKEN_PIPE
    except EdgexInferenceError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # of a file or a folder that nobody expected to be so
        logging.getLogger(__name__).debug("a command failed", exc_info=True)
        where = f"{error.filename}: " if error.filename is not None else ""
        print(f"{PROGRAM}: {where}{error.strerror or str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    return code


def program() -> NoReturn:
    """Ends the process with the exit code of `main`.

    A run that is still under way in a runtime's code would come back into an interpreter that is being taken down,
    which aborts the process: then nothing is taken down. Asked to end, it tidies up: half a model is none, and whoever
    works for it ends with it.
    """
    if sys.argv[1:2] not in ([], ["run"], ["demo"]):  # which stop by themselves
        signal.signal(signal.SIGTERM, _ended)
    code = main()
    if not any(thread.daemon for thread in threading.enumerate()):
        sys.exit(code)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _ended(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _main(argv: list[str]) -> int:
    first = argv[0] if argv else ""
    if first in ("-h", "--help", "help"):
        print(_help())
        return 0
    if first == "--version":
        print(f"{PROGRAM} {_version()}")
        return 0
    name, rest = ("run", argv) if first.startswith("-") or not first else (first, argv[1:])
    if name not in COMMANDS:
        print(f"{PROGRAM}: no command {name!r}{suggest(name, COMMANDS)}\n\n{_help()}", file=sys.stderr)
        return USAGE
    command: Command = importlib.import_module(module_of(name))
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {name}",
        description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.",
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return command.run(parser.parse_args(spell_out(rest) if name == "run" else rest))


def module_of(command: str) -> str:
    """The module of a command."""
    return (
        f"edgex_inference.cli.{command}_" if keyword.iskeyword(command) else f"edgex_inference.cli.{command}"
    )


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND …",
            "",
            "Machine-learning inference for EdgeX Foundry.",
            "",
            "commands:",
            *lines,
            "",
            f"Without a command it runs the service, as EdgeX's own do. {PROGRAM} COMMAND --help says more;",
            f"{PROGRAM} --version says which release this is.",
        ]
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(PROGRAM)
    except PackageNotFoundError:
        return "(not installed)"


def _let_go_of_stdout() -> None:
    """The reader of our output is gone: nothing more is written, and the interpreter's last flush finds no pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
