"""Logs in EdgeX's form."""

import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.contracts.errors import BusUnavailable
from edgex_inference.telemetry import logs

LINE = re.compile(
    r"level=(?P<level>[A-Z]+) ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z app=app-x "
    r'source=(?P<file>[\w.]+):(?P<line>\d+) msg=(?P<msg>"(?:[^"\\]|\\.)*")(?: trace=(?P<trace>".*"))?'
)
ours = logging.getLogger("edgex_inference.some_room")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    names = ("", "edgex_inference", "accelerators")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = list(root.handlers)
    out = io.StringIO()
    logs.configure("app-x", stream=out)
    yield out
    root.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def lines(stream: io.StringIO) -> list[re.Match[str]]:
    found = [LINE.fullmatch(line) for line in stream.getvalue().split("\n")[:-1]]
    assert all(found)
    return [match for match in found if match]


def test_the_form_of_a_line(stream: io.StringIO) -> None:
    ours.info("reading %d", 3)
    (line,) = lines(stream)
    assert (line["level"], line["file"], line["msg"]) == ("INFO", "test_logs.py", '"reading 3"')
    assert int(line["line"]) > 40


def test_levels_have_edgex_names_and_change_at_once(stream: io.StringIO) -> None:
    logs.set_level("trace")
    for number in (logs.TRACE, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        ours.log(number, "x")
    assert [line["level"] for line in lines(stream)] == ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "ERROR"]
    logs.set_level("ERROR")
    ours.warning("not seen")
    logging.getLogger("accelerators.onnxruntime").warning("not seen")
    assert len(lines(stream)) == 6
    with pytest.raises(ValueError, match="'LOUD' is not one of TRACE, DEBUG, INFO, WARN, ERROR"):
        logs.set_level("LOUD")


def test_libraries_are_heard_from_warn_on(stream: io.StringIO) -> None:
    logs.set_level("DEBUG")
    for name in ("aiohttp.server", "asyncio", "paho", "somebody.else"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("matter")
    assert [line["msg"] for line in lines(stream)] == ['"matter"'] * 4


def test_configure_twice_writes_once(stream: io.StringIO) -> None:
    logs.configure("app-x", stream=stream)
    ours.info("x")
    assert len(lines(stream)) == 1


@given(st.text())
def test_any_text_is_one_line_and_comes_back(text: str) -> None:
    record = logging.LogRecord("edgex_inference", logging.INFO, "f.py", 1, text, None, None)
    line = logs._Formatter("app-x").format(record)
    assert len(line.splitlines()) == 1
    match = LINE.fullmatch(line)
    assert match
    assert json.loads(match["msg"]) == text


def test_a_huge_message_is_cut(stream: io.StringIO) -> None:
    ours.info("x" * (logs.LONGEST + 5))
    (line,) = lines(stream)
    assert line["msg"].endswith('… (5 more characters)"')


def test_our_errors_have_no_traceback_and_surprises_have(stream: io.StringIO) -> None:
    try:
        raise BusUnavailable("broker tcp://b:1 refused")
    except BusUnavailable:
        ours.exception("cannot publish")
    try:
        raise ZeroDivisionError("oops")
    except ZeroDivisionError:
        ours.exception("surprise")
    first, second = lines(stream)
    assert first["msg"] == '"cannot publish: broker tcp://b:1 refused"'
    assert first["trace"] is None
    assert "ZeroDivisionError: oops" in json.loads(second["trace"])


def test_a_wrong_format_string_costs_nothing() -> None:
    record = logging.LogRecord("edgex_inference", logging.INFO, "f.py", 1, "%d of %d", ("x",), None)
    line = LINE.fullmatch(logs._Formatter("app-x").format(record))
    assert line
    assert "%d of %d" in line["msg"]


def test_a_stream_that_cannot_show_a_letter() -> None:
    raw = io.BytesIO()
    handler = logs._Handler(io.TextIOWrapper(raw, encoding="ascii"), logging.Formatter("%(message)s"))
    handler.emit(logging.LogRecord("x", logging.INFO, "f.py", 1, "20 µs", None, None))
    assert raw.getvalue() == b"20 \\xb5s\n"


class _Full(io.StringIO):
    raised: list[OSError]

    def flush(self) -> None:
        if self.raised:
            raise self.raised.pop()


def test_a_full_disk_costs_only_its_lines() -> None:
    stream = _Full()
    stream.raised = [OSError(28, "No space left on device")]
    handler = logs._Handler(stream, logging.Formatter("%(message)s"))
    for text in ("first", "second"):
        handler.emit(logging.LogRecord("x", logging.INFO, "f.py", 1, text, None, None))
    assert stream.getvalue().endswith("second\n")


def test_a_closed_stream_is_silent() -> None:
    stream = io.StringIO()
    stream.close()
    handler = logs._Handler(stream, logging.Formatter("%(message)s"))
    for text in ("first", "second"):
        handler.emit(logging.LogRecord("x", logging.INFO, "f.py", 1, text, None, None))


def test_no_stream_at_all_is_silent() -> None:
    logs._Handler(None, logging.Formatter()).emit(
        logging.LogRecord("x", logging.INFO, "f.py", 1, "x", None, None)
    )


_CHILD = """
import logging, sys
from edgex_inference.telemetry import logs
logs.configure("app-x")
log = logging.getLogger("edgex_inference.x")
log.info("first")
sys.stdin.readline()
for _ in range(50):
    log.info("to nobody")
sys.stderr.write("still here")
"""


def test_a_reader_that_leaves_does_not_end_the_process() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    with child:
        assert child.stdout is not None
        assert b'msg="first"' in child.stdout.readline()
        child.stdout.close()
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdin.write(b"\n")
        child.stdin.close()
        assert child.stderr.read() == b"still here"
    assert child.returncode == 0


def test_closed_standard_output_from_the_start() -> None:
    command = f"{sys.executable} -c '{_CHILD}' >&-"
    done = subprocess.run(command, shell=True, input=b"\n", stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"still here")
