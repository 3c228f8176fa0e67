"""What a card fixes of open extents, told before the file is loaded: who compiles for fixed shapes must know it."""

from collections.abc import Mapping, Sequence

from edgex_inference.contracts import onnx_file
from edgex_inference.contracts.accelerator import ONNX
from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.models import Build, ImageInput, InputCard
from edgex_inference.contracts.onnx_file import Declared

Extents = tuple[int | None, ...]
_CHANNELS = (1, 3)


def extents_of(build: Build) -> Mapping[str, Extents]:
    """Input tensor → the extents that the card says of it, one for each axis, None where it says nothing.

    The rows of a batch are never said. Of ONNX only inputs with an open extent that the card knows, by their names in
    the file. Other files are not looked into: of them pictures with a layout are told, whose axes are certain.
    """
    said = [one for one in build.inputs if _says(one)]
    if not said:
        return {}
    if build.format != ONNX:
        pictures = [one for one in said if isinstance(one, ImageInput) and one.layout is not None]
        return {one.tensor or one.name: _picture(one, ()) for one in pictures}
    try:
        declared = onnx_file.read(build.path).inputs
    except (OSError, ModelRejected):  # for the runtime to say
        return {}
    fixed = {}
    for one in said:
        meant = _meant(one, build.inputs, declared)
        if meant is not None and meant.shape is not None:
            extents = _extents(one, meant.shape)
            if any(_open(have) and want for have, want in zip(meant.shape, extents, strict=False)):
                fixed[meant.name] = extents
    return fixed


def _says(entry: InputCard) -> bool:
    return entry.size is not None if isinstance(entry, ImageInput) else entry.shape is not None


def _meant(entry: InputCard, entries: Sequence[InputCard], declared: Sequence[Declared]) -> Declared | None:
    """The tensor of an entry: by `tensor`, by its own name, or the only one that there is."""
    wanted = entry.tensor or entry.name
    found = next((one for one in declared if one.name == wanted), None)
    alone = entry.tensor is None and len(entries) == len(declared) == 1
    return found or (declared[0] if alone else None)


def _extents(entry: InputCard, have: Sequence[int | str]) -> Extents:
    """As many extents as the file has; empty where the card does not tell, or tells of another number of axes."""
    if isinstance(entry, ImageInput):
        return _picture(entry, have) if len(have) == 4 else ()
    shape = entry.shape or ()
    if len(have) == len(shape) + 1:
        return (None, *shape)
    if len(have) != len(shape):
        return ()
    return (None, *shape[1:]) if shape[:1] == (1,) else shape


def _picture(entry: ImageInput, have: Sequence[int | str]) -> Extents:
    """Height and width where the layout has them: as the card says it, else where the file has its channels."""
    assert entry.size is not None
    width, height = entry.size
    first, last = (bool(have) and have[axis] in _CHANNELS for axis in (1, 3))
    layout = entry.layout or ("NCHW" if first else "NHWC" if last else "")
    by_layout: Mapping[str, Extents] = {
        "NCHW": (None, None, height, width),
        "NHWC": (None, height, width, None),
    }
    return by_layout.get(layout, ())


def _open(extent: int | str) -> bool:
    return isinstance(extent, str) or extent <= 0
