"""A configuration that changed under a service at work: what is taken up at once, and what is said about the rest."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgex_inference.bindings.book import WRITABLE, Book
from edgex_inference.config.decode import differences
from edgex_inference.config.schema import Configuration
from edgex_inference.contracts.errors import Problem
from edgex_inference.telemetry import logs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The configuration in force from here on; `book` is another one where bindings have other overrides now."""

    config: Configuration
    book: Book | None = None
    problems: Sequence[Problem] = ()


def take_up(before: Configuration, after: Configuration, book: Book) -> Live:
    """Writable counts at once, the log level too; everything else is said, and stays as it was.

    Overrides of bindings count together or not at all: with a mistake in one, those of before stay in force.
    """
    for key in differences(before, after):
        if not key.startswith("Writable."):
            log.warning("%s has changed: it is taken up at the next start", key)
    live = _overrides(before, after, book)
    writable = live.config.writable
    if writable.log_level != before.writable.log_level:
        logs.set_level(writable.log_level)
        log.info("Writable.LogLevel is %s now", writable.log_level)
    if writable.insecure_secrets != before.writable.insecure_secrets:
        log.warning("Writable.InsecureSecrets has changed: the message bus logs in with it at the next start")
    return live


def _overrides(before: Configuration, after: Configuration, book: Book) -> Live:
    asked = after.writable.inference_bindings
    config = replace(before, writable=after.writable)
    if asked == before.writable.inference_bindings:
        return Live(config=config)
    other, known = book.overridden(asked), frozenset(book.problems)
    wrong = [one for one in other.problems if one.severity == "error" and one not in known]
    if wrong:
        log.error("%s has mistakes: what was in force stays", WRITABLE)
        kept = replace(after.writable, inference_bindings=before.writable.inference_bindings)
        return Live(config=replace(before, writable=kept), problems=wrong)
    log.info("%s has changed: %s", WRITABLE, ", ".join(sorted(asked)) or "no overrides are left")
    return Live(config=config, book=other)
