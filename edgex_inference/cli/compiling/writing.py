"""One more file entered into a card's text, everything else left as a person wrote it."""

from collections.abc import Mapping

import yaml

from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.models import ModelCard
from edgex_inference.engine.cards.card import CARD

_OF_A_FILE = ("path", "format", "sha256", "precision", "parity")
"""Keys that are one file's own; the others of an entry say what its tensors mean, and hold for the new one too."""


def entered(card: ModelCard, like: int, entry: Mapping[str, object]) -> str:
    """The text of the card with one more file, whose tensors are those of the file `like`; raises SetupError."""
    path = card.folder / CARD
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    files = _files(root)
    own = yaml.safe_load(text)["files"][like]
    whole = {**entry, **{key: value for key, value in own.items() if key not in _OF_A_FILE}}
    line = yaml.safe_dump(
        whole, default_flow_style=True, sort_keys=False, width=1 << 20, allow_unicode=True
    ).strip()
    if files.flow_style:
        at = files.end_mark.index - 1
        new = f"{text[:at].rstrip().removesuffix(',')}, {line}{text[at:]}"
    else:
        last = files.value[-1]
        at = last.end_mark.index
        kept = text[:at].rstrip()
        new = f"{kept}\n{' ' * files.start_mark.column}- {line}\n{text[len(kept) :].lstrip(chr(10))}"
    if not _same_but_one(text, new):
        raise SetupError(
            f"{path} is written in a way that one more file cannot be put into: add to files: {line}"
        )
    return new


def _files(root: yaml.Node | None) -> yaml.SequenceNode:
    assert isinstance(root, yaml.MappingNode)
    found = next(value for key, value in root.value if key.value == "files")
    assert isinstance(found, yaml.SequenceNode)
    return found


def _same_but_one(before: str, after: str) -> bool:
    """Whether the only difference is one more file."""
    try:
        old, new = yaml.safe_load(before), yaml.safe_load(after)
    except yaml.YAMLError:
        return False
    more = new["files"][:-1] == old["files"] and len(new["files"]) == len(old["files"]) + 1
    return bool(more and {**new, "files": 0} == {**old, "files": 0})
