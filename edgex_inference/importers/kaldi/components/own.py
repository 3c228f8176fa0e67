"""What nnet1 writes without a token in front of it."""

import numpy as np

from edgex_inference.contracts.tensors import Array
from edgex_inference.importers.kaldi.files import Component
from edgex_inference.importers.kaldi.items import Malformed, Scalar


def first_array(component: Component, axes: int, index: int = 0) -> Array:
    """The matrix (2 axes) or vector that stands there, whatever token is in front; float32."""
    places = [
        (token, place)
        for token, values in component.fields.items()
        for place, value in enumerate(values)
        if not isinstance(value, Scalar) and value.ndim == axes
    ]
    if index >= len(places):
        raise Malformed(f"has no {'matrix' if axes == 2 else 'vector'}")
    return component.array(places[index][0], axes, places[index][1])


def own_integers(component: Component) -> Array:
    """The list of integers behind the dimensions of a component of nnet1."""
    return component.integers("") if "" in component else np.zeros(0, np.int64)
