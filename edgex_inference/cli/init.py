"""`edgex-inference init`: a first device profile with a binding for a model of the store, on standard output."""

import argparse
import logging
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("model", metavar="MODEL[:VERSION]", help="a model of the store")
    parser.add_argument(
        "--device-profile", default="", metavar="NAME", help="the profile's name (default: MODEL-device)"
    )
    parser.add_argument("--resource", default="", metavar="NAME", help="the resource that feeds the model")
    parser.add_argument("--models", type=Path, metavar="DIR", help="the model store")


def run(args: argparse.Namespace) -> int:
    """Prints the profile; the model is loaded for that, since its file says what it takes and gives."""
    import asyncio

    from edgex_inference.cli.models.first_profile import Loaded, write
    from edgex_inference.cli.models.loading import configured, engine_of, open_anywhere
    from edgex_inference.pipeline.planning import golden
    from edgex_inference.postprocess import table

    logging.getLogger("edgex_inference").addHandler(logging.NullHandler())
    loaded = configured(args.models)

    async def work() -> str:
        async with engine_of(loaded) as engine:
            name, _, version = args.model.partition(":")
            card = engine.store.find(name, version or None)
            opened = await open_anywhere(engine, card)
            session = opened.lane.session
            prospect = table.prospect(
                card,
                opened.build,
                session.outputs,
                labels=None,
                batched=golden.has_batch_axis(opened.lane.session, opened.build),
            )
            model = Loaded(card=card, build=opened.build, session=session, prospect=prospect)
            return write(model, profile=args.device_profile, resource=args.resource, version=version)

    print(asyncio.run(work()), end="")
    return 0
