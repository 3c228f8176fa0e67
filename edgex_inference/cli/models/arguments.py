"""The command line of `model convert`, and what it asks for."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgex_inference.contracts.errors import SetupError

if TYPE_CHECKING:
    from edgex_inference.cli.models.converting import Place
    from edgex_inference.engine.formats.converting import Wish

TOLERANCE = 1e-4
"""The difference of numbers that is accepted unless one is said: absolute up to 1, relative above."""

_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for."""

    wish: "Wish"
    place: "Place"
    tolerance: float
    told: Callable[[str], None]


def add_arguments(convert: argparse.ArgumentParser, tasks: Sequence[str]) -> None:
    """Declares what `model convert` takes."""
    say = convert.add_argument
    say(
        "source",
        metavar="SRC",
        help="a model file or folder of any known format, or module:function with --factory",
    )
    say("--to", metavar="FORMAT", default="onnx", help="onnx, openvino or tflite")
    say("--into", type=Path, metavar="FOLDER", help="the new folder NAME/VERSION (default: in the store)")
    say("--name", metavar="NAME", help="the model's folder in the store (default: from the file's name)")
    say("--version", metavar="VERSION", help="the version's folder (default: 1)")
    say("--task", choices=tasks, help="what its numbers mean (default: guessed)")
    say(
        "--weights",
        type=Path,
        metavar="FILE",
        help="weights, or a graph, that do not lie beside SRC under its name",
    )
    say(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT=1,3,H,W",
        help="extents of an input that SRC leaves open",
    )
    say(
        "--factory",
        metavar="MODULE:FUNCTION",
        help="what makes the PyTorch module, for weights; runs your code",
    )
    say(
        "--edges",
        choices=("held", "cut"),
        help="Kaldi: the ends are held and no frame is lost (default), or frames without all their context are cut off",
    )
    say(
        "--frame-subsampling-factor",
        type=int,
        metavar="N",
        help="Kaldi: one frame of N comes out (default: as the file of that name beside SRC says, else each)",
    )
    say("--opset", type=int, metavar="N", help="the ONNX operator set (default: the converter's)")
    say(
        "--samples",
        type=Path,
        metavar="FILE",
        help=".npz or JSON: inputs, and known answers, a sample for each row",
    )
    say(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="X",
        help="difference that is accepted, relative above 1",
    )
    say("--trust", action="store_true", help="run what the file's author put into it: pickles, Lambda layers")
    say("--timeout", type=float, default=900.0, metavar="SECONDS", help="for each step")
    say("--memory", type=float, default=16.0, metavar="GIB", help="for each step")


def read(args: argparse.Namespace) -> Asked:
    """The arguments as values; raises SetupError naming the one that cannot be."""
    from edgex_inference.engine.formats.child import Limits
    from edgex_inference.engine.formats.converting import Wish
    from edgex_inference.engine.formats.parity import read_samples
    from edgex_inference.engine.formats.routes import target_of

    wish = Wish(
        source=Path(args.source),
        target=target_of(args.to),
        beside=args.weights,
        shapes=_shapes(args.shape),
        factory=args.factory or "",
        edges=args.edges or "",
        every=args.frame_subsampling_factor or 0,
        opset=args.opset,
        samples=read_samples(args.samples) if args.samples is not None else None,
        trust=args.trust,
        limits=Limits(timeout=args.timeout, memory=int(args.memory * _GIB)),
    )
    if args.frame_subsampling_factor is not None and args.frame_subsampling_factor < 1:
        raise SetupError(f"--frame-subsampling-factor {args.frame_subsampling_factor}: must be from 1 on")
    if not 0 <= args.tolerance < 1:
        raise SetupError(f"--tolerance {args.tolerance:g}: must be from 0 to below 1")
    return Asked(wish=wish, place=_place(args), tolerance=args.tolerance, told=_tell)


def _place(args: argparse.Namespace) -> "Place":
    from edgex_inference.cli.models.converting import Place
    from edgex_inference.cli.models.loading import configured

    if args.into is not None:
        if args.name or args.version or args.models:
            raise SetupError(
                "--into names folder, name and version at once: leave out --name, --version and --models"
            )
        return Place.of(args.into)
    name = args.name or re.sub(r"[^a-z0-9.+-]+", "-", Path(args.source).stem.lower()).strip("-.+_") or "model"
    return Place.of(configured(args.models).models / name / (args.version or "1"))


def _shapes(given: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    found = {}
    for text in given:
        name, _, extents = text.rpartition("=")
        if not re.fullmatch(r"\d+(,\d+)*", extents):
            raise SetupError(f"--shape {text}: write INPUT=1,3,224,224, or 1,3,224,224 for an only input")
        found[name] = tuple(map(int, extents.split(",")))
    return found


def _tell(what: str) -> None:
    print(f"{what} …", file=sys.stderr, flush=True)
