"""`make flame`: flame graphs of the sensor and the camera path at work, as SVG into docs/benchmarks/.

    python -m tests.bench.flame                     both, by py-spy, 15 s each (FLAME_SECONDS=5)
    python -m tests.bench.flame sensor              only one
    python -m tests.bench.flame --work sensor       what is looked at: the whole service on the memory bus

Wide is what takes long. Only the time when a thread runs is in it, not the time when it waits.
"""

import asyncio
import ctypes
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from edgex_inference.cli.run import run_loop
from tests.bench.camera import picture_messages, prepared
from tests.bench.inside import running
from tests.bench.material import RING, auto_encoder, sensor_messages, sensor_profile
from tests.bench.pictures import detector, pictures

PLACE = Path(__file__).parents[2] / "docs" / "benchmarks"
PATHS = ("sensor", "camera")
_ANYBODY = ctypes.c_ulong(-1)
_SET_PTRACER = 0x59616D61


def main(arguments: list[str]) -> int:
    """0 when every wanted graph is written."""
    if arguments[:1] == ["--work"]:
        return _work(arguments[1])
    for name in arguments or PATHS:
        if name not in PATHS:
            print(f"{name}: there are {' and '.join(PATHS)}", file=sys.stderr)
            return 2
        _drawn(name, os.environ.get("FLAME_SECONDS", "15"))
        print(PLACE / f"{name}.svg")
    return 0


def _drawn(name: str, seconds: str) -> None:
    PLACE.mkdir(exist_ok=True)
    graph = PLACE / f"{name}.svg"
    work = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.flame", "--work", name], stdout=subprocess.PIPE
    )
    assert work.stdout is not None
    try:
        if not work.stdout.readline():
            raise RuntimeError(f"{name}: the service did not start")
        spy = Path(sys.executable).with_name("py-spy")
        command = [str(spy), "record", "--pid", str(work.pid), "--duration", seconds, "--rate", "250"]
        command += ["--function", "--format", "flamegraph", "--output", str(graph)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    finally:
        work.terminate()
        work.wait()
        work.stdout.close()
    graph.write_text(graph.read_text().replace(" ".join(command), f"the {name} path: make flame"))


def _work(name: str) -> int:
    """Keeps the service busy until it is terminated; says `warm` when it is worth looking at."""
    logging.disable(logging.WARNING)
    ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY, 0, 0, 0)  # py-spy is no parent of this process
    with tempfile.TemporaryDirectory(prefix="flame-") as folder:
        run_loop(_sensor(Path(folder)) if name == "sensor" else _camera(Path(folder)))
    return 0


async def _sensor(folder: Path) -> None:
    auto_encoder(folder / "models")
    sensor_profile(folder / "profiles", "m")
    async with running(folder, list(sensor_messages(RING))) as inside:
        await inside.through(4000)
        print("warm", flush=True)
        while True:
            await inside.through(4000)
            await asyncio.sleep(0)


async def _camera(folder: Path) -> None:
    prepared(folder, detector(), "onnxruntime")
    async with running(folder, picture_messages(pictures()), binding="Watch") as inside:
        await inside.through(40, window=8, burst=1)
        print("warm", flush=True)
        while True:
            await inside.through(40, window=8, burst=1)
            await asyncio.sleep(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
