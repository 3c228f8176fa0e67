"""`edgex-inference compile`: a model of the store compiled ahead, for accelerators of this host or of another one.

Exit codes: 0 all made, and right where they ran; 1 one failed or answers wrongly; 2 the command line is wrong.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgex_inference.contracts.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgex_inference.cli.compiling.making import Outcome
    from edgex_inference.cli.compiling.quantizing import Quantized
    from edgex_inference.contracts.bindings import AcceleratorChoice

PRECISIONS = ("f32", "f16", "bf16", "int8", "native")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("model", metavar="NAME[:VERSION]", help="a model of the store")
    parser.add_argument(
        "--for",
        dest="targets",
        metavar="TARGET,…",
        help="accelerators, with a device behind a colon where it is not the usual one: openvino:NPU,tvm:aarch64",
    )
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="where artefacts are kept (default: Inference.CacheDir)"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="as a binding asks for it (default: the card's, or f32)"
    )
    parser.add_argument(
        "--batch", type=int, metavar="N", help="samples of one run, as a binding asks for it: part of the key"
    )
    parser.add_argument(
        "--quantize",
        choices=("int8",),
        help="first write the model in 8 bits, and a line for it into its card",
    )
    parser.add_argument(
        "--samples",
        type=Path,
        metavar="DIR",
        help="inputs to calibrate with: files as those of golden samples",
    )
    parser.add_argument(
        "--options", metavar="JSON", help="the options that the binding will have: part of the key"
    )
    parser.add_argument("--again", action="store_true", help="compile what is there already too")
    parser.add_argument("--models", type=Path, metavar="DIR", help="the model store")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Compiles for each target, and prints a table."""
    import asyncio

    from edgex_inference.cli.compiling.making import table

    if args.quantize is not None and args.samples is None:
        raise SetupError(
            "--quantize needs --samples DIR: inputs as the model will get them, some dozens of them"
        )
    choices = _choices(args)
    if args.quantize is not None:
        quantized = asyncio.run(_quantized(args))
        if not args.json:
            print(quantized.text)
    found = asyncio.run(_outcomes(args, choices)) if choices else []
    if args.json:
        print(_json(found, quantized.figures if args.quantize is not None else None))
    elif choices:
        print(table(found))
    return int(any(one.error or one.wrong for one in found))


async def _quantized(args: argparse.Namespace) -> "Quantized":
    from edgex_inference.cli.compiling.quantizing import quantize
    from edgex_inference.cli.models.loading import configured, engine_of

    async with engine_of(configured(args.models)) as engine:
        name, _, version = args.model.partition(":")
        return await quantize(engine, engine.store.find(name, version or None), args.samples)


async def _outcomes(args: argparse.Namespace, choices: "list[AcceleratorChoice]") -> "list[Outcome]":
    from edgex_inference.cli.compiling.making import Compiler
    from edgex_inference.cli.models.loading import configured, engine_of

    loaded = configured(args.models)
    into = args.into.absolute() if args.into is not None else loaded.cache
    if into is None:
        raise SetupError("there is nowhere to keep artefacts: say --into DIR, or set Inference.CacheDir")
    async with engine_of(loaded) as engine:
        name, _, version = args.model.partition(":")
        card = engine.store.find(name, version or None)
        most = loaded.config.inference.cache_max_size
        compiler = Compiler(engine=engine, card=card, into=into, most=most, again=args.again)
        return compiler.kept([await compiler.outcome(choice) for choice in choices])


def _choices(args: argparse.Namespace) -> "list[AcceleratorChoice]":
    """The targets as bindings would name them; raises SetupError."""
    from edgex_inference.contracts.bindings import AcceleratorChoice

    if args.batch is not None and args.batch < 1:
        raise SetupError(f"--batch: must be 1 or more, not {args.batch}")
    options = {}
    if args.options:
        try:
            options = json.loads(args.options)
        except ValueError as error:
            raise SetupError(f"--options: no JSON: {error}") from error
        if not isinstance(options, dict):
            raise SetupError("--options: an object is expected, such as '{\"streams\": 1}'")
    targets = [one.strip() for one in (args.targets or "").split(",") if one.strip()]
    if not targets and args.quantize is None:
        raise SetupError("--for: name at least one accelerator, such as openvino:CPU")
    for target in targets:
        if not target.partition(":")[0].strip():
            raise SetupError(f"--for: {target!r} names no accelerator; openvino:CPU would, for one")
    pairs = [target.partition(":") for target in dict.fromkeys(targets)]
    return [
        AcceleratorChoice(
            name=name,
            device=device or None,
            precision=args.precision or args.quantize,
            batch=args.batch,
            options=options,
        )
        for name, _, device in pairs
    ]


def _json(found: "list[Outcome]", quantized: "Mapping[str, object] | None") -> str:
    """JSON has no infinity: a difference without a number is null, and `reason` tells."""
    import math
    from dataclasses import asdict

    artefacts = [
        asdict(one) | {"difference": one.difference if math.isfinite(one.difference or 0.0) else None}
        for one in found
    ]
    said = artefacts if quantized is None else {"quantized": quantized, "artefacts": artefacts}
    return json.dumps(said, indent=2, ensure_ascii=False)
