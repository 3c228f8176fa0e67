"""OpenVINO's errors in our words: all of them are bare exceptions whose text is a stack of source places."""

import re

_NOISE = re.compile(
    r"^(Exception from \S+:\d+:?|Check '.*' failed at \S+:\d+:?|FrontEnd API failed with \w+:|\[?\s*\]?)\s*$"
)
_PLACE = re.compile(r"^(?:Exception from \S+:\d+: |Check '.*?' failed at \S+:\d+: )+")
_LIBRARY = re.compile(r'Cannot load library "[^"]*/([^/"]+)": (?:\S+: )*(.*)')
_LOST = (
    "device lost",
    "device_lost",
    "cl_device_not_available",
    "cl_out_of_resources",
    "ze_result_error_device_lost",
    "ze_result_error_unknown",
)
_ABSENT = (
    "cannot load library",
    "is not registered in the openvino runtime",
    "context was not initialized for",
    "vcl compiler loading failed",
    "no available device",
    "failed to create plugin",
)
_LONGEST = 400


def sentence(error: BaseException) -> str:
    """The last useful line of the runtime's message."""
    lines = [line.strip() for line in str(error).splitlines()]
    useful = [line for line in lines if line and not _NOISE.match(line)]
    text = _PLACE.sub("", useful[-1]).removeprefix("-- ") if useful else type(error).__name__
    library = _LIBRARY.search(text)
    if library is not None:
        text = f"{library[1]} cannot be loaded: {library[2]}"
    return text if len(text) <= _LONGEST else f"{text[:200]} … {text[-190:]}"


def says_absent(error: BaseException) -> bool:
    """Whether the runtime speaks of a device, driver or plug-in library that is not there."""
    return _speaks_of(error, _ABSENT)


def says_lost(error: BaseException) -> bool:
    """Whether the runtime speaks of a device that was there when the model was loaded."""
    return _speaks_of(error, _LOST)


def _speaks_of(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(word in text for word in words)
