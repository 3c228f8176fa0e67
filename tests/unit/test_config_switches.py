"""config.switches: EdgeX's switches by their own names, on for `true` alone."""

from pathlib import Path

import pytest

from edgex_inference.config.load import load
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.opening import dialect_of

NAMES = {
    "EDGEX_MSG_BASE64_PAYLOAD": "base64_payload",
    "EDGEX_MSG_CBOR_ENCODE": "cbor_envelope",
    "EDGEX_ENCODE_ALL_EVENTS_CBOR": "cbor_events",
    "EDGEX_OPTIMIZE_EVENT_PAYLOAD": "optimize",
}


@pytest.mark.parametrize("variable", NAMES)
@pytest.mark.parametrize(("text", "on"), [("true", True), ("True", False), ("1", False), ("", False)])
def test_a_switch(tmp_path: Path, variable: str, text: str, on: bool) -> None:
    dialect = dialect_of(load(environ={variable: text}, directory=tmp_path))
    assert dialect == (Dialect(**{NAMES[variable]: True}) if on else Dialect())  # type: ignore[arg-type]
