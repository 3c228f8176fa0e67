"""What the conversion scripts share: the job, inputs to compare with, and what is handed back.

A script is run as `python SCRIPT JOB`; JOB is a folder with `job.json`. It writes the model and `reply.json` there,
and `answers.npz` with what the model's own framework says: `<case>.in.<i>` and `<case>.out.<i>`, in the order of the
converted model's inputs and outputs. Needs numpy and Python 3.11, nothing of the project.
"""

import contextlib
import json
import os
import resource
import sys

import numpy as np

REFUSED = 3
CASES = 6


class Refused(Exception):
    """A sentence for the user."""


class Job:
    """What is to be done: `source`, `beside`, `target`, `shapes`, `options`, and what the source says of itself."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
            said = json.load(file)
        self.source = said["source"]
        self.beside = said.get("beside", [])
        self.kind = said["kind"]
        self.shapes = {name: tuple(shape) for name, shape in said.get("shapes", {}).items()}
        self.options = said.get("options", {})
        self.metadata = self.options.get("metadata") or {}
        self.opset = said.get("opset")
        self.memory = said.get("memory")
        self.given = said.get("inputs")

    def path(self, name):
        """A path in the job's folder."""
        return os.path.join(self.folder, name)

    def cases(self, inputs, missing=False):
        """Dictionaries of arrays for inputs (name, dtype, shape with None for what is open): given ones, else random.

        Of random ones the third has three rows where every input leaves its first extent open; with `missing` there is
        a further one with NaN in it.
        """
        if self.given:
            return _given(self.given, inputs)
        rng = np.random.default_rng(0)
        free = bool(inputs) and all(shape and shape[0] is None for _, _, shape in inputs)
        found = [
            {
                name: _random(rng, case, dtype, _extents(shape, 3 if free and case == 2 else 1))
                for name, dtype, shape in inputs
            }
            for case in range(CASES)
        ]
        return [*found, {name: _holed(rng, array) for name, array in found[1].items()}] if missing else found

    def types(self):
        """The kinds of the given samples' arrays by name, `f`, `i` and such; empty without samples."""
        if not self.given:
            return {}
        with np.load(self.given, allow_pickle=False) as found:
            return {name: found[name].dtype.kind for name in found.files}

    def reply(self, file, cases, answers, *, framework, tool, notes=(), axes=()):
        """Writes what the caller reads: arrays of each case, inputs first; texts as numpy's own.

        `axes` has for each input which axis of the source each of its own is, where they are not the source's.
        """
        arrays = {}
        for index, (case, answer) in enumerate(zip(cases, answers)):
            for at, one in enumerate(case.values()):
                arrays["%d.in.%d" % (index, at)] = _plain(one)
            for at, one in enumerate(answer):
                arrays["%d.out.%d" % (index, at)] = _plain(one)
        if arrays:
            np.savez(self.path("answers.npz"), **arrays)
        names = list(cases[0]) if cases else []
        said = {"file": file, "framework": framework, "tool": tool, "inputs": names, "notes": list(notes)}
        said["axes"] = list(axes)
        with open(self.path("reply.json"), "w", encoding="utf-8") as out:
            json.dump(said, out)


def main(work):
    """Runs a script's work on the job named on the command line; a refusal is its last line on standard error."""
    job = Job(sys.argv[1])
    if job.memory:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (job.memory, job.memory))
    try:
        work(job)
    except Refused as error:
        sys.stderr.write("\nrefused: %s\n" % " ".join(str(error).split()))
        sys.exit(REFUSED)
    except MemoryError:
        sys.stderr.write("\nrefused: it needs more memory than it may have\n")
        sys.exit(REFUSED)


def _extents(shape, rows):
    return tuple(
        rows if at == 0 and extent is None else 8 if extent is None else extent
        for at, extent in enumerate(shape)
    )


def _random(rng, case, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind in "OSU":
        return np.full(shape, "0")
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.itemsize == 1 else (0, 2)
        return rng.integers(low, high, shape, endpoint=dtype.itemsize == 1).astype(dtype)
    if case % 3 == 0:
        return rng.uniform(0, 1, shape).astype(dtype)
    return rng.normal(0, 1 if case % 3 == 1 else 3, shape).astype(dtype)


def _holed(rng, array):
    """With every second number missing."""
    if array.dtype.kind != "f":
        return array
    holes = rng.permutation(array.size) % 2 == 0
    return np.where(holes.reshape(array.shape), np.nan, array).astype(array.dtype)


def _given(path, inputs):
    with np.load(path, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    if len(inputs) == 1 and len(arrays) == 1:
        arrays = {inputs[0][0]: next(iter(arrays.values()))}
    missing = [name for name, _, _ in inputs if name not in arrays]
    if missing:
        raise Refused("the samples have no input %s (they have %s)" % (missing[0], ", ".join(arrays)))
    count = min(len(arrays[name]) for name, _, _ in inputs)
    cases = []
    for at in range(count):
        case = {}
        for name, dtype, shape in inputs:
            row = arrays[name][at : at + 1]
            case[name] = (row if len(shape) == row.ndim else row[0]).astype(dtype)
        cases.append(case)
    return cases


def _plain(array):
    array = np.asarray(array)
    return array.astype(str) if array.dtype.kind in "OS" else array
