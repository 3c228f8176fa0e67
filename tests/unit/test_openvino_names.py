"""What OpenVINO's device names become on machines that are not here, and what is left of its errors."""

import pytest

from accelerators.openvino.devices import described, target
from accelerators.openvino.words import says_absent, says_lost, sentence
from edgex_inference.contracts.errors import AcceleratorUnavailable

ALL = ["CPU", "GPU.0", "GPU.1", "NPU"]
ONE = ["CPU", "GPU"]


@pytest.mark.parametrize(
    ("device", "available", "native"),
    [
        ("cpu", ALL, "CPU"),
        ("GPU", ALL, "GPU"),
        ("gpu.1", ALL, "GPU.1"),
        ("GPU.0", ONE, "GPU.0"),
        ("AUTO", ALL, "AUTO:GPU.0,GPU.1,NPU,CPU"),
        ("AUTO:NPU,GPU,CPU", ONE, "AUTO:GPU,CPU"),
        ("AUTO:GPU,CPU", ["CPU"], "AUTO:CPU"),
        ("AUTO:-GPU", ALL, "AUTO:NPU,CPU"),
        ("AUTO:-GPU.1,-NPU", ALL, "AUTO:GPU.0,CPU"),
        ("HETERO:GPU,CPU", ALL, "HETERO:GPU,CPU"),
        ("HETERO", ["CPU"], "HETERO:CPU"),
        ("BATCH:GPU(8)", ONE, "BATCH:GPU(8)"),
        ("BATCH", ONE, "BATCH:GPU"),
        ("MULTI: GPU.0, GPU.1", ALL, "MULTI:GPU.0,GPU.1"),
    ],
)
def test_names_become_what_the_machine_has(device: str, available: list[str], native: str) -> None:
    found = target(device, available)
    assert (found.id, found.native) == (device, native)


@pytest.mark.parametrize(
    "device", ["NPU", "GPU.1", "CPU.0", "AUTO:NPU", "AUTO:-CPU,-GPU", "BATCH:NPU(4)", "GPU:0", ""]
)
def test_names_that_the_machine_lacks(device: str) -> None:
    cure = "it needs an Intel NPU and its driver .*; add" if device == "NPU" else "add"
    with pytest.raises(
        AcceleratorUnavailable, match=rf"not on this machine \(found CPU, GPU\); {cure} a fallback"
    ):
        target(device, ONE)


def test_a_retired_name_that_a_plugins_file_brings_is_a_device() -> None:
    assert target("FPGA", ["CPU", "FPGA"]).native == "FPGA"


def test_devices_are_described() -> None:
    found = described(
        {"CPU": "AMD EPYC", "GPU.1": "Intel Arc", "NPU": "Intel AI Boost", "FPGA": "Agilex", "ODD": "?"}
    )
    assert [(one.id, one.kind, one.vendor) for one in found][:5] == [
        ("CPU", "cpu", ""),
        ("GPU.1", "gpu", "Intel"),
        ("NPU", "npu", "Intel"),
        ("FPGA", "fpga", ""),
        ("ODD", "other", ""),
    ]
    assert [one.id for one in found][5:] == ["AUTO", "HETERO", "BATCH", "MULTI"]


LIBRARY = (
    "Exception from src/inference/src/cpp/core.cpp:132:\n"
    'Cannot load library "/opt/libs/libopenvino_intel_gpu_plugin.so": libOpenCL.so.1: cannot open it: '
    "No such file\n"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Exception from src/inference/src/cpp/core.cpp:84:\nCheck 'a.count()' failed at src/f/front.cpp:2:\n"
            "FrontEnd API failed with OpConversionFailure:\nNo translator found for edgetpu-custom-op node.\n\n\n",
            "No translator found for edgetpu-custom-op node.",
        ),
        (
            LIBRARY,
            "libopenvino_intel_gpu_plugin.so cannot be loaded: cannot open it: No such file",
        ),
        ("Exception from src/plugins/auto/src/plugin.cpp:7: no device", "no device"),
        ("", "RuntimeError"),
        ("x" * 900, f"{'x' * 200} … {'x' * 190}"),
    ],
)
def test_the_last_useful_line_is_what_is_said(text: str, said: str) -> None:
    assert sentence(RuntimeError(text)) == said


def test_absent_and_lost_are_told_apart() -> None:
    assert says_absent(RuntimeError(LIBRARY))
    assert not says_lost(RuntimeError(LIBRARY))
    assert says_lost(RuntimeError("[GPU] clFinish, error code: -5 CL_OUT_OF_RESOURCES"))
    assert not says_absent(RuntimeError("shape mismatch"))
