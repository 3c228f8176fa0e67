"""The kinds of model files that are recognized: what they are called, what becomes of them, and what else helps."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from edgex_inference.contracts.accelerator import (
    ONNX,
    OPENVINO_IR,
    PADDLE,
    TENSORFLOW,
    TFLITE,
    TFLITE_EDGETPU,
    XMODEL,
    Format,
)


class Kind(StrEnum):
    """What a file or folder holds, finer than a Format: how it is read is decided by this."""

    ONNX = "onnx"
    OPENVINO_IR = "openvino-ir"
    TFLITE = "tflite"
    TFLITE_EDGETPU = "tflite-edgetpu"
    XMODEL = "xmodel"
    SAVED_MODEL = "tf-saved-model"
    FROZEN = "tf-frozen"
    KERAS_H5 = "keras-h5"
    KERAS = "keras"
    TORCH_EXPORT = "torch-export"
    TORCHSCRIPT = "torchscript"
    TORCH_FACTORY = "torch-factory"
    TORCH_WEIGHTS = "torch-weights"
    CAFFE = "caffe"
    MXNET = "mxnet"
    KALDI = "kaldi"
    PADDLE = "paddle"
    PADDLE_PIR = "paddle-pir"
    PICKLE = "pickle"
    XGBOOST = "xgboost"
    LIGHTGBM = "lightgbm"
    CHECKPOINT = "tf-checkpoint"
    HDF5_WEIGHTS = "hdf5-weights"
    TFJS = "tfjs"
    COREML = "coreml"
    SAFETENSORS = "safetensors"
    GGUF = "gguf"
    NCNN = "ncnn"
    DARKNET = "darknet"
    PMML = "pmml"
    NUMPY = "numpy"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A kind in a person's words; `nearest` is the way that works where it cannot be converted itself."""

    label: str
    format: Format | None = None
    """what accelerators call it, where some load it as it is"""
    nearest: str = ""
    companion: str = ""
    """what must lie beside it"""


_TRAINER = "in the program that trained it"

ABOUT: Mapping[Kind, About] = {
    Kind.ONNX: About(label="an ONNX model", format=ONNX),
    Kind.OPENVINO_IR: About(
        label="an OpenVINO IR model",
        format=OPENVINO_IR,
        nearest="openvino runs it as it is: `edgex-inference model add FILE`; "
        "for other accelerators convert the model that it was made from",
        companion=".bin",
    ),
    Kind.TFLITE: About(label="a TensorFlow Lite model", format=TFLITE),
    Kind.TFLITE_EDGETPU: About(
        label="a TensorFlow Lite model that is compiled for the Edge TPU",
        format=TFLITE_EDGETPU,
        nearest="edgetpu runs it as it is: `edgex-inference model add FILE`; convert the .tflite it was compiled from",
    ),
    Kind.XMODEL: About(
        label="a model compiled for a Xilinx DPU",
        format=XMODEL,
        nearest="vitisai runs it as it is: `edgex-inference model add FILE`; convert the model it was compiled from",
    ),
    Kind.SAVED_MODEL: About(label="a TensorFlow SavedModel", format=TENSORFLOW),
    Kind.FROZEN: About(label="a frozen TensorFlow graph", format=TENSORFLOW),
    Kind.KERAS_H5: About(label="a Keras model in HDF5"),
    Kind.KERAS: About(label="a Keras 3 model"),
    Kind.TORCH_EXPORT: About(label="a program of torch.export"),
    Kind.TORCHSCRIPT: About(label="a TorchScript model"),
    Kind.TORCH_FACTORY: About(label="a PyTorch module made by a function"),
    Kind.TORCH_WEIGHTS: About(
        label="weights of a PyTorch module without its program",
        nearest="say the function that makes the module: `--factory module:function`; or export it "
        f"{_TRAINER}: torch.export.save(torch.export.export(module, inputs), 'model.pt2')",
    ),
    Kind.CAFFE: About(label="a Caffe model", companion=".caffemodel and .prototxt"),
    Kind.MXNET: About(label="an MXNet model", companion="-symbol.json and -0000.params"),
    Kind.KALDI: About(label="a Kaldi model"),
    Kind.PADDLE: About(label="a Paddle model", format=PADDLE, companion=".pdiparams"),
    Kind.PADDLE_PIR: About(label="a Paddle 3 program", companion=".pdiparams"),
    Kind.PICKLE: About(label="a Python pickle"),
    Kind.XGBOOST: About(label="an XGBoost model"),
    Kind.LIGHTGBM: About(label="a LightGBM model"),
    Kind.CHECKPOINT: About(
        label="a TensorFlow checkpoint (variables without their graph)",
        nearest=f"save the model {_TRAINER}: model.export('folder') or tf.saved_model.save(model, 'folder')",
    ),
    Kind.HDF5_WEIGHTS: About(
        label="an HDF5 file without a model in it (weights alone, or another program's data)",
        nearest=f"save the whole model {_TRAINER}: model.save('model.keras')",
    ),
    Kind.TFJS: About(
        label="a TensorFlow.js model",
        nearest="convert the Keras model or SavedModel that it was made from",
    ),
    Kind.COREML: About(
        label="a Core ML model",
        nearest="convert the model that it was made from: Core ML's own tools convert to Core ML only",
    ),
    Kind.SAFETENSORS: About(
        label="safetensors (weights without their program)",
        nearest="say the function that makes the module: `--factory module:function`",
    ),
    Kind.GGUF: About(
        label="a GGUF language model",
        nearest="serve it with a server for language models and bind that with the accelerator `remote`",
    ),
    Kind.NCNN: About(
        label="an ncnn model",
        nearest="convert the model that it was made from: there is no way back from ncnn",
    ),
    Kind.DARKNET: About(
        label="a Darknet model",
        nearest="take the same network from a program that exports ONNX",
    ),
    Kind.PMML: About(
        label="a PMML document",
        nearest=f"write ONNX {_TRAINER}: skl2onnx for scikit-learn, onnxmltools for Spark and boosters",
    ),
    Kind.NUMPY: About(
        label="numpy arrays without a program",
        nearest="say the function that makes the module: `--factory module:function`",
    ),
}
