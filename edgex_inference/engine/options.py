"""A binding's accelerator options, decoded strictly into the plug-in's own type."""

import dataclasses
import re
from collections.abc import Mapping

import msgspec

from edgex_inference.config.places import suggest
from edgex_inference.contracts.accelerator import Accelerator
from edgex_inference.contracts.errors import AcceleratorUnavailable


def decode(accelerator: Accelerator, raw: Mapping[str, object]) -> object:
    """An instance of `accelerator.options`; raises AcceleratorUnavailable naming every option that is wrong.

    Keys are written in camelCase; unknown keys and values of another type are refused.
    """
    problems = option_problems(accelerator, raw)
    if problems:
        raise AcceleratorUnavailable(accelerator.name, "; ".join(problems.values()))
    fields = _fields(accelerator.options)
    return msgspec.convert({fields[key]: value for key, value in raw.items()}, accelerator.options)


def option_problems(accelerator: Accelerator, raw: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with each option, by its key as written; empty when all are fine."""
    fields = _fields(accelerator.options)
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
            message = re.sub(r" - at `\$\.\w+(.*)`$", r" at \1", str(error)).removesuffix(" at ")
            if "missing required" not in message:
                problems[key] = f"option {key}: {message}"
    return problems


def _fields(options: type) -> dict[str, str]:
    """The fields of an options type by their key in camelCase."""
    if not dataclasses.is_dataclass(options):
        return {}
    return {_camel(field.name): field.name for field in dataclasses.fields(options)}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
