"""Videos become events, a frame each, with a reader library that is installed: PyAV, else OpenCV."""

import importlib
import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from edgex_inference.cli.trying.given import Given, InputError, Wanted
from edgex_inference.contracts.events import Reading, ValueType

Frame = tuple[Any, float, Literal["rgb", "bgr"]]
"""Pixels uint8 [height, width, 3], seconds from the start, the order of the channels."""

MISSING = "videos need a reader library: pip install av (or opencv-python-headless), or give single pictures"


def events(path: Path, wanted: Wanted, *, every: int = 1) -> Iterator[Given]:
    """Every n-th frame; raises InputError without a reader library, or for a file that is no video."""
    resource = wanted.picture(str(path))
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    started = time.time_ns()
    for index, (pixels, seconds, color) in enumerate(_frames(path)):
        if index % every:
            continue
        height, width, _ = pixels.shape
        origin = started + int(seconds * 1e9)
        reading = Reading(
            origin=origin,
            device_name=wanted.device,
            profile_name=wanted.binding.profile,
            resource_name=resource,
            value_type=ValueType.BINARY,
            media_type=f"application/octet-stream; dtype=uint8; shape={height}x{width}x3; color={color}",
            binary_value=pixels.tobytes(),
        )
        yield Given(name=f"{path}#{index}", event=wanted.event(resource, (reading,), origin))


def _frames(path: Path) -> Iterator[Frame]:
    if importlib.util.find_spec("av") is not None:
        return _with_av(path)
    if importlib.util.find_spec("cv2") is not None:
        return _with_opencv(path)
    raise InputError(f"{path}: {MISSING}")


def _with_av(path: Path) -> Iterator[Frame]:
    av: Any = importlib.import_module("av")
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24"), float(frame.time or 0.0), "rgb"
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{path}: cannot be read as a video: {error}") from error


def _with_opencv(path: Path) -> Iterator[Frame]:
    cv2: Any = importlib.import_module("cv2")
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise InputError(f"{path}: cannot be read as a video by OpenCV")
        while True:
            there, pixels = capture.read()
            if not there:
                return
            yield pixels, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, "bgr"
    finally:
        capture.release()
