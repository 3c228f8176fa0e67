"""Laying more onto a schema that was recorded from the readers: rules that they check by hand, and descriptions."""

from collections.abc import Iterator, Mapping

from edgex_inference.config.outline import Schema
from edgex_inference.contracts.models import SETTINGS, Task, serves

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def at(schema: Schema, path: str) -> list[Schema]:
    """Every form at a path such as `inputs[].field` or `outputs.*.value`; raises KeyError where there is none."""
    found = [schema]
    for step in path.replace("[]", ".[]").strip(".").split("."):
        found = [below for one in found for form in forms(one) if (below := _below(form, step)) is not None]
    if not found:
        raise KeyError(path)
    return found


def _below(form: Schema, step: str) -> Schema | None:
    found = {
        "[]": lambda: form.get("items"),
        "*": lambda: form.get("additionalProperties") or None,
    }.get(step, lambda: form.get("properties", {}).get(step))()
    return found if isinstance(found, dict) else None


def forms(schema: Schema) -> list[Schema]:
    """The alternatives of a schema, or itself."""
    found: list[Schema] = schema.get("anyOf", [schema])
    return found


def of_type(schema: Schema, kind: str) -> Iterator[Schema]:
    """The alternatives that take values of a JSON type."""
    return (form for form in forms(schema) if form.get("type") == kind)


def refine(schema: Schema, path: str, kind: str, more: Mapping[str, object]) -> None:
    """Adds keywords to the forms of a type at a path; raises KeyError where there is no such form."""
    found = [form for one in at(schema, path) for form in of_type(one, kind)]
    if not found:
        raise KeyError(f"{path}: no {kind}")
    for form in found:
        form.update(more)


def replace(schema: Schema, path: str, by: Schema) -> None:
    """Puts another schema in the place of one."""
    for found in at(schema, path):
        found.clear()
        found.update(by)


def describe(schema: Schema, words: Mapping[str, str]) -> None:
    """Adds what an editor shows; raises KeyError for a path that is not there."""
    for path, text in words.items():
        for found in at(schema, path):
            found["description"] = text


def serving(task: Task) -> Schema:
    """The keys of `postprocess` that do nothing for a task are refused."""
    return {"properties": {key: {"not": {}} for key in SETTINGS if not serves(key, task)}}


def partial(schema: Schema) -> Schema:
    """The schema of an override, which says only what it changes: nothing is required, save in lists."""
    kept = {key: value for key, value in schema.items() if key not in ("required", "minProperties", "allOf")}
    if "properties" in kept:
        kept["properties"] = {key: partial(one) for key, one in kept["properties"].items()}
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = partial(kept["additionalProperties"])
    if "anyOf" in kept:
        kept["anyOf"] = [partial(one) for one in kept["anyOf"]]
    kept.pop("dependentRequired", None)
    return kept
