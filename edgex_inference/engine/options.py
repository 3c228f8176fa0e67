"""A binding's accelerator options, decoded strictly into the plug-in's own type."""

import dataclasses
import re
from collections.abc import Mapping
from typing import get_args, get_type_hints

import msgspec

from edgex_inference.config.places import listed, suggest
from edgex_inference.contracts.accelerator import Accelerator
from edgex_inference.contracts.errors import AcceleratorUnavailable

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "object": "a map",
    "array": "a list",
    "null": "empty",
}
"""The decoder's names of kinds as a person calls them."""


def decode(accelerator: Accelerator, raw: Mapping[str, object]) -> object:
    """An instance of `accelerator.options`; raises AcceleratorUnavailable naming every option that is wrong.

    Keys are written in camelCase; unknown keys and values of another type are refused.
    """
    problems = option_problems(accelerator, raw)
    if problems:
        told = "; ".join(f"options.{key}: {reason}" for key, reason in problems.items())
        raise AcceleratorUnavailable(accelerator.name, told)
    fields = _fields(accelerator.options)
    return msgspec.convert({fields[key]: value for key, value in raw.items()}, accelerator.options)


def option_problems(accelerator: Accelerator, raw: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with each option, by its key as written; empty when all are fine."""
    fields = _fields(accelerator.options)
    hints = get_type_hints(accelerator.options)
    problems: dict[str, str] = {}
    for key, value in raw.items():
        if key not in fields:
            known = ", ".join(sorted(fields)) or "none"
            hint = suggest(key, fields) or f"; known: {known}"
            problems[key] = f"unknown option {key!r}{hint}"
            continue
        try:
            msgspec.convert({fields[key]: value}, accelerator.options)
        except msgspec.ValidationError as error:
            if "missing required" not in str(error):
                problems[key] = _said(str(error), value, hints[fields[key]])
    return problems


def _said(complaint: str, value: object, hint: object) -> str:
    """The decoder's complaint in a user's words."""
    inside = re.search(r" - at `\$\.\w+\W.*`$", complaint)
    where = " for every key" if inside is not None else ""
    if found := re.match(r"Expected `([^`]*)`, got `([^`]*)`", complaint):
        wanted = [_KINDS.get(kind, kind) for kind in found[1].split(" | ") if kind != "null"]
        return f"must be {listed(wanted)}{where}, not {_KINDS.get(found[2], found[2])}"
    if complaint.startswith("Invalid enum value"):
        words = [str(word) for word in get_args(hint)]
        return f"{value!r} is not {listed(words)}{suggest(str(value), words)}"
    return complaint.partition(" - at ")[0]


def _fields(options: type) -> dict[str, str]:
    """The fields of an options type by their key in camelCase."""
    if not dataclasses.is_dataclass(options):
        return {}
    return {_camel(field.name): field.name for field in dataclasses.fields(options)}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
