"""scikit-learn, XGBoost and LightGBM to ONNX; answers come from the estimator itself."""

import json
import lzma
import pickle
import struct
import warnings
import zlib

import numpy as np
from columns import Columns, is_of_lines, vectorizers
from exchange import Refused, main
from histograms import with_histograms

BROKEN = (EOFError, ValueError, KeyError, IndexError, OSError, struct.error, zlib.error, lzma.LZMAError)
OPSET, ML_OPSET = 15, 3
NEWER = 18
"""For the few estimators that need it."""


def work(job):
    warnings.simplefilter("ignore")
    model, framework = load(job)
    columns = Columns(model, features(job, model))
    kind = type(model).__module__.partition(".")[0]
    onnx_model, tool = {"xgboost": of_xgboost, "lightgbm": of_lightgbm}.get(kind, of_sklearn)(
        job, model, columns
    )
    apart(onnx_model.graph)
    anywhere(onnx_model.graph)
    with open(job.path("model.onnx"), "wb") as file:
        file.write(onnx_model.SerializeToString())
    inputs = [one.name for one in onnx_model.graph.input]
    cases = columns.cases(job, inputs, missing=takes_missing(model))
    outputs = [one.name for one in onnx_model.graph.output]
    try:
        answers = [ask(model, columns.table(case), outputs) for case in cases]
    except Exception as error:  # the estimator's own code on inputs that it was not trained on
        raise Refused("does not take the samples: %s; give --samples of real ones" % first(error)) from error
    job.reply("model.onnx", cases, answers, framework=framework, tool=tool, notes=order(columns))


def load(job):
    """The estimator and what it is called; a pickle is opened here and nowhere else."""
    if job.kind == "xgboost":
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(job.source)
        return booster, "xgboost " + xgboost.__version__
    if job.kind == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_file=job.source), "lightgbm " + lightgbm.__version__
    try:
        import joblib

        model = joblib.load(job.source)
    except (ModuleNotFoundError, AttributeError) as error:
        raise Refused("the pickle needs something that this toolchain lacks: %s" % error)
    except (*BROKEN, pickle.UnpicklingError) as error:
        raise Refused("is a pickle that is broken or cut short (%s)" % first(error))
    package = type(model).__module__.partition(".")[0]
    if package not in ("sklearn", "xgboost", "lightgbm"):
        raise Refused("is a pickled %s of %s, no estimator" % (type(model).__name__, package))
    made = made_with(model)
    module = __import__(package)
    if made and made != module.__version__:
        raise Refused(
            "was pickled by %s %s, this toolchain has %s, and pickles do not travel between them: "
            "save it as ONNX where it was trained" % (package, made, module.__version__)
        )
    return model, "%s %s" % ({"sklearn": "scikit-learn"}.get(package, package), module.__version__)


def order(columns):
    """Which numbers a model wants, where it tells."""
    if columns.apart or columns.names[0] == "input0":
        return ()
    return ("it was trained on the columns %s, in this order: names of its input" % ", ".join(columns.names),)


def takes_missing(model):
    """Whether NaN stands for a value that is missing."""
    last = model.steps[-1][1] if hasattr(model, "steps") and len(model.steps) == 1 else model
    kind = type(last)
    return kind.__module__.partition(".")[0] in ("xgboost", "lightgbm") or kind.__name__.startswith(
        "HistGradient"
    )


def made_with(model):
    """scikit-learn writes its version into each pickle and warns where it differs: asked again, as a value."""
    return getattr(model, "__dict__", {}).get("_sklearn_version")


def features(job, model):
    """How many numbers a sample has."""
    for shape in job.shapes.values():
        return shape[-1]
    if is_of_lines(model):
        return 1
    for name in ("n_features_in_", "num_features", "num_feature"):
        found = getattr(model, name, None)
        found = found() if callable(found) else found
        if found:
            return int(found)
    raise Refused("does not say how many numbers it takes: say them, --shape input=1,N")


def of_sklearn(job, model, columns):
    import skl2onnx

    with_boosters()
    try:
        found = by_skl2onnx(model, columns, min(job.opset or OPSET, 20))
    except Refused as error:
        if job.opset or "opset" not in str(error):
            raise
        found = by_skl2onnx(model, columns, NEWER)
    return found, "skl2onnx " + skl2onnx.__version__


def by_skl2onnx(model, columns, opset):
    import skl2onnx
    from skl2onnx.common import data_types

    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else {}
    try:
        return skl2onnx.convert_sklearn(
            model,
            initial_types=columns.types(data_types),
            options={**options, **words(model)} or None,
            target_opset={"": opset, "ai.onnx.ml": ML_OPSET},
        )
    except Refused:
        raise
    except Exception as error:  # its own errors are many and public ones are not promised
        raise Refused("skl2onnx cannot convert %s (%s)" % (type(model).__name__, first(error)))


def apart(graph):
    """Shares of several answers, which skl2onnx packs into a sequence, become an output each."""
    made = {one.output[0]: one for one in graph.node if one.op_type == "SequenceConstruct"}
    outputs = list(graph.output)
    del graph.output[:]
    for output in outputs:
        node = made.get(output.name)
        if node is None:
            graph.output.append(output)
            continue
        kind = output.type.sequence_type.elem_type
        for name in node.input:
            graph.output.add(name=name).type.CopyFrom(kind)
        if not any(output.name in one.input for one in graph.node):
            graph.node.remove(node)


def anywhere(graph):
    """Texts are lowered by a locale that every machine has; of itself ONNX Runtime takes that of the USA."""
    for node in graph.node:
        if node.op_type == "StringNormalizer" and not any(one.name == "locale" for one in node.attribute):
            node.attribute.add(name="locale", type=3, s=b"C.UTF-8")


def words(model):
    """What skl2onnx is told of vectorizers that part words as they do by default: it would know ASCII only."""
    return {
        id(one): {"tokenexp": r"[\p{L}\p{N}_]{2,}"}
        for one in vectorizers(model)
        if one.analyzer == "word" and one.token_pattern == r"(?u)\b\w\w+\b"
    }


def with_boosters():
    """Boosters inside pipelines of scikit-learn, and its own that skl2onnx converts wrongly."""
    from lightgbm import LGBMClassifier, LGBMRegressor
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
    from xgboost import XGBClassifier, XGBRegressor

    classes = {"options": {"zipmap": [True, False, "columns"], "nocl": [True, False]}}
    for one, name, convert in (
        (LGBMClassifier, "LightGbmLGBMClassifier", convert_lightgbm),
        (XGBClassifier, "XGBoostXGBClassifier", convert_xgboost),
    ):
        update_registered_converter(one, name, calculate_linear_classifier_output_shapes, convert, **classes)
    for one, name, convert in (
        (LGBMRegressor, "LightGbmLGBMRegressor", convert_lightgbm),
        (XGBRegressor, "XGBoostXGBRegressor", convert_xgboost),
    ):
        update_registered_converter(one, name, calculate_linear_regressor_output_shapes, convert)
    with_histograms(calculate_linear_classifier_output_shapes, calculate_linear_regressor_output_shapes)


def of_xgboost(job, model, columns):
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    types = [("input", FloatTensorType([None, columns.width]))]
    plain_booster(model if hasattr(model, "save_config") else model.get_booster())
    try:
        found = onnxmltools.convert_xgboost(
            model, initial_types=types, target_opset=min(job.opset or OPSET, OPSET)
        )
    except Exception as error:  # as above
        raise Refused("onnxmltools cannot convert this XGBoost model (%s)" % first(error))
    return found, "onnxmltools " + onnxmltools.__version__


def plain_booster(booster):
    """Made fit for onnxmltools, which knows trees only, and features by their numbers."""
    learner = json.loads(booster.save_config())["learner"]
    if learner["objective"]["name"] == "multi:softmax":
        booster.set_param({"objective": "multi:softprob"})  # which tells the shares too
    kind = learner["gradient_booster"]["name"]
    if kind != "gbtree":
        raise Refused("is an XGBoost model of kind %s, of which onnxmltools knows gbtree alone" % kind)
    if "c" in (booster.feature_types or ()):
        raise Refused("splits by category, which trees of ONNX do not: encode the categories as numbers")
    booster.feature_names = booster.feature_types = None


def of_lightgbm(job, model, columns):
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    types = [("input", FloatTensorType([None, columns.width]))]
    try:
        found = onnxmltools.convert_lightgbm(
            model, initial_types=types, target_opset=min(job.opset or OPSET, OPSET), zipmap=False
        )
    except Exception as error:  # as above
        raise Refused("onnxmltools cannot convert this LightGBM model (%s)" % first(error))
    return found, "onnxmltools " + onnxmltools.__version__


def ask(model, rows, outputs):
    """The estimator's answers in the order of the ONNX model's outputs."""
    package = type(model).__module__.partition(".")[0]
    if type(model).__name__ == "Booster":
        return of_booster(package, model, rows, outputs)
    if hasattr(model, "predict_proba") and "label" in outputs[0]:
        shares = model.predict_proba(rows)  # a list where several are answered at once
        whole = not isinstance(shares, list) or len(outputs) == 2
        return [model.predict(rows), *([np.asarray(shares)] if whole else shares)]
    if hasattr(model, "decision_function") and len(outputs) == 2:
        scores = model.decision_function(rows)
        return [
            model.predict(rows).reshape(-1, 1) if not hasattr(model, "classes_") else model.predict(rows),
            scores.reshape(len(rows), -1),
        ]
    if hasattr(model, "transform") and not hasattr(model, "predict"):
        return [model.transform(rows)]
    if hasattr(model, "cluster_centers_"):
        return [model.predict(rows), model.transform(rows)]
    found = np.asarray(model.predict(rows))
    return [found.reshape(len(rows), -1)]


def of_booster(package, model, rows, outputs):
    if package == "xgboost":
        import xgboost

        found = np.asarray(model.predict(xgboost.DMatrix(rows)))
    else:
        found = np.asarray(model.predict(rows))
    if len(outputs) == 1:
        return [found.reshape(len(rows), -1)]
    shares = np.stack([1 - found, found], axis=1) if found.ndim == 1 else found
    return [shares.argmax(axis=1), shares]


def first(error):
    return " ".join(str(error).split())[:200] or type(error).__name__


main(work)
