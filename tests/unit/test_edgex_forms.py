"""edgex.forms: a filled form is byte for byte what wire.encode writes, in every dialect."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgex_inference.contracts.events import Event, Reading, ValueType
from edgex_inference.edgex import forms, ids, wire
from edgex_inference.edgex.dialect import Dialect
from edgex_inference.edgex.forms import escaped

DIALECTS = [
    Dialect(),
    Dialect(major="3"),
    Dialect(major="4"),
    Dialect(major="4", base64_payload=True),
    Dialect(major="4", optimize=True),
    Dialect(major="4", optimize=True, base64_payload=True),
    Dialect(major="4", headers=True),
    Dialect(major="3", headers=True),
]
CHARACTERS = st.characters(codec="utf-8")
NAMES = st.text(CHARACTERS, min_size=1, max_size=12)
KINDS = st.sampled_from([ValueType.FLOAT32, ValueType.BOOL, ValueType.STRING, ValueType.INT64_ARRAY])


def event(draw: st.DataObject) -> Event:
    profile, source = draw.draw(NAMES), draw.draw(NAMES)
    readings = [
        Reading(
            resource_name=name,
            profile_name=profile,
            value_type=draw.draw(KINDS).value,
            units=draw.draw(st.sampled_from(["", "%", "°C"])),
        )
        for name in draw.draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    ]
    tags = draw.draw(st.sampled_from([None, {"model": 'm"%s', "version": "1"}]))
    return Event(
        api_version="v3",
        id=ids.new_id(),
        device_name="d",
        profile_name=profile,
        source_name=source,
        origin=1,
        readings=tuple(readings),
        tags=tags,
    )


@pytest.mark.parametrize("dialect", DIALECTS, ids=repr)
@pytest.mark.parametrize("bare", [False, True])
@settings(deadline=None)
@given(draw=st.data())
def test_a_filled_form_is_the_message_of_the_event(dialect: Dialect, bare: bool, draw: st.DataObject) -> None:
    pattern = event(draw)
    form = forms.form(pattern, dialect, bare=bare)
    assert form is not None
    (block,) = ids.blocks(1)
    for _ in range(2):
        trace, device = draw.draw(st.text(CHARACTERS)), draw.draw(NAMES)
        origin = draw.draw(st.integers(1, 2**63 - 1))
        texts = [draw.draw(NAMES) for _ in pattern.readings]
        whole = msgspec.structs.replace(
            pattern,
            id=ids.of_block(0) % block,
            device_name=device,
            origin=origin,
            readings=tuple(
                msgspec.structs.replace(
                    one, id=ids.of_block(at + 1) % block, device_name=device, origin=origin, value=text
                )
                for at, (one, text) in enumerate(zip(pattern.readings, texts, strict=True))
            ),
        )
        encode = wire.encode_bare if bare else wire.encode
        wanted = encode(whole, topic="t", correlation_id=trace, dialect=dialect, written=True)
        slots = (escaped(trace), escaped(device), str(origin), block, *map(escaped, texts))
        assert form.fill("t", slots) == wanted


@pytest.mark.parametrize(
    "dialect", [Dialect(cbor_events=True), Dialect(major="4", cbor_envelope=True)], ids=repr
)
@settings(deadline=None)
@given(draw=st.data())
def test_cbor_has_no_form(dialect: Dialect, draw: st.DataObject) -> None:
    assert forms.form(event(draw), dialect) is None


def test_ids_of_blocks_are_ids_and_never_the_same() -> None:
    found = [ids.of_block(place) % block for block in ids.blocks(3) for place in (0, 1, ids.BLOCK - 1)]
    assert all(map(ids.is_id, found))
    assert len({*found, *(ids.new_id() for _ in range(9))}) == 18
