"""Who claims to be an accelerator, and whether that claim is admitted."""

import importlib.metadata
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edgex_inference.contracts.accelerator import CONTRACT, Accelerator

GROUP = "edgex_inference.accelerators"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A name and the entry points behind it; `accelerator` is None with a `reason` where the claim is refused."""

    name: str
    points: tuple[importlib.metadata.EntryPoint, ...]
    accelerator: Accelerator | None = None
    reason: str = ""

    @property
    def value(self) -> str:
        """The first entry point's `module:attribute`."""
        return self.points[0].value

    @property
    def brought_by(self) -> str:
        """The distribution behind it and its version."""
        found = self.points[0].dist
        return f"{found.name} {found.version}" if found is not None else "unknown"


def claims(points: Iterable[importlib.metadata.EntryPoint]) -> Sequence[Claim]:
    """The entry points by name; the same one found twice counts once."""
    by_name: dict[str, dict[tuple[str, str], importlib.metadata.EntryPoint]] = {}
    for point in points:
        by_name.setdefault(point.name, {}).setdefault((_owner(point), point.value), point)
    return [Claim(name=name, points=tuple(found.values())) for name, found in by_name.items()]


def admit(claim: Claim) -> Claim:
    """The claim with its plug-in, or with the sentence that says why it is refused."""
    if len(claim.points) > 1:
        owners = " and ".join(f"{_owner(point)} ({point.value})" for point in claim.points)
        return replace(claim, reason=f"claimed by {owners}: uninstall all but one")
    point = claim.points[0]
    owner = _owner(point)
    try:
        found = point.load()
    except Exception as error:  # noqa: BLE001 - a plug-in that cannot be imported is listed with its reason
        stranger = _stranger(point, point.module.partition(".")[0])
        return replace(
            claim, reason=stranger or f"{owner} cannot be imported: {type(error).__name__}: {error}"
        )
    reason = _stranger(point, point.module) or _unfit(claim.name, owner, point.value, found)
    return replace(claim, reason=reason) if reason else replace(claim, accelerator=found)


def _unfit(name: str, owner: str, value: str, found: object) -> str:
    if not isinstance(found, Accelerator):
        return f"{value} of {owner} is a {type(found).__name__}, not an Accelerator"
    if found.contract != CONTRACT:
        return (
            f"{owner} was built for version {found.contract} of the accelerator contract, this release has {CONTRACT}: "
            f"install a release of {owner} that fits"
        )
    if found.name != name:
        return f"{value} of {owner} calls itself {found.name!r}: its entry point must have the same name"
    return ""


def _owner(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"


def _stranger(point: importlib.metadata.EntryPoint, module: str) -> str:
    """Why a loaded module is not that of the distribution which declared it; empty when it is."""
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    if point.dist is None or loaded is None or path is None:
        return ""
    if _holds(point.dist, Path(path).resolve()):
        return ""
    return (
        f"{module} was loaded from {Path(path).parent}, which does not belong to {_owner(point)}: "
        f"a folder of that name is in the way (start elsewhere, or rename it)"
    )


def _holds(distribution: importlib.metadata.Distribution, path: Path) -> bool:
    """Whether a file is the distribution's own: listed by it, or in the folder of an editable install."""
    root = Path(str(distribution.locate_file(""))).resolve()
    if distribution.read_text("RECORD") is None:  # an egg-info folder beside its sources
        return path.is_relative_to(root)
    editable = _editable(distribution)
    if editable is not None and path.is_relative_to(editable):
        return True
    return path.is_relative_to(root) and path.relative_to(root).as_posix() in {
        file.as_posix() for file in distribution.files or ()
    }


def _editable(distribution: importlib.metadata.Distribution) -> Path | None:
    try:
        said = json.loads(distribution.read_text("direct_url.json") or "{}")
        if said["dir_info"].get("editable"):
            return Path(unquote(urlsplit(said["url"]).path)).resolve()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None
