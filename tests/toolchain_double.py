"""A tiny toolchain: a data folder with a manifest, a wheel made by hand and scripts that misbehave as they are told."""

import zipfile
from pathlib import Path

SCRIPT = '''
"""Copies the source; its first line says how to behave."""

import os
import shutil
import sys
import time

import numpy as np
from exchange import Refused, main


def work(job):
    how = job.options.get("factory") or open(job.source + ".how").read()
    if how == "refuse":
        raise Refused("does not like   this model")
    if how == "raise":
        raise ValueError("a converter's own words")
    if how == "crash":
        os.abort()
    if how == "hang":
        time.sleep(600)
    if how == "greedy":
        np.zeros(1 << 40, np.uint8)
    if how == "mute":
        sys.exit(0)
    if how.startswith("turn"):
        turn(job, how)
        return
    shutil.copy(job.source, job.path("model.onnx"))
    cases = job.cases([("x", "float32", (None, 4))])
    factor = {"right": 2, "wrong": 2.5}[how]
    answers = [[case["x"] * factor + 1] for case in cases]
    job.reply("model.onnx", cases, answers, framework="double 1", tool="copier 2")


def turn(job, how):
    """Another file, the axes of whose inputs are in the order that is said; nobody is asked."""
    shutil.copy(job.source + ".turned", job.path("model.onnx"))
    axes = [[int(one) for one in how.removeprefix("turn")]]
    job.reply("model.onnx", [], [], framework="", tool="turner 3", axes=axes)


main(work)
'''

METADATA = "Metadata-Version: 2.1\nName: tinything\nVersion: 1.5\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(folder: Path, python: str = "") -> Path:
    """A wheel of one module, which asks for `python`."""
    path = folder / "tinything-1.5-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("tinything.py", "__version__ = '1.5'\n")
        info = "tinything-1.5.dist-info"
        file.writestr(f"{info}/METADATA", METADATA + (f"Requires-Python: {python}\n" if python else ""))
        file.writestr(f"{info}/WHEEL", WHEEL)
        file.writestr(
            f"{info}/RECORD", f"tinything.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return path


def data(folder: Path, *, python: str, pins: str = "", modules: str = "json", anyway: bool = False) -> Path:
    """A folder as `toolchains/`, with the toolchain `tiny`."""
    (folder / "pins").mkdir(parents=True)
    (folder / "pins" / "tiny.txt").write_text(pins)
    (folder / "manifest.toml").write_text(
        f'[tiny]\nabout = "a double"\npython = ["{python}"]\npins = "pins/tiny.txt"\nmodules = ["{modules}"]\n'
        + ("anyway = true\n" if anyway else "")
    )
    return folder
