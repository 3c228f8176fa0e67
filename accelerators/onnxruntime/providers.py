"""The execution providers that ONNX Runtime can have: their short names, what they run on, and what brings each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CPU = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"
_INSTEAD = "instead of onnxruntime"
_BESIDE = "beside onnxruntime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider: the device it runs on and how it is had, as one sentence's parts."""

    kind: Literal["cpu", "gpu", "npu", "other"]
    needs: str
    cure: str
    static: bool = False
    """Whether it takes graphs of fixed shapes only."""
    narrow: bool = False
    """Whether it computes whole numbers of 64 bits in 32."""

    @property
    def sentence(self) -> str:
        """What a person must do who wants it."""
        return f"it needs {self.needs}; {self.cure}"


PROVIDERS: Mapping[str, Provider] = {
    "CUDA": Provider(
        kind="gpu",
        needs="an NVIDIA GPU with its driver, CUDA 13 and cuDNN 9",
        cure=f"pip install onnxruntime-gpu {_INSTEAD}",
    ),
    "TENSORRT": Provider(
        kind="gpu",
        needs="an NVIDIA GPU with its driver, CUDA 13 and TensorRT",
        cure=f"pip install onnxruntime-gpu {_INSTEAD}, and tensorrt",
    ),
    "TENSORRT-RTX": Provider(
        kind="gpu",
        needs="an NVIDIA RTX GPU with its driver",
        cure=f"pip install onnxruntime-ep-nv-tensorrt-rtx {_BESIDE}",
    ),
    "MIGRAPHX": Provider(
        kind="gpu",
        needs="an AMD GPU with ROCm 7",
        cure=f"pip install onnxruntime-migraphx {_INSTEAD}",
    ),
    "OPENVINO": Provider(
        kind="other",
        needs="an Intel CPU, GPU or NPU",
        cure=f"pip install onnxruntime-ep-openvino {_BESIDE}, or use the accelerator openvino",
    ),
    "QNN": Provider(
        kind="npu",
        needs="a Qualcomm NPU, or its simulator on x86-64",
        cure=f"pip install onnxruntime-qnn {_BESIDE}",
        static=True,
        narrow=True,
    ),
    "WEBGPU": Provider(
        kind="gpu",
        needs="a GPU with a Vulkan driver",
        cure=f"pip install onnxruntime-ep-webgpu {_BESIDE}",
    ),
    "VITISAI": Provider(
        kind="npu",
        needs="an AMD Ryzen AI NPU or a board with a DPU",
        cure=f"install the onnxruntime of its board image or of AMD's Ryzen AI software {_INSTEAD}",
        static=True,
    ),
    "COREML": Provider(
        kind="npu",
        needs="a computer by Apple",
        cure="the onnxruntime for macOS has it",
    ),
    "DML": Provider(
        kind="gpu",
        needs="Windows and a GPU with DirectX 12",
        cure=f"pip install onnxruntime-directml {_INSTEAD}",
    ),
    "CANN": Provider(
        kind="npu",
        needs="a Huawei Ascend NPU with CANN",
        cure=f"pip install onnxruntime-cann {_INSTEAD}",
    ),
    "XNNPACK": Provider(
        kind="cpu",
        needs="a build of ONNX Runtime of your own (--use_xnnpack)",
        cure="use CPU, or the accelerator litert, which has XNNPACK",
    ),
    "DNNL": Provider(
        kind="cpu",
        needs="a build of ONNX Runtime of your own (--use_dnnl)",
        cure="use CPU",
    ),
    "RKNPU": Provider(
        kind="npu",
        needs="a Rockchip NPU",
        cure=f"install a build of ONNX Runtime with --use_rknpu {_INSTEAD}",
        static=True,
    ),
    "NNAPI": Provider(
        kind="npu",
        needs="Android",
        cure=f"install a build of ONNX Runtime with --use_nnapi {_INSTEAD}",
        static=True,
    ),
    "VSINPU": Provider(
        kind="npu",
        needs="a VeriSilicon NPU",
        cure=f"install a build of ONNX Runtime with --use_vsinpu {_INSTEAD}",
        static=True,
    ),
}
"""By the name behind the colon of `onnxruntime:CUDA`."""

RETIRED: Mapping[str, str] = {
    "ROCM": "ONNX Runtime ended its ROCm provider: use MIGRAPHX",
    "ACL": "ONNX Runtime ended its provider for the Arm Compute Library: use CPU",
    "ARMNN": "ONNX Runtime ended its Arm NN provider: use CPU",
    "TVM": "ONNX Runtime ended its TVM provider: use the accelerator tvm",
    "NUPHAR": "ONNX Runtime ended its Nuphar provider: use CPU",
}
"""Providers of earlier releases."""

UNSUITED = frozenset({"AzureExecutionProvider", "JsExecutionProvider", "WebNNExecutionProvider"})
"""Compiled into some builds, and of no use to a program in Python."""

_NAMES = {"NVTENSORRTRTX": "TENSORRT-RTX"}
_OTHERS = Provider(kind="other", needs="a build or a plug-in that brings it", cure="add a fallback")


def short(provider: str) -> str:
    """The name behind the colon: CUDA for CUDAExecutionProvider."""
    name = provider.removesuffix(_SUFFIX).upper()
    return _NAMES.get(name, name)


def written(name: str) -> str:
    """How a provider's full name is written here, as QNN for QNNExecutionProvider; empty where it is no such name."""
    plain = short(name.upper().removesuffix(_SUFFIX.upper()))
    there = plain == "CPU" or plain in PROVIDERS or plain in RETIRED
    return plain if there and plain != name.upper() else ""


def known(name: str) -> Provider:
    """What is known of a provider by its short name."""
    return PROVIDERS.get(name, _OTHERS)
