"""What Kaldi answers for a network of nnet3: an utterance is one chunk, its ends as the converted model has them."""

import numpy as np
from exchange import Refused, main

FRAMES = (12, 5, 30)
"""Frames of the outputs, in turn."""


def work(job):
    import kaldi_library

    try:
        network = kaldi_library.Network(job.source)
    except ValueError as error:
        raise Refused("Kaldi's own code in the toolchain is that of nnet3, and this %s" % error) from error
    said = job.options["metadata"]
    context = int(said["context.left"]), int(said["context.right"])
    if said["pooled"] != "true" and network.context() != context:
        raise Refused("Kaldi finds a context of %d and %d frames, and the importer %d and %d; please report it"
                      % (*network.context(), *context))  # fmt: skip
    shapes = {one["name"]: one["shape"] for one in job.options["inputs"]}
    asked = {name: job.shapes.get(name) or job.shapes.get("") for name in shapes}
    cases = job.cases([(name, "float32", (1, *(asked[name] or shape)[1:])) for name, shape in shapes.items()])
    if not job.given and not any(asked.values()):  # a model of fixed extents takes no others
        cases = [_longer(case, FRAMES[at % len(FRAMES)] + sum(context)) for at, case in enumerate(cases)]
    answers = [_asked(network, case, context, said, job.options["outputs"]) for case in cases]
    job.reply("job.json", cases, answers, framework="kaldi " + kaldi_library.__version__, tool="")


def _longer(case, frames):
    """The same numbers again until there are so many frames, each time turned by a column."""
    found = {}
    for name, array in case.items():
        if array.ndim == 3:
            rounds = -(-frames // array.shape[1])
            array = np.concatenate([np.roll(array, at, 2) for at in range(rounds)], 1)[:, :frames]
        found[name] = np.ascontiguousarray(array)
    return found


def _asked(network, case, context, said, outputs):
    held, inputs, every = said["edges"] == "held", {}, int(said["every"])
    frames = 1
    for name, array in case.items():
        rows = array.reshape(-1, array.shape[-1])
        if array.ndim < 3:
            inputs[name] = rows, 0
            continue
        if held:
            rows = np.concatenate((*[rows[:1]] * context[0], rows, *[rows[-1:]] * context[1]))
        frames = len(rows) - sum(context)
        # Kaldi sees nothing behind what the last frame asks for.
        inputs[name] = rows[: (frames - 1) // every * every + 1 + sum(context)], -context[0]
    if said["pooled"] == "true":
        inputs = {name: (rows, 0) for name, (rows, _) in inputs.items()}
        frames = 1
    if frames < 1:
        raise Refused("its samples are shorter than its context of %d and %d frames" % context)
    return [one[None] for one in network.run(inputs, dict.fromkeys(outputs, range(0, frames, every)))]


main(work)
