"""`edgex-inference demo`: the whole way on this machine alone, with virtual devices and an embedded broker."""

import argparse
import asyncio
import importlib.util
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgex_inference.config.durations import seconds
from edgex_inference.contracts.errors import SetupError

if TYPE_CHECKING:
    from edgex_inference.demo.show import Wish
    from edgex_inference.demo.summary import Summary

_NEEDED = {"amqtt": "amqtt", "rich": "rich", "PIL": "Pillow"}
_UNSEEN_SEEDS = range(100_000, 1_000_000)
"""Training and its trials use smaller seeds only."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The demo's options."""
    parser.add_argument(
        "--for",
        dest="seconds",
        type=_duration,
        metavar="TIME",
        help="end after this time, such as 20s or 1m30s",
    )
    parser.add_argument("--seed", type=_seed, metavar="N", help="the same pictures and vibrations again")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print every published AddEventRequest as one line, all else to stderr",
    )
    parser.add_argument(
        "--edgex", choices=("3", "4"), default="4", help="the EdgeX major to speak (default 4)"
    )
    parser.add_argument(
        "--port", type=_port, metavar="N", help="the broker's port (default 1883, or the next free one)"
    )
    parser.add_argument(
        "--accelerator", default="", metavar="NAME[:DEVICE]", help="run both models on this one"
    )
    parser.add_argument("--svg", type=_file, metavar="FILE", help="save a picture of the last view")


def run(args: argparse.Namespace) -> int:
    """Plays the demo; 0 when it kept its promise, 1 when it broke it or cannot start."""
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        are = "are" if len(missing) > 1 else "is"
        raise SetupError(f'{", ".join(missing)} {are} missing: pip install "edgex-inference[demo]"')
    from edgex_inference.cli.run import run_loop
    from edgex_inference.demo.show import Wish

    seed = args.seed if args.seed is not None else random.choice(_UNSEEN_SEEDS)
    wish = Wish(
        seed=seed,
        major=args.edgex,
        seconds=args.seconds,
        port=args.port,
        accelerator=args.accelerator,
        svg=args.svg,
    )
    told: list[Summary] = []
    run_loop(_play(wish, told, as_json=args.json))
    out = sys.stderr if args.json else sys.stdout
    for summary in told:
        print("\n".join(summary.lines), file=out)
        for reason in summary.broken:
            print(f"edgex-inference demo: this should not be: {reason}", file=sys.stderr)
    return 1 if not told or told[0].broken else 0


async def _play(wish: "Wish", told: "list[Summary]", *, as_json: bool) -> None:
    from edgex_inference.demo.show import Show

    show = Show(wish, sys.stderr if as_json else sys.stdout, _print if as_json else None)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, show.stop)

    def interrupted() -> None:
        show.stop()
        loop.remove_signal_handler(signal.SIGINT)  # a second Ctrl-C ends it at once

    loop.add_signal_handler(signal.SIGINT, interrupted)
    told.append(await show.run())


def _print(request: bytes) -> None:
    sys.stdout.buffer.write(request + b"\n")
    sys.stdout.buffer.flush()


def _duration(text: str) -> float:
    try:
        found = seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if found <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time to play")
    return found


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: no such folder, or a folder itself")
    return path


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 1 to 65535")
    return int(text)
