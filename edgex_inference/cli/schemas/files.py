"""The schemas of whole files: device profiles, side-cars, devices files; EdgeX's own keys are left alone."""

from collections.abc import Callable, Mapping

from edgex_inference.cli.schemas.block import block_schema
from edgex_inference.cli.schemas.card import card_schema
from edgex_inference.cli.schemas.overlay import DRAFT, partial
from edgex_inference.config.outline import TEXT, Schema
from edgex_inference.contracts.events import ValueType

_BLOCK = {"$ref": "#/$defs/block"}
_OVERRIDE = {"$ref": "#/$defs/override"}
_HERE_NEVER: Schema = {"not": {}, "description": "EdgeX would drop this key, or copy it on every event."}
_VALUE_TYPES = "|".join(
    "".join(f"[{one.upper()}{one.lower()}]" if one.isalpha() else one for one in kind.value)
    for kind in ValueType
)


def _blocks(block: Schema) -> Schema:
    return {"type": "object", "additionalProperties": block, "propertyNames": {"pattern": r"\S"}}


def _keys(properties: Mapping[str, Schema], *required: str) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        **({"required": [*required]} if required else {}),
    }


def profile_schema() -> Schema:
    """Any EdgeX device profile, with our blocks in their two places."""
    inference = {"inference": _blocks(_BLOCK)}
    maybe_map = {"type": ["object", "null"]}
    optional = {**_keys(inference), **maybe_map}
    never = {"inference": _HERE_NEVER, "tags": {**maybe_map, "properties": {"inference": _HERE_NEVER}}}
    properties = {
        "valueType": {"type": "string", "pattern": f"^({_VALUE_TYPES})$"},
        "optional": optional,
        "inference": _HERE_NEVER,
    }
    resource = _keys({**never, "name": TEXT, "properties": _keys(properties), "attributes": optional}, "name")
    return _file(
        "An EdgeX device profile with inference blocks",
        _keys(
            {
                "name": TEXT,
                **never,
                "deviceResources": {"type": "array", "items": resource},
                "deviceCommands": {"type": ["array", "null"], "items": _keys(never)},
            },
            "name",
        ),
    )


def side_car_schema() -> Schema:
    """A side-car: blocks, or overrides of them, for profiles that somebody else owns."""
    match = {**_keys(dict.fromkeys(("profile", "device", "resource"), TEXT), "profile")}
    return _file(
        "A side-car with inference blocks",
        {
            **_keys(
                {
                    "match": {**match, "additionalProperties": False},
                    "inference": _blocks(_OVERRIDE),
                    "description": {},
                },
                "match",
                "inference",
            ),
            "additionalProperties": False,
        },
        override=True,
    )


def devices_schema() -> Schema:
    """EdgeX's devices file with overrides of bindings."""
    older = {"inference": {"type": "object", "additionalProperties": {"anyOf": [_OVERRIDE, TEXT]}}}
    device = _keys(
        {
            "name": TEXT,
            "profileName": {"type": "string"},
            "inference": _HERE_NEVER,
            "properties": {**_keys({"inference": _blocks(_OVERRIDE)}), "type": ["object", "null"]},
            "protocols": {**_keys(older), "type": ["object", "null"]},
        },
        "name",
    )
    devices = {"type": "array", "items": device}
    return _file(
        "An EdgeX devices file with overrides of bindings",
        {"anyOf": [devices, _keys({"deviceList": devices}, "deviceList")]},
        override=True,
    )


def _file(title: str, body: Schema, *, override: bool = False) -> Schema:
    block = block_schema()
    defs = {"override": partial(block)} if override else {"block": block}
    return {"$schema": DRAFT, "title": title, **body, "$defs": defs}


def _whole(title: str, body: Schema) -> Schema:
    return {"$schema": DRAFT, "title": title, **body}


SCHEMAS: Mapping[str, tuple[str, Callable[[], Schema]]] = {
    "profile": ("a device profile", profile_schema),
    "side-car": ("a side-car file", side_car_schema),
    "devices": ("a devices file", devices_schema),
    "block": ("one inference block", lambda: _whole("An inference block", block_schema())),
    "card": ("a model card, model.yaml", lambda: _whole("A model card", card_schema())),
}
"""Kind → what it describes, and the function that makes its schema."""
