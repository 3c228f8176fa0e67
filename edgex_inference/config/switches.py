"""EdgeX's switches for what is sent, which are environment variables only."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Each is on when its variable is exactly `true`, as EdgeX's own libraries have it."""

    base64_payload: bool = False
    cbor_envelope: bool = False
    cbor_events: bool = False
    optimize: bool = False


def switches(environ: Mapping[str, str]) -> Switches:
    """The switches of this environment."""
    return Switches(
        base64_payload=environ.get("EDGEX_MSG_BASE64_PAYLOAD") == "true",
        cbor_envelope=environ.get("EDGEX_MSG_CBOR_ENCODE") == "true",
        cbor_events=environ.get("EDGEX_ENCODE_ALL_EVENTS_CBOR") == "true",
        optimize=environ.get("EDGEX_OPTIMIZE_EVENT_PAYLOAD") == "true",
    )
