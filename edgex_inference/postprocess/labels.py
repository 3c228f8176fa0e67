"""Names of classes: given as they are, as the built-in set `coco80`, or as a file beside the model card."""

import re
from pathlib import Path

from edgex_inference.config.places import suggest
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import NOBODY

COCO80: tuple[str, ...] = tuple(
    """person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign
|parking meter|bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag|tie
|suitcase|frisbee|skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard
|tennis racket|bottle|wine glass|cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot
|hot dog|pizza|donut|cake|chair|couch|potted plant|bed|dining table|toilet|tv|laptop|mouse|remote|keyboard
|cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase|scissors|teddy bear|hair drier
|toothbrush""".replace("\n", "").split("|")
)

_SETS = {"coco80": COCO80}
_NUMBERED = re.compile(r"(\d{1,5})(?:\s*:\s*|\s+)(\S.*)")
_LARGEST_FILE = 4 << 20


def resolve(
    labels: tuple[str, ...] | str | None, folder: Path | None, model: str = ""
) -> tuple[str, ...] | None:
    """The names in the order of the classes; None stays None.

    A text is a built-in set or a file in `folder`: one name a line, blank lines at the end are ignored. Where every
    line is `0 person` or `0: person`, the numbers are the classes and gaps become `n/a`. Lines that say `n/a` keep
    their place, see `fit`. Raises ModelRejected in the name of `model`.
    """
    if not isinstance(labels, str):
        return labels
    if labels in _SETS:
        return _SETS[labels]
    if folder is None or (path := folder / labels).parent.resolve() != folder.resolve() or not path.is_file():
        known = "a built-in set (coco80) nor a file beside the model card"
        beside = [one.name for one in folder.iterdir() if one.is_file()] if folder is not None else []
        hint = suggest(labels, [*_SETS, *beside])
        raise _rejected(model, f"{labels!r} is neither {known}{hint}")
    return _read(model, path)


def fit(labels: tuple[str, ...], classes: int) -> tuple[str, ...] | None:
    """The names for so many classes, or None when they do not fit.

    COCO files exist with 90 lines of which ten say `n/a`, for models of 90 classes and of 80: the `n/a` lines are
    left out where exactly the others fit.
    """
    if len(labels) == classes:
        return labels
    named = tuple(label for label in labels if label.lower() != NOBODY)
    return named if len(named) == classes else None


def _rejected(model: str, reason: str) -> ModelRejected:
    return ModelRejected(model, reason, card=("labels",), block=("model", "labels"))


def _read(model: str, path: Path) -> tuple[str, ...]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise _rejected(model, f"{path.name} is larger than 4 MiB, which no list of labels is")
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise _rejected(model, f"{path.name} cannot be read as UTF-8 text: {error}") from None
    if not lines:
        raise _rejected(model, f"{path.name} is empty")
    numbered = [found for line in lines if line and (found := _NUMBERED.fullmatch(line))]
    if len(numbered) < sum(1 for line in lines if line):
        return tuple(line or NOBODY for line in lines)
    return _by_number(model, path, {int(found[1]): found[2] for found in numbered}, len(numbered))


def _by_number(model: str, path: Path, names: dict[int, str], lines: int) -> tuple[str, ...]:
    if len(names) < lines:
        raise _rejected(model, f"{path.name}: a class number stands on two lines")
    return tuple(names.get(index, NOBODY) for index in range(max(names) + 1))
