"""`edgex-inference schema`: JSON Schema of profiles, blocks and model cards, for editors and for other programs."""

import argparse
import json

KINDS = ("profile", "side-car", "devices", "block", "card")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "kind",
        nargs="?",
        choices=KINDS,
        default="profile",
        help="of which files: device profiles (default), side-cars, devices files, one block, model cards",
    )


def run(args: argparse.Namespace) -> int:
    """Prints the schema, draft 2020-12."""
    from edgex_inference.cli.schemas.files import SCHEMAS

    _, make = SCHEMAS[args.kind]
    print(json.dumps(make(), indent=2, ensure_ascii=False))
    return 0
