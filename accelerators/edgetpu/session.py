"""Every call into libedgetpu and LiteRT: which chips there are, opening one, and their errors in our words."""

import ctypes
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from types import ModuleType
from typing import Any

from accelerators.edgetpu.options import Options
from accelerators.tflite import COMPILED, Job, TfliteSession, sentence
from edgex_inference.contracts.accelerator import TFLITE_EDGETPU, InferenceDevice, LoadRequest, Session
from edgex_inference.contracts.errors import AcceleratorUnavailable, EdgexInferenceError, ModelRejected
from edgex_inference.contracts.vendor import in_use, load_vendor

NAME = "edgetpu"
LIBRARY = "libedgetpu.so.1"
ANY = "TPU"
_BUSES = ("PCI", "USB")
"""libedgetpu's own numbers of them."""

_DEVICE = re.compile(r"(TPU|USB|PCI)(?:\.(\d+))?")
_CURE = "install libedgetpu1-std, in a build for this LiteRT, or name the library in the option library"


class _Chip(ctypes.Structure):
    _fields_ = (("bus", ctypes.c_int), ("path", ctypes.c_char_p))


def version() -> str | None:
    """The version of the installed LiteRT, without importing it; None without one. libedgetpu is the system's."""
    try:
        return in_use("ai_edge_litert", distribution_version("ai-edge-litert"))
    except PackageNotFoundError:
        return None


def devices() -> Sequence[InferenceDevice]:
    """`TPU`, which is the first chip, and each chip by its bus; raises AcceleratorUnavailable where there is none."""
    _vendor()
    chips = _chips(_opened(LIBRARY), NAME)
    if not chips:
        raise AcceleratorUnavailable(NAME, f"{LIBRARY} finds no Edge TPU on this machine: plug one in")
    first = InferenceDevice(id=ANY, kind="tpu", name="the first of the chips below", vendor="Google")
    return [first, *chips]


def load(request: LoadRequest) -> Session:
    """Loads a file of Google's compiler onto a chip; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != TFLITE_EDGETPU:
        raise ModelRejected(request.path, f"{NAME} reads {TFLITE_EDGETPU}, not {request.format}")
    options = request.options if isinstance(request.options, Options) else Options()
    content = _content(request)
    vendor = _vendor()
    where = f"{NAME}:{request.device or ANY}"
    library = options.library or LIBRARY
    said = _said(where, request.device or ANY, _chips(_opened(library), where))

    def native() -> Any:
        try:
            delegate = vendor.load_delegate(library, {**options.delegate, "device": said})
        except (ValueError, OSError) as error:
            reason = f"{library} cannot open it: {sentence(error)}; is another process at it?"
            raise AcceleratorUnavailable(where, reason) from error
        threads = options.threads or request.threads or 1
        return vendor.Interpreter(
            model_content=content, num_threads=threads, experimental_delegates=[delegate]
        )

    job = Job(request=request, where=where, natives=native, parallel=1, home=ANY, loses=True)
    try:
        session = TfliteSession(job)
    except EdgexInferenceError:
        raise
    except Exception as error:
        raise ModelRejected(request.path, _reason(error)) from error
    if ANY not in session.traits.placement:
        session.close()
        reason = f"holds no {COMPILED}: compile it with edgetpu_compiler, or say format tflite and litert"
        raise ModelRejected(request.path, reason)
    return session


def _vendor() -> ModuleType:
    return load_vendor("ai_edge_litert.interpreter", accelerator=NAME, extra=NAME, attribute="load_delegate")


def _content(request: LoadRequest) -> bytes:
    try:
        content = request.path.read_bytes()  # never mapped: whoever writes there would change answers
    except OSError as error:
        raise ModelRejected(request.path, error.strerror or str(error)) from error
    if not content:
        raise ModelRejected(request.path, "the file is empty")
    return content


def _opened(library: str) -> ctypes.CDLL:
    """The library, which keeps the interpreter lock free while it works; raises AcceleratorUnavailable."""
    try:
        found = ctypes.CDLL(library)
    except OSError as error:
        missing = "No such file" in str(error) and library in str(error).partition(":")[0]
        reason = f"{library} is missing" if missing else f"{library} cannot be loaded: {sentence(error)}"
        raise AcceleratorUnavailable(NAME, f"{reason}: {_CURE}") from error
    if not hasattr(found, "edgetpu_list_devices") or not hasattr(found, "tflite_plugin_create_delegate"):
        raise AcceleratorUnavailable(NAME, f"{library} is no libedgetpu: {_CURE}")
    return found


def _chips(library: ctypes.CDLL, where: str) -> Sequence[InferenceDevice]:
    """The chips in the library's order: `USB`, `USB.1`, `PCI` …"""
    library.edgetpu_list_devices.restype = ctypes.POINTER(_Chip)
    library.edgetpu_list_devices.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
    library.edgetpu_free_devices.restype = None
    library.edgetpu_free_devices.argtypes = [ctypes.POINTER(_Chip)]
    amount = ctypes.c_size_t()
    chips = library.edgetpu_list_devices(ctypes.byref(amount))
    counts = dict.fromkeys(_BUSES, 0)
    found = []
    for number in range(amount.value):
        bus = _BUSES[chips[number].bus == 1]
        id_ = f"{bus}.{counts[bus]}" if counts[bus] else bus
        counts[bus] += 1
        path = (chips[number].path or b"").decode(errors="replace")
        connection = "USB" if bus == "USB" else "PCIe"
        found.append(InferenceDevice(id=id_, kind="tpu", name=path, vendor="Google", connection=connection))
    if chips:
        library.edgetpu_free_devices(chips)
    return found


def _said(where: str, device: str, chips: Sequence[InferenceDevice]) -> str:
    """The device as libedgetpu is told it; raises AcceleratorUnavailable when it is not there."""
    named = _DEVICE.fullmatch(device.upper())
    ids = [chip.id for chip in chips]
    number = int(named[2] or 0) if named is not None else 0
    bus = named[1] if named is not None else ""
    there = ids if bus == ANY else [id_ for id_ in ids if id_.partition(".")[0] == bus]
    if number >= len(there):
        found = ", ".join([ANY, *ids]) if ids else "no Edge TPU"
        raise AcceleratorUnavailable(
            where, f"not on this machine (found {found}); add a fallback or plug it in"
        )
    return f"{'' if bus == ANY else bus.lower()}:{number}"


def _reason(error: Exception) -> str:
    text = sentence(error)
    if "unresolved custom op" in text and COMPILED in text:
        return "the Edge TPU's library does not take its program: compile it for this chip and library"
    if "buffer" in text.lower() or "not a valid" in text.lower():
        return f"is no TFLite model, or only a part of one ({text}): copy or compile it again"
    return text
