"""What is converted: real models of the data folder, and synthetic ones that the frameworks themselves write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.testing.kaldi_networks import NETWORKS, OTHERS

DEMO = Path(__file__).parents[2] / "edgex_inference" / "demo" / "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`source` is a synthetic model, a real one lies below models/ of the data; `refused` is what is said."""

    toolchain: str
    what: str
    source: str
    arguments: tuple[str, ...] = ()
    real: bool = False
    refused: str = ""
    golden: str = ""
    """a model of the demo whose card and golden samples the result must fit"""

    @property
    def needs(self) -> frozenset[str]:
        """The toolchains that it takes: what TensorFlow's own converter does not do goes through ONNX."""
        further = (
            {"onnx2tf"} if self.arguments[:2] == TFLITE and self.toolchain != "tensorflow" else set[str]()
        )
        return frozenset({self.toolchain, *further})


TRUST, TFLITE, OPENVINO = ("--trust",), ("--to", "tflite"), ("--to", "openvino")
SHAPE = ("--shape", "1,3,32,32")

THIRD = ("--frame-subsampling-factor", "3")
_BY_THIRDS = ("chain", "LSTM both ways", "two distances", "counted frames", "statistics in periods")

BUILDERS: dict[str, Sequence[tuple[str, tuple[str, ...], dict[str, str]]]] = {
    "sklearn": [("sklearn_models.py", (), {})],
    "tensorflow": [("tensorflow_models.py", (), {})],
    "mxnet": [("mxnet_models.py", (), {})],
    "paddle": [
        ("paddle_models.py", ("new",), {}),
        ("paddle_models.py", ("old",), {"FLAGS_enable_pir_api": "0"}),
    ],
    "torch": [("torch_models.py", (), {})],
    "opencv": [("caffe_models.py", (), {})],
    "kaldi": [("kaldi_models.py", (), {})],
    "onnx2tf": [("onnx_models.py", (), {})],
}
"""Toolchain → script, its further arguments and variables."""


def _sklearn(name: str, what: str, *arguments: str, refused: str = "") -> Case:
    return Case(toolchain="sklearn", what=what, source=name, arguments=arguments, refused=refused)


def _tensorflow(name: str, what: str, *arguments: str, real: bool = False, refused: str = "") -> Case:
    return Case(
        toolchain="tensorflow", what=what, source=name, arguments=arguments, real=real, refused=refused
    )


def _torch(name: str, what: str, *arguments: str, refused: str = "") -> Case:
    return Case(toolchain="torch", what=what, source=name, arguments=arguments, refused=refused)


def _kaldi(name: str, what: str, *arguments: str) -> Case:
    return Case(toolchain="kaldi", what=what, source=name, arguments=arguments)


def _onnx(name: str, what: str, *arguments: str, real: bool = False, refused: str = "") -> Case:
    return Case(
        toolchain="onnx2tf",
        what=what,
        source=name,
        arguments=(*TFLITE, *arguments),
        real=real,
        refused=refused,
    )


CASES: Sequence[Case] = (
    _sklearn("logistic.joblib", "scikit-learn LogisticRegression", *TRUST),
    _sklearn("forest.joblib", "scikit-learn RandomForestClassifier", *TRUST),
    _sklearn("isolation.joblib", "scikit-learn IsolationForest", *TRUST),
    _sklearn("boosting.joblib", "scikit-learn GradientBoostingRegressor", *TRUST),
    _sklearn("oneclass.joblib", "scikit-learn OneClassSVM", *TRUST),
    _sklearn("ridge.joblib", "scikit-learn Ridge", *TRUST),
    _sklearn("kmeans.joblib", "scikit-learn KMeans", *TRUST),
    _sklearn("pca.joblib", "scikit-learn PCA", *TRUST),
    _sklearn("histtwo.joblib", "scikit-learn HistGradientBoostingClassifier, missing values", *TRUST),
    _sklearn("histthree.joblib", "scikit-learn HistGradientBoostingClassifier, three classes", *TRUST),
    _sklearn("histpipe.joblib", "scikit-learn HistGradientBoostingRegressor in a pipeline", *TRUST),
    _sklearn("histcounts.joblib", "scikit-learn HistGradientBoostingRegressor, Poisson", *TRUST),
    _sklearn(
        "histkinds.joblib",
        "scikit-learn HistGradientBoostingRegressor, categories",
        *TRUST,
        refused="splits by category",
    ),
    _sklearn("severalpipe.joblib", "scikit-learn MultiOutputClassifier, of three and two classes", *TRUST),
    _sklearn("severaltrees.joblib", "scikit-learn RandomForestClassifier, two answers", *TRUST),
    _sklearn("texts.joblib", "scikit-learn TfidfVectorizer, German words", *TRUST),
    _sklearn("xgbpipe.joblib", "XGBoost in a scikit-learn pipeline", *TRUST),
    _sklearn("lgbpipe.joblib", "LightGBM in a scikit-learn pipeline", *TRUST),
    _sklearn("xgb.json", "XGBoost, JSON, regression"),
    _sklearn("xgb.ubj", "XGBoost, UBJSON, three classes"),
    _sklearn("lgb.txt", "LightGBM, text, two classes"),
    _tensorflow("mlperf-tiny/ad01.h5", "Keras HDF5, AD01", real=True),
    _tensorflow("mlperf-tiny/kws_saved_model", "SavedModel, keyword spotting", real=True),
    _tensorflow("vitis/ae0.pb", "frozen graph, auto-encoder", real=True),
    _tensorflow("mlperf-tiny/ad01_int8.tflite", "TensorFlow Lite int8, AD01", real=True),
    _tensorflow("mlperf-tiny/ad01_fp32.tflite", "TensorFlow Lite, AD01", real=True),
    _tensorflow("mlperf-tiny/ad01.h5", "Keras HDF5, AD01", *TFLITE, real=True),
    _tensorflow("mlperf-tiny/kws_saved_model", "SavedModel, keyword spotting", *TFLITE, real=True),
    _tensorflow("mlperf-tiny/kws_saved_model", "SavedModel, keyword spotting", *OPENVINO, real=True),
    _tensorflow("vitis/ae0.pb", "frozen graph, auto-encoder", *OPENVINO, real=True),
    _tensorflow("two.keras", "Keras 3, two inputs and outputs"),
    _tensorflow("picture.keras", "Keras 3, pictures"),
    _tensorflow("picture.keras", "Keras 3, pictures", *OPENVINO),
    _tensorflow("two.keras", "Keras 3, two inputs and outputs", *TFLITE),
    _tensorflow("picture_saved", "SavedModel of Keras 3"),
    _tensorflow("two_saved", "SavedModel of Keras 3, two inputs and outputs", *TFLITE),
    _tensorflow("mixer_saved", "SavedModel of a module, two inputs and outputs"),
    _tensorflow("mixer_saved", "SavedModel of a module, two inputs and outputs", *TFLITE),
    _tensorflow("program.keras", "Keras 3 with a Lambda layer", refused="Lambda layer"),
    _torch("net.pt2", "torch.export"),
    _torch("net.pt2", "torch.export", *OPENVINO),
    _torch("net.pt2", "torch.export", *TFLITE),
    _torch("script.pt", "TorchScript", *SHAPE),
    _torch("script.pt", "TorchScript", *TFLITE, *SHAPE),
    _torch("state.pt", "weights and a factory", "--factory", "nets:small", *SHAPE),
    _torch("nets:small", "a factory alone", *SHAPE),
    _torch(
        "parallel.pt", "weights of a parallel training, in a checkpoint", "--factory", "nets:small", *SHAPE
    ),
    _torch("state.npz", "weights in numpy's .npz", "--factory", "nets:small", *SHAPE),
    _torch(
        "state.pt", "weights of another module", "--factory", "nets:other", *SHAPE, refused='"extra.weight"'
    ),
    _torch(
        "listed.pt", "TorchScript that takes a list", "--shape", "1,4", refused="takes xs as List[Tensor]"
    ),
    _torch("derived.pt2", "torch.export, sizes worked out of others", refused="worked out of others"),
    _torch("whole.pt", "a pickled module", refused="not weights alone"),
    _torch("trap.pt2", "torch.export with a program for weights", refused="say --trust"),
    Case(
        toolchain="mxnet",
        what="MXNet Gluon",
        source="cnn-symbol.json",
        arguments=("--shape", "data=1,3,32,32"),
    ),
    Case(
        toolchain="mxnet",
        what="MXNet Gluon",
        source="cnn-symbol.json",
        arguments=(*TFLITE, "--shape", "data=1,3,32,32"),
    ),
    Case(
        toolchain="mxnet",
        what="MXNet SoftmaxOutput",
        source="mlp-symbol.json",
        arguments=("--shape", "data=1,6"),
    ),
    Case(toolchain="paddle", what="Paddle 3 (PIR)", source="new.json"),
    Case(toolchain="paddle", what="Paddle .pdmodel", source="old.pdmodel"),
    Case(toolchain="paddle", what="Paddle .pdmodel", source="old.pdmodel", arguments=OPENVINO),
    Case(toolchain="paddle", what="Paddle .pdmodel", source="old.pdmodel", arguments=TFLITE),
    _onnx("face-rfb320/version-RFB-320.onnx", "ONNX, RFB-320", real=True),
    _onnx("fastestdet/FastestDet.onnx", "ONNX, FastestDet", real=True),
    Case(
        toolchain="onnx2tf",
        what="ONNX, part-detect of the demo, with its golden samples",
        source=str(DEMO / "part-detect/2026.11/part-detect.onnx"),
        arguments=TFLITE,
        golden="part-detect/2026.11",
    ),
    _onnx("several.onnx", "ONNX, two inputs and outputs alike"),
    _onnx("maps.onnx", "ONNX, a picture in and maps out"),
    _onnx("square.onnx", "ONNX, every axis alike"),
    _onnx("bytes.onnx", "ONNX, a picture of bytes in, label and scores out"),
    _onnx("sound.onnx", "ONNX, convolution over time, operator set 9"),
    _onnx("outside.onnx", "ONNX, weights beside it"),
    _onnx("open.onnx", "ONNX, a size that is said", "--shape", "x=1,3,20,30"),
    _onnx("open.onnx", "ONNX, a size that is left open", refused="leaves its size open"),
    _onnx("memory.onnx", "ONNX, LSTM"),
    _onnx("linear.onnx", "ONNX, operators of ai.onnx.ml", refused="operators that TensorFlow Lite lacks"),
    Case(toolchain="opencv", what="Caffe, RFB-320", source="face-rfb320/RFB-320.caffemodel", real=True),
    Case(
        toolchain="opencv",
        what="Caffe, RFB-320",
        source="face-rfb320/RFB-320.caffemodel",
        arguments=TFLITE,
        real=True,
    ),
    Case(toolchain="opencv", what="Caffe, MTCNN det1", source="mtcnn-caffe/det1.caffemodel", real=True),
    Case(toolchain="opencv", what="Caffe, MTCNN det2", source="mtcnn-caffe/det2.caffemodel", real=True),
    Case(toolchain="opencv", what="Caffe, MTCNN det3", source="mtcnn-caffe/det3.caffemodel", real=True),
    Case(toolchain="opencv", what="Caffe, SSD by centers", source="ssd centers.prototxt"),
    Case(toolchain="opencv", what="Caffe, SSD by corners", source="ssd corners.prototxt"),
    *(_kaldi(f"{name}.raw", f"Kaldi nnet3, {name}") for name in (*NETWORKS, *OTHERS)),
    _kaldi("LSTM both ways.raw", "Kaldi nnet3, LSTM both ways", *OPENVINO),
    _kaldi("LSTM -3.raw", "Kaldi nnet3, LSTM -3", "--edges", "cut"),
    *(_kaldi(f"{name}.raw", f"Kaldi nnet3, {name}", *THIRD) for name in _BY_THIRDS),
    _kaldi("chain.raw", "Kaldi nnet3, chain", *THIRD, "--edges", "cut"),
)
