"""Trains the demo's models from fixed seeds and writes them into a model store."""

import argparse
import time
from pathlib import Path

from edgex_inference.demo.training import part_training, part_trial, spindle_training, spindle_trial
from edgex_inference.demo.training.cards import Trained, write


def _parts() -> Trained:
    recipe = part_training.Recipe()
    examples = part_training.render(recipe)
    print(f"  {len(examples.pictures)} pictures rendered", flush=True)
    return part_trial.finish(part_training.train(examples, recipe, report=range(0, 100_000, 500)))


def _spindle() -> Trained:
    recipe = spindle_training.Recipe()
    return spindle_trial.finish(spindle_training.train(spindle_training.record(recipe), recipe))


_TRAINING = {"parts": _parts, "spindle": _spindle}


def main() -> None:
    """Trains what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m edgex_inference.demo.training", description=__doc__)
    parser.add_argument("what", nargs="?", choices=[*_TRAINING, "all"], default="all")
    parser.add_argument(
        "--out", type=Path, default=Path("models"), help="the model store to write into (default: models)"
    )
    arguments = parser.parse_args()
    for what in _TRAINING if arguments.what == "all" else [arguments.what]:
        began = time.monotonic()
        print(f"training {what}", flush=True)
        folder = write(_TRAINING[what](), arguments.out)
        print(f"  written to {folder} after {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
