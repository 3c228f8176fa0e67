"""`edgex-inference accelerators`: every plug-in, its devices, or the sentence that says how to get it."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from edgex_inference.engine.catalog import Catalog, Entry

_HEAD = ("NAME", "LEVEL", "VERSION", "FORMATS", "DEVICES")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")


def run(args: argparse.Namespace) -> int:
    """Lists the accelerators; looking for devices may take some seconds."""
    entries = Catalog().entries()
    if args.json:
        print(json.dumps([asdict(entry) for entry in entries], indent=2, ensure_ascii=False))
    else:
        print(table(entries))
    return 0


def table(entries: Sequence[Entry]) -> str:
    """The entries as aligned columns, the reason of each on a line of its own."""
    rows = [_HEAD, *(_row(entry) for entry in entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = []
    for row, entry in zip(rows, [None, *entries], strict=True):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if entry is not None and entry.reason:
            lines.append(f"  {entry.reason}")
    if not entries:
        lines.append('none is installed: pip install "edgex-inference[onnxruntime]"')
    return "\n".join(lines)


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        entry.name,
        entry.shown or "refused",
        entry.version or "-",
        ", ".join(entry.formats) or "-",
        ", ".join(entry.devices) or "-",
    )
