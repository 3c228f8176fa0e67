"""The camera path: JPEGs of 640×480 through the whole service on the memory bus, against a bare loop.

The bare loop is what one would write who knows simplejpeg and the runtime: as many threads as the service's session
runs at once, each of them decodes at the same reduced scale, makes the same tensor and runs the model with the same
settings. It reads no envelope, interprets no tensors and publishes nothing.
"""

import base64
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from unittest.mock import patch

import cbor2
import numpy as np
import numpy.typing as npt
import simplejpeg
import yaml

from edgex_inference.cli.run import run_loop
from edgex_inference.contracts.messages import Message
from edgex_inference.pipeline.running.run import Run as BindingRun
from edgex_inference.preprocess import codecs, picture
from tests.bench.effort import Effort
from tests.bench.inside import Inside, running
from tests.bench.material import ORIGIN
from tests.bench.pictures import Detector, detector, pictures
from tests.bench.rows import Goal, Row, percentile, ratio
from tests.bench.sessions import BARE, Run

ACCELERATORS = ("onnxruntime", "openvino")
WIDE, HIGH = 320, 240
_RATIO, _OVERHEAD = Goal(least=0.95), Goal(most=5)


def rows(effort: Effort, folder: Path) -> Sequence[Row]:
    """Throughput against the bare loop with either runtime, and our own share of a single picture's time."""
    known = detector()
    found: list[Row] = []
    for name in ACCELERATORS:
        place = folder / name
        prepared(place, known, name)
        run_loop(_measured(effort, place, known, name, found))
    return found


def prepared(folder: Path, known: Detector, accelerator: str) -> None:
    """The detector in a store, and a profile that uses it; every picture counts."""
    store = folder / "models" / str(known.card["name"]) / str(known.card["version"])
    store.mkdir(parents=True)
    shutil.copy(known.path, store / "model.onnx")
    (store / "model.yaml").write_text(yaml.safe_dump(known.card))
    block = {
        "model": {"name": known.card["name"]},
        "accelerator": accelerator,
        "limits": {"overload": "all", "queue": 100},
        "outputs": {"Count": {"value": "count"}, "TopScore": {"value": "maxScore"}},
    }
    properties = {
        "valueType": "Binary",
        "readWrite": "R",
        "mediaType": "image/jpeg",
        "optional": {"inference": {"Watch": block}},
    }
    profile = {
        "apiVersion": "v3",
        "name": "camera",
        "deviceResources": [{"name": "Picture", "properties": properties}],
    }
    (folder / "profiles").mkdir()
    (folder / "profiles" / "camera.yaml").write_text(yaml.safe_dump(profile))


def picture_messages(found: Sequence[bytes]) -> list[Message]:
    """Each picture as the event of a device service of EdgeX 4: CBOR in base64 in an envelope."""
    return [
        Message(
            topic=f"edgex/events/device/device-camera/camera/cam-{number % 4}/Picture",
            payload=_envelope(jpeg, f"cam-{number % 4}", ORIGIN + number),
        )
        for number, jpeg in enumerate(found)
    ]


def _envelope(jpeg: bytes, device: str, origin: int) -> bytes:
    common = {"deviceName": device, "profileName": "camera", "origin": origin}
    reading = {
        "id": str(uuid.uuid4()),
        **common,
        "resourceName": "Picture",
        "valueType": "Binary",
        "binaryValue": jpeg,
        "mediaType": "image/jpeg",
    }
    event = {
        "apiVersion": "v3",
        "id": str(uuid.uuid4()),
        **common,
        "sourceName": "Picture",
        "readings": [reading],
    }
    request = cbor2.dumps({"apiVersion": "v3", "requestId": str(uuid.uuid4()), "event": event})
    said = {
        "apiVersion": "v3",
        "receivedTopic": "",
        "correlationID": str(uuid.uuid4()),
        "requestID": "",
        "errorCode": 0,
        "payload": base64.b64encode(request).decode(),
        "contentType": "application/cbor",
    }
    return json.dumps(said, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """The bare loop: `parallel` threads, each with a run of its own."""

    jpegs: Sequence[bytes]
    runs: Sequence[Run]
    known: Detector

    def pace(self, amount: int) -> float:
        """Seconds on the clock for each picture."""
        turn = iter(range(amount))
        began = time.perf_counter()
        with ThreadPoolExecutor(len(self.runs)) as pool:
            for done in [pool.submit(self._work, run, turn) for run in self.runs]:
                done.result()
        return (time.perf_counter() - began) / amount

    def _work(self, run: Run, turn: Iterator[int]) -> None:
        for number in turn:
            run(self.tensor(self.jpegs[number % len(self.jpegs)]))

    def tensor(self, jpeg: bytes) -> npt.NDArray[np.float32]:
        """Decoded at half its size, which is the model's, channels first, in the model's range."""
        pixels = simplejpeg.decode_jpeg(jpeg, "RGB", min_width=WIDE, min_height=HIGH, min_factor=1)
        tensor = np.multiply(
            pixels.transpose(2, 0, 1), np.float32(self.known.gain), dtype=np.float32, order="C"
        )
        tensor += np.float32(self.known.bias)
        return tensor[None]


async def _measured(effort: Effort, folder: Path, known: Detector, name: str, found: list[Row]) -> None:
    jpegs = pictures()
    amount = effort.of(120, 8)
    async with running(folder, picture_messages(jpegs), binding="Watch") as inside:
        (run,) = inside.service.router.runs
        parallel = _parallel(run)
        runs = [BARE[name](known.path, known.tensor, 1, parallel)[0] for _ in range(parallel)]
        bare = Bare(jpegs=jpegs, runs=runs, known=known)
        await inside.through(amount, window=8, burst=1)
        bare.pace(amount)
        ours, theirs = [], []
        for _ in range(effort.of(9, 1)):
            theirs.append(bare.pace(amount))
            ours.append(await inside.pace(amount, window=8, burst=1))
        alone, busy = await _alone(effort.of(400, 8), inside)
    what = f"camera path, {known.name}, {name}"
    found += [
        Row(name=f"{what}: our pictures/s ÷ the bare loop's", value=ratio(theirs, ours), goal=_RATIO),
        Row(name=f"{what}: ours", value=1 / median(ours), unit="/s"),
        Row(name=f"{what}: our own time, p99", value=percentile(alone, 0.99), unit="ms", goal=_OVERHEAD),
        Row(name=f"{what}: our own time, p50", value=percentile(alone, 0.5), unit="ms"),
        Row(name=f"{what}: our own processor time, p99", value=percentile(busy, 0.99), unit="ms", goal=_OVERHEAD),
    ]  # fmt: skip


def _parallel(run: BindingRun) -> int:
    assert run.journey is not None
    return run.journey.plan.lane.session.parallel


@dataclass(slots=True)
class _Watch:
    """Adds up what the calls that are not ours take: seconds on the clock, and of the process's processor time."""

    seconds: float = 0.0
    processor: float = 0.0
    stack: ExitStack = field(default_factory=ExitStack)

    def over(self, owner: object, name: str) -> None:
        """Counts this function of a module or object from here on."""
        real: Callable[..., object] = getattr(owner, name)

        def timed(*given: object, **named: object) -> object:
            began, busy = time.perf_counter(), time.process_time()
            try:
                return real(*given, **named)
            finally:
                self.seconds += time.perf_counter() - began
                self.processor += time.process_time() - busy

        self.stack.enter_context(patch.object(owner, name, timed))


async def _alone(amount: int, inside: Inside) -> tuple[list[float], list[float]]:
    """Milliseconds from a picture on the bus to its result on the bus, one at a time, without the foreign work.

    On the clock, and of processor time, which does not count what other processes take away.
    """
    (run,) = inside.service.router.runs
    assert run.journey is not None
    watch = _Watch()
    spent: list[float] = []
    busy: list[float] = []
    watch.over(codecs, "decode")
    watch.over(picture, "resize")
    watch.over(run.journey.plan.lane.session, "infer")
    with watch.stack:
        for _ in range(amount):
            watch.seconds = watch.processor = 0.0
            before = time.process_time()
            seconds = await inside.pace(1, window=1, burst=1)
            busy.append((time.process_time() - before - watch.processor) * 1e3)
            spent.append((seconds - watch.seconds) * 1e3)
    return spent, busy
