"""How the other side of the bus wants to be spoken to."""

from dataclasses import dataclass
from typing import Literal

Major = Literal["2", "3", "4"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The EdgeX major of the consumers, None while unknown, and EdgeX's own switches for what is sent.

    `early` is for major 2: the shorter envelope of 2.0 to 2.2, where 2.3 has one with ids and an error code.
    The switches are EdgeX's environment variables: `base64_payload` EDGEX_MSG_BASE64_PAYLOAD, `cbor_envelope`
    EDGEX_MSG_CBOR_ENCODE, `cbor_events` EDGEX_ENCODE_ALL_EVENTS_CBOR, `optimize` EDGEX_OPTIMIZE_EVENT_PAYLOAD;
    all but `cbor_events` mean something to EdgeX 4 alone and are ignored for others. `escape_names` is
    Service.EnableNameFieldEscape, `base_topic` is MessageBus.BaseTopicPrefix. `headers` is NATS's Format `nats`:
    the envelope travels as headers, the payload bare.
    """

    major: Major | None = None
    early: bool = False
    base64_payload: bool = False
    cbor_envelope: bool = False
    cbor_events: bool = False
    optimize: bool = False
    escape_names: bool = False
    headers: bool = False
    base_topic: str = "edgex"

    @property
    def api_version(self) -> str:
        """What events, requests and envelopes of this dialect call themselves."""
        return "v2" if self.major == "2" else "v3"
