"""scikit-learn's HistGradientBoosting for skl2onnx 1.20, whose own converter writes what onnx refuses.

It hands on numpy's unsigned numbers, rounds thresholds to the nearest 32-bit number, which sends some rows the wrong
way, and knows neither splits by category nor losses with a logarithm.
"""

import numbers

import numpy as np
from exchange import Refused

EXPONENT = ("LogLink",)
PLAIN = ("IdentityLink", "LogitLink", "MultinomialLogit")


def with_histograms(classifier_shapes, regressor_shapes):
    """Registers converters that put this right."""
    from skl2onnx import update_registered_converter
    from skl2onnx.operator_converters import random_forest
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    options = {"zipmap": [True, False, "columns"], "raw_scores": [True, False], "nocl": [True, False]}
    options["output_class_labels"] = [False, True]
    update_registered_converter(
        HistGradientBoostingClassifier,
        "SklearnHistGradientBoostingClassifier",
        classifier_shapes,
        mended(random_forest.convert_sklearn_random_forest_classifier),
        options=options,
    )
    update_registered_converter(
        HistGradientBoostingRegressor,
        "SklearnHistGradientBoostingRegressor",
        regressor_shapes,
        mended(random_forest.convert_sklearn_random_forest_regressor_converter),
    )


def mended(original):
    """skl2onnx's converter on trees with thresholds of 32 bits, through a container that writes plain numbers."""

    def convert(scope, operator, container):
        model = operator.raw_operator
        categories = getattr(model, "is_categorical_", None)
        if categories is not None and np.any(categories):
            raise Refused("splits by category, which trees of ONNX do not: encode the categories as numbers")
        link = type(model._loss.link).__name__
        if link not in EXPONENT + PLAIN:
            raise Refused("has a loss with the link %s, which skl2onnx does not know" % link)
        trees = [tree for several in model._predictors for tree in several]
        nodes = [tree.nodes for tree in trees]
        try:
            for tree in trees:
                tree.nodes = lowered(tree.nodes)
            original(scope, operator, Plain(container, scope if link in EXPONENT else None))
        finally:
            for tree, before in zip(trees, nodes, strict=True):
                tree.nodes = before

    return convert


def lowered(nodes):
    """Thresholds as the next lower number of 32 bits: for inputs of 32 bits that changes no decision."""
    nodes = nodes.copy()
    exact = nodes["num_threshold"]
    near = exact.astype(np.float32)
    nodes["num_threshold"] = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
    return nodes


class Plain:
    """A container of skl2onnx whose nodes get Python's own numbers; with a scope an Exp stands behind the trees."""

    def __init__(self, container, scope):
        self._container, self._scope = container, scope

    def __getattr__(self, name):
        return getattr(self._container, name)

    def add_node(self, op_type, inputs, outputs, **attributes):
        attributes = {name: plain(value) for name, value in attributes.items()}
        if self._scope is None or op_type != "TreeEnsembleRegressor":
            self._container.add_node(op_type, inputs, outputs, **attributes)
            return
        between = self._scope.get_unique_variable_name("logarithm")
        self._container.add_node(op_type, inputs, between, **attributes)
        name = self._scope.get_unique_operator_name("Exp")
        self._container.add_node("Exp", between, outputs, op_version=13, name=name)


def plain(value):
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return value
    return [
        one
        if isinstance(one, str)
        else int(one)
        if isinstance(one, numbers.Integral | np.bool_)
        else float(one)
        for one in value
    ]
