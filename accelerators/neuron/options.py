"""What a binding may say to the Neuron runtime."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DATATYPES = ("FP32", "FP16", "INT64", "INT32", "INT8", "UINT8", "BOOL")
_TENSOR = re.compile(rf"({'|'.join(DATATYPES)})\[(\d+(?:, *\d+)*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A binding's `options`.

    A traced file has no names and no shapes that can be read without a device, so `inputs` and `outputs` say them, in
    the order of the module: `{image: "FP32[1, 3, 224, 224]"}`; a file with `edgex-inference.json` inside it
    needs none. `cores` is how many NeuronCores the model is spread over, each with a copy of it.
    """

    inputs: Mapping[str, str] = field(default_factory=dict, hash=False)
    outputs: Mapping[str, str] = field(default_factory=dict, hash=False)
    cores: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.cores <= 128:
            raise ValueError(f"cores must be 1 to 128, not {self.cores}")
        for part in (self.inputs, self.outputs):
            for name, text in part.items():
                shape(name, text)


def shape(name: str, text: str) -> tuple[str, tuple[int, ...]]:
    """Datatype and extents of `FP32[1, 3, 224, 224]`; raises ValueError."""
    found = _TENSOR.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"{name}: {text!r} is no tensor: write FP32[1, 3, 224, 224]; types are {', '.join(DATATYPES)}"
        )
    return found[1], tuple(int(extent) for extent in found[2].split(","))
