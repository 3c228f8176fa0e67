"""TVM's errors in our words: many lines of C++ places, of which one says what is wrong."""

import re

_PLACE = re.compile(r"^(?:Traceback|File |\[\d\d:\d\d:\d\d\]|\^|~)")
_CHECK = re.compile(r"^(?:Check failed: .*? : |InternalError: |TVMError: )")
_LONGEST = 400


def sentence(error: BaseException) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in str(error).splitlines()]
    useful = [line for line in lines if line and not _PLACE.match(line)]
    text = _CHECK.sub("", useful[0]) if useful else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:200]} … {text[-190:]}"
