"""Whether a converted model answers as its source does: samples, the difference, and what may be tolerated."""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.tensors import Array, Tensors, TensorSpec
from edgex_inference.engine.formats.archives import names_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Inputs and what the source answered, both in the order of the converted model's tensors."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]

    @property
    def is_holed(self) -> bool:
        """Whether numbers are missing from it, as NaN."""
        return any(one.dtype.kind == "f" and bool(np.isnan(one).any()) for one in self.inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """What a card says of a conversion: who answered, how far off the converted model is, and how that was found."""

    source: str
    difference: float
    tolerance: float
    samples: int
    converter: str
    checked_on: str

    def line(self) -> str:
        """As the card's own line."""
        words = [
            f"source: {json.dumps(self.source)}",
            f"difference: {_number(self.difference)}",
            f"tolerance: {_number(self.tolerance)}",
            f"samples: {self.samples}",
            f"converter: {json.dumps(self.converter)}",
            f"checkedOn: {json.dumps(self.checked_on)}",
        ]
        return f"parity: {{{', '.join(words)}}}\n"


def _number(value: float) -> str:
    """YAML takes 1e-07 for a text, and 1.0e-07 for a number."""
    return f"{value:.1e}" if value else "0"


def read_cases(path: Path, source: Path | str) -> Sequence[Case]:
    """What a script wrote; raises ModelRejected where there is nothing to compare."""
    try:
        names_in(path)
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelRejected(source, "its conversion left no answers to compare with") from error
    cases: list[Case] = []
    while any(name.startswith(f"{len(cases)}.") for name in arrays):
        at = len(cases)
        cases.append(Case(inputs=_row(arrays, f"{at}.in."), outputs=_row(arrays, f"{at}.out.")))
    if not cases or not all(case.outputs for case in cases):
        raise ModelRejected(source, "its conversion left no answers to compare with")
    return cases


def _row(arrays: Mapping[str, Array], prefix: str) -> tuple[Array, ...]:
    found: list[Array] = []
    while (name := f"{prefix}{len(found)}") in arrays:
        found.append(arrays[name])
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Off:
    """How far one output is off, and how far it may be."""

    output: str
    difference: float
    tolerance: float

    @property
    def share(self) -> float:
        """Above 1 is refused."""
        return self.difference / self.tolerance if self.tolerance else np.inf if self.difference else 0.0


def turned(case: Case, axes: Sequence[Sequence[int]]) -> Case:
    """The case for a model whose inputs have their axes in another order, as Reply says it."""
    if len(axes) != len(case.inputs):
        return case
    return replace(
        case,
        inputs=tuple(
            one.transpose(order) if one.ndim == len(order) else one  # the session says what is wrong with it
            for one, order in zip(case.inputs, axes, strict=True)
        ),
    )


def row_by_row(cases: Sequence[Case], specs: Sequence[TensorSpec]) -> Sequence[Case]:
    """Cases of several rows as cases of one, for a model that takes one row at a time."""
    if not specs or any(spec.shape[:1] != (1,) for spec in specs):
        return cases
    return [one for case in cases for one in _rows(case)]


def _rows(case: Case) -> Iterator[Case]:
    """The rows of a case, or the case itself where it has no rows."""
    counts = {one.shape[0] if one.ndim else 0 for one in (*case.inputs, *case.outputs)}
    count = counts.pop() if len(counts) == 1 else 0
    for at in range(count):
        yield Case(
            inputs=tuple(one[at : at + 1] for one in case.inputs),
            outputs=tuple(one[at : at + 1] for one in case.outputs),
        )
    if not count:
        yield case


def compare(have: Sequence[Array], want: Sequence[Array], names: Sequence[str], tolerance: float) -> Off:
    """The output that is furthest off for its tolerance; infinitely where number, shape or a word differs.

    Quantized outputs (8-bit whole numbers) may be one off; other whole numbers and texts must be equal.
    """
    if len(have) != len(want):
        return Off(
            output=f"{len(have)} outputs instead of {len(want)}", difference=np.inf, tolerance=tolerance
        )
    found = [
        Off(
            output=name,
            difference=_of(np.asarray(one), np.asarray(other)),
            tolerance=_allowed(other, tolerance),
        )
        for name, one, other in zip(names, have, want, strict=True)
    ]
    return max(found, key=lambda one: one.share)


def _allowed(want: Array, tolerance: float) -> float:
    return max(1.0, tolerance) if want.dtype in (np.int8, np.uint8) else tolerance


def _of(have: Array, want: Array) -> float:
    if have.size != want.size:
        return float(np.inf)
    have = have.reshape(want.shape)
    if want.dtype.kind in "OSU" or have.dtype.kind in "OSU":
        return 0.0 if np.array_equal(have.astype(str), want.astype(str)) else float(np.inf)
    if not want.size:
        return 0.0
    one, other = have.astype(np.float64), want.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    if want.dtype.kind in "iub" and have.dtype.kind in "iub":
        return float(np.max(np.where(same, 0.0, np.abs(one - other))))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        off = np.where(same, 0.0, np.abs(one - other) / np.maximum(1.0, np.abs(other)))
    return float(np.max(np.where(np.isnan(off), np.inf, off)))


def says_nothing(cases: Sequence[Case]) -> bool:
    """Whether the source answered every sample alike: then agreement proves little."""
    first = cases[0].outputs
    return len(cases) > 1 and all(
        all(a.shape == b.shape and np.array_equal(a, b) for a, b in zip(first, one.outputs, strict=True))
        for one in cases[1:]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """A user's samples: arrays by tensor name, one sample for each row; `path` as it was given."""

    path: Path
    arrays: Tensors

    def rows(self, names: Sequence[str]) -> Tensors:
        """Those of these names, the only one for the only name."""
        if len(names) == 1 and len(self.arrays) == 1:
            return {names[0]: next(iter(self.arrays.values()))}
        return {name: self.arrays[name] for name in names if name in self.arrays}


def read_samples(path: Path) -> Samples:
    """A .npz, or a JSON object, from tensor names to arrays; raises ModelRejected."""
    try:
        if path.suffix == ".json":
            said = json.loads(path.read_bytes())
            arrays = {str(name): np.asarray(rows) for name, rows in said.items()}
        else:
            names_in(path)
            with np.load(path, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError, MemoryError) as error:
        raise ModelRejected(
            path, f"holds no samples: a .npz or JSON from input names to rows is wanted ({error})"
        ) from error
    if not arrays or any(array.ndim == 0 or array.dtype.kind == "O" for array in arrays.values()):
        raise ModelRejected(path, "holds no samples: each array needs a row for each sample")
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1 or 0 in lengths:
        raise ModelRejected(
            path, "holds arrays of different or no length: a row of each for each sample is wanted"
        )
    return Samples(path=path, arrays=arrays)
