"""PyTorch's own archives, looked into before torch opens them: what in them would run, write or load something."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.engine.formats.archives import WORD, names_in, read_text

_MOST = 256 << 20
"""Bytes of a program's text; its weights lie apart."""

_REACHES = re.compile(r"\b(?:torch\.(from_file|save|load|hub)\b|ops\.\w+\.(from_file|save|load)\b)")
"""What TorchScript has for files: it makes them, and overwrites them."""
_CALLED = re.compile(r"([A-Za-z_]\w*)\s*\(")
_SYMBOL = re.compile(r"Symbol\('\w+'")
_EVALUATED = ("expr_str", "guards_code")
"""Keys of the texts that torch hands to Python: sizes as formulas, and conditions on them."""
_OF_INPUT = re.compile(r"\['\w+'\]|\.(?:size|stride|storage_offset|dim)\(\)")
_KEYWORDS = frozenset({"and", "or", "not"})


def screen_script(path: Path, trust: bool) -> None:
    """Of TorchScript, whose code reaches files by operators; raises ModelRejected."""
    for name in sorted(names_in(path)):
        if trust or "/code/" not in f"/{name}" or not name.endswith(".py"):
            continue
        found = _REACHES.search(read_text(path, name, most=_MOST))
        if found:
            raise ModelRejected(path, f"has the operator {found[0]}, which reaches out of the model: {WORD}")


def screen_program(path: Path, trust: bool) -> None:
    """Of torch.export, whose loader loads libraries and evaluates texts; raises ModelRejected."""
    names = names_in(path)
    if trust:
        return
    compiled = sorted(
        name for name in names if "aotinductor/" in name or name.endswith((".so", ".o", ".dll"))
    )
    if compiled:
        raise ModelRejected(
            path, f"has machine code in it, {compiled[0]}: {WORD}, or export it without compiling"
        )
    for name in sorted(names):
        if name.endswith(".json"):
            for text in _texts(_read(path, name), ""):
                if not _is_formula(text):
                    raise ModelRejected(path, f"has a size that is a program, {text[:60]!r}: {WORD}")


def _read(path: Path, name: str) -> object:
    try:
        return json.loads(read_text(path, name, most=_MOST))
    except (ValueError, RecursionError):
        raise ModelRejected(path, f"{name} in it is no JSON, or nested too deeply") from None


def _texts(found: object, key: str) -> Iterator[str]:
    """The texts that torch evaluates."""
    left = [(key, found)]
    while left:
        key, found = left.pop()
        if isinstance(found, dict):
            left += [(str(name), one) for name, one in found.items()]
        elif isinstance(found, list):
            left += [(key, one) for one in found]
        elif isinstance(found, str) and key in _EVALUATED:
            yield found


def _is_formula(text: str) -> bool:
    """Whether it only puts sympy's classes together: these are capitalized, what runs a text is not."""
    plain = _OF_INPUT.sub("", _SYMBOL.sub("Symbol(", text))
    return not re.search(r"__|[\"'`\\;:@{}]|\blambda\b|[A-Za-z_)\]]\s*\.", plain) and all(
        name in _KEYWORDS or (name[:1].isupper() and name != "S") for name in _CALLED.findall(plain)
    )
