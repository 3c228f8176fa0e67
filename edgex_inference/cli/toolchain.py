"""`edgex-inference toolchain`: the isolated environments that conversions need; nothing is fetched unless asked for.

Exit codes: 0 fine, 1 something failed or is missing, 2 the command line is wrong.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgex_inference.engine.formats.toolchains import Toolchains

_WIDTH = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the four commands and their arguments."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="list|install|remove|check")
    listing = commands.add_parser("list", help="what there is, what is installed, and where")
    listing.add_argument("--json", action="store_true", help="for programs")
    install = commands.add_parser("install", help="make one from its pins, from the network, once")
    remove = commands.add_parser("remove", help="take one away")
    check = commands.add_parser(
        "check", help="import everything in one and say its versions; all that are installed"
    )
    install.add_argument("name", metavar="NAME", nargs="+", help="a toolchain, or several")
    remove.add_argument("name", metavar="NAME", nargs="+", help="a toolchain, or several")
    check.add_argument("name", metavar="NAME", nargs="*", help="a toolchain, or several")


def run(args: argparse.Namespace) -> int:
    """Runs one of the four."""
    from edgex_inference.cli.models.converting import toolchains_of
    from edgex_inference.cli.models.loading import configured

    toolchains = toolchains_of(configured(None))
    if args.what == "list":
        print(_json(toolchains) if args.json else table(toolchains))
        return 0
    return {"install": _install, "remove": _remove, "check": _check}[args.what](toolchains, args.name)


def _json(toolchains: "Toolchains") -> str:
    rows = [
        {
            "name": one.name,
            "about": one.about,
            "state": toolchains.state(one.name) or "not installed",
            "python": list(one.python),
            "megabytes": one.megabytes,
            "folder": str(toolchains.folder(one.name)),
            "note": one.note,
        }
        for one in toolchains.known.values()
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def table(toolchains: "Toolchains") -> str:
    """The toolchains as aligned columns, what there is to know of one on a line of its own."""
    rows = [("NAME", "STATE", "PYTHON", "DISK", "FOR")]
    rows += [
        (
            one.name,
            toolchains.state(one.name) or "not installed",
            ", ".join(one.python),
            f"{one.megabytes} MB",
            one.about,
        )
        for one in toolchains.known.values()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row, known in zip(rows, [None, *toolchains.known.values()], strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if known is not None and known.note:
            lines.append(f"  {known.note}")
    return "\n".join([*lines, f"in {toolchains.home}"])


def _install(toolchains: "Toolchains", names: Sequence[str]) -> int:
    from edgex_inference.engine.formats.installing import install

    for name in names:  # what one of them lacks is said before anything is fetched for another
        wanted = toolchains.get(name)
        if toolchains.state(name) != "installed":
            wanted.interpreter()
    for name in names:
        shown = Shown(name=name, bar=sys.stderr.isatty())
        made = install(toolchains, name, shown.tell)
        shown.end()
        print(f"{name}: {'installed in' if made else 'is there already, in'} {toolchains.folder(name)}")
    return 0


@dataclass(slots=True)
class Shown:
    """Progress on standard error: a bar that is drawn over itself, or lines where that is no terminal."""

    name: str
    bar: bool
    drawn: bool = False

    def tell(self, share: float | None, what: str) -> None:
        """Shows how far it is."""
        percent = "   " if share is None else f"{round(100 * share):3d}"
        if not self.bar:
            print(f"{self.name} {percent}% {what}", file=sys.stderr, flush=True)
            return
        full = round(_WIDTH * (share or 0))
        print(
            f"\r\x1b[K{self.name} [{'#' * full}{'.' * (_WIDTH - full)}] {percent}% {what[:40]}",
            end="",
            file=sys.stderr,
            flush=True,
        )
        self.drawn = True

    def end(self) -> None:
        """Leaves the bar's line."""
        if self.drawn:
            print(file=sys.stderr)


def _remove(toolchains: "Toolchains", names: Sequence[str]) -> int:
    missing = [name for name in names if not toolchains.remove(name)]
    for name in names:
        print(f"{name}: {'was not installed' if name in missing else 'removed'}")
    return int(bool(missing))


def _check(toolchains: "Toolchains", names: Sequence[str]) -> int:
    from edgex_inference.contracts.errors import SetupError
    from edgex_inference.engine.formats.checking import versions

    names = names or [name for name in toolchains.known if toolchains.state(name)]
    failed = 0
    for name in names:
        try:
            found = versions(toolchains, name)
        except SetupError as error:
            failed += 1
            print(f"{name}: {error}")
            continue
        print(f"{name}: {', '.join(f'{module} {version}' for module, version in found.items())}")
    if not names:
        print(f"no toolchain is installed in {toolchains.home}")
    return int(bool(failed))
