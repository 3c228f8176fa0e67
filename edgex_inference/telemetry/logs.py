"""Logs in EdgeX's form: `level=INFO ts=… app=… source=file.py:12 msg="…"`, one line each.

Rooms use `logging.getLogger(__name__)`; the command line calls `configure` once.
"""

import errno
import json
import logging
import os
import sys
import time
import traceback
from typing import TextIO

from edgex_inference.contracts.errors import EdgexInferenceError

TRACE = 5
LEVELS: dict[str, int] = {
    "TRACE": TRACE,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
}
LONGEST = 16_384
"""Characters of one message; more is cut."""

_OURS = ("edgex_inference", "accelerators")
_GONE = frozenset({errno.EPIPE, errno.EBADF, errno.EIO, errno.ESHUTDOWN})
_UNSEEN = {
    number: f"\\u{number:04x}" for number in (*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000))
}


def configure(app: str, *, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends all logs to `stream` (standard output unless given); a second call replaces the first.

    Libraries are heard from WARN on, our own rooms from `level` on. A stream that is closed by its reader makes the
    logs silent and nothing else.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(handler)
    root.addHandler(_Handler(stream if stream is not None else sys.stdout, _Formatter(app)))
    root.setLevel(logging.WARNING)
    set_level(level)


def set_level(level: str) -> None:
    """Changes the level of our own rooms at once; raises ValueError for a word that is no level."""
    number = LEVELS.get(level.upper())
    if number is None:
        raise ValueError(f"{level!r} is not one of {', '.join(LEVELS)}")
    for name in _OURS:
        logging.getLogger(name).setLevel(number)


class _Formatter(logging.Formatter):
    def __init__(self, app: str) -> None:
        super().__init__()
        self._app = app

    def format(self, record: logging.LogRecord) -> str:
        line = (
            f"level={_level(record.levelno)} ts={_timestamp(record.created)} app={self._app} "
            f"source={record.filename}:{record.lineno} msg={_quoted(_message(record))}"
        )
        trace = _trace(record)
        return f"{line} trace={_quoted(trace)}" if trace else line


def _level(number: int) -> str:
    return next((word for word, least in reversed(LEVELS.items()) if number >= least), "TRACE")


def _timestamp(created: float) -> str:
    whole, nanoseconds = divmod(round(created * 1e9), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{nanoseconds:09d}Z"


def _message(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 — a wrong format string must not cost the line
        message = f"{record.msg!r} with {record.args!r}"
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and str(error) not in message:
        message = f"{message}: {error}" if isinstance(error, EdgexInferenceError) else message
    return message


def _trace(record: logging.LogRecord) -> str:
    """The traceback of a surprise; our own errors are sentences and need none."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None or isinstance(error, EdgexInferenceError):
        return ""
    return "".join(traceback.format_exception(error)).strip()


def _quoted(text: str) -> str:
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters)"
    return json.dumps(text, ensure_ascii=False).translate(_UNSEEN)


class _Handler(logging.Handler):
    """Writes lines until the reader is gone for good; a full disk costs only the lines it has no room for."""

    def __init__(self, stream: TextIO | None, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        if self._stream is None:
            return
        line = self.format(record) + "\n"
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            self._stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
            self._stream.flush()
        except ValueError:
            self._stream = None
        except OSError as error:
            if error.errno in _GONE:
                _silence(self._stream)
                self._stream = None


def _silence(stream: TextIO) -> None:
    """Points the stream at nothing, so that what it still holds cannot fail the interpreter's exit."""
    try:
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
    except (OSError, ValueError):
        return
