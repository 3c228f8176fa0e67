"""Which EdgeX the others on the bus are, as far as a message of theirs can tell."""

import re
from dataclasses import replace

from edgex_inference.contracts.events import Event
from edgex_inference.contracts.messages import Message
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.envelope import Envelope

_HEAD = 4096
_RAW = re.compile(rb'"payload"\s*:\s*\{', re.IGNORECASE)
_OF_2_3 = re.compile(rb'"apiversion"\s*:', re.IGNORECASE)


def guessed(dialect: Dialect, message: Message, read: Envelope, event: Event) -> Dialect:
    """The dialect of whoever sent this event; `dialect` itself where the message leaves it open.

    Events of EdgeX 2 say v2. A payload that is no base64 is EdgeX 4's. JSON in base64 is EdgeX 3's, for all one can
    see: EdgeX 4 has a switch for it, but understands what is sent to 3. CBOR in base64 and NATS headers are both's.
    """
    if event.api_version == "v2":
        early = not message.headers and _OF_2_3.search(message.payload) is None
        return replace(dialect, major="2", early=early)
    if message.headers or dialect.major == "4":
        return dialect
    if isinstance(read.payload, dict) or _RAW.search(message.payload, 0, _HEAD):
        return replace(dialect, major="4", early=False)
    if read.content_type.startswith("application/json") and dialect.major is None:
        return replace(dialect, major="3")
    return dialect
