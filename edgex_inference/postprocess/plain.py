"""Regression, embedding and raw: numbers as the model gives them."""

import numpy as np

from edgex_inference.contracts.results import Embedding, Raw, Regression, Sample
from edgex_inference.contracts.tensors import Tensors
from edgex_inference.postprocess.wiring import Interpreter, Wiring, without_batch


def regression(wiring: Wiring) -> Interpreter:
    """All numeric outputs, one behind the other in the card's order; raises ModelRejected where there is none."""
    outputs = [output for output in wiring.outputs if output.is_real]
    if not outputs:
        raise wiring.rejected("none holds real numbers, which regression needs", "outputs")

    def interpret(tensors: Tensors, sample: Sample) -> Regression:
        parts = [output.numbers(tensors).reshape(-1) for output in outputs]
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if not values.size:
            raise outputs[0].nonsense("no number in it")
        return Regression(values=values)

    return interpret


def embedding(wiring: Wiring) -> Interpreter:
    """The model's vector as it is."""
    return _vector(wiring, unit=False)


def unit_embedding(wiring: Wiring) -> Interpreter:
    """The model's vector divided by its length, so that the product of two is their cosine similarity."""
    return _vector(wiring, unit=True)


def _vector(wiring: Wiring, *, unit: bool) -> Interpreter:
    output = wiring.pick("vector")

    def interpret(tensors: Tensors, sample: Sample) -> Embedding:
        numbers = output.numbers(tensors)
        if not numbers.size or max(numbers.shape, default=1) != numbers.size:
            raise output.nonsense(f"shape {numbers.shape}, expected one vector")
        vector = numbers.reshape(-1)
        length = np.linalg.norm(vector) if unit else 1
        return Embedding(vector=vector / length if unit and length > 0 else vector)

    return interpret


def raw(wiring: Wiring) -> Interpreter:
    """Every output of the card as it is, or dequantized where the card says how."""

    def interpret(tensors: Tensors, sample: Sample) -> Raw:
        found = {}
        for output in wiring.outputs:
            tensor = output.tensor(tensors)
            quantized = output.quantization is not None and tensor.dtype.kind in "iu"
            found[output.name] = without_batch(output.numbers(tensors) if quantized else tensor)
        return Raw(tensors=found)

    return interpret
