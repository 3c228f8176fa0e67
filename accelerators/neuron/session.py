"""Every call into PyTorch and the Neuron runtime: which chips there are, loading, and errors in our words."""

import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from accelerators.neuron.options import Options, shape
from accelerators.pool import Pool
from edgex_inference.contracts.accelerator import (
    NEURON,
    InferenceDevice,
    LoadRequest,
    Session,
    Traits,
)
from edgex_inference.contracts.errors import (
    AcceleratorUnavailable,
    DeviceLost,
    EdgexInferenceError,
    InferenceFailed,
    ModelRejected,
    SignatureMismatch,
)
from edgex_inference.contracts.probing import declared_batch
from edgex_inference.contracts.tensors import Array, Datatype, Tensors, TensorSpec, misfit, nan_for_a_chip
from edgex_inference.contracts.vendor import load_vendor

NAME, ANY = "neuron", "NEURON"
STACKS = ("torch_neuronx", "torch_neuron")
"""Inferentia2 and Trainium first, then Inferentia1."""

SAID = "edgex-inference.json"
"""An extra file inside the archive: {"inputs": {name: "FP32[1, 4]"}, "outputs": {…}}."""

_NODES = Path("/dev")
_INDEX = "https://pip.repos.neuron.amazonaws.com"
CURE = f"install torch-neuronx (Inferentia2, Trainium) or torch-neuron (Inferentia1) from AWS's own index {_INDEX}"


_PLACEHOLDER = "PyPI's placeholder, which can run nothing: uninstall it"
_COMPILERS, _GUARDS = ("neuronx-cc", "neuron-cc", "libneuronxla"), ("1.0", "1.0.post1")
"""Parts of the stacks whose names PyPI has too, and the versions that these have there."""


def placeholders() -> Mapping[str, str]:
    """Packages of PyPI's that look like a stack, and of those that are here what looks like a part of one."""
    found = {name.replace("_", "-"): _PLACEHOLDER for name in STACKS}
    for name in _COMPILERS:
        try:
            installed = distribution_version(name)
        except PackageNotFoundError:
            continue
        if installed in _GUARDS:  # AWS's own would be of use once the rest is there
            found[name] = _PLACEHOLDER
    return found


def version() -> str | None:
    """The version of the installed stack, without importing it; None without one. PyPI's placeholders count as none."""
    for name in ("torch-neuronx", "torch-neuron"):
        try:
            found = distribution_version(name)
        except PackageNotFoundError:
            continue
        if not _is_placeholder(found):
            return found
    return None


def devices() -> Sequence[InferenceDevice]:
    """The Neuron devices of the machine; raises AcceleratorUnavailable where there is no stack or no device."""
    _vendors(NAME)
    nodes = _nodes()
    if not nodes:
        reason = (
            f"no {_NODES}/neuron0 on this machine: it is no inf1, inf2 or trn instance, or lacks the driver"
        )
        raise AcceleratorUnavailable(NAME, f"{reason} (aws-neuronx-dkms)")
    first = InferenceDevice(id=ANY, kind="npu", name="the runtime's choice of the chips below", vendor="AWS")
    named = [
        InferenceDevice(id=f"{ANY}.{number}", kind="npu", name=str(node), vendor="AWS", connection="PCIe")
        for number, node in enumerate(nodes)
    ]
    return [first, *named]


def load(request: LoadRequest) -> Session:
    """Loads a traced module onto NeuronCores; raises ModelRejected or AcceleratorUnavailable."""
    if request.format != NEURON:
        raise ModelRejected(request.path, f"{NAME} reads {NEURON}, not {request.format}")
    if request.precision not in ("f32", "native"):
        reason = f"the trace decides how exactly it computes, not {request.precision}: say f32 or native"
        raise ModelRejected(request.path, reason)
    device = request.device or ANY
    where = f"{NAME}:{device}"
    torch, stack = _vendors(where)
    _place(where, device)
    options = request.options if isinstance(request.options, Options) else Options()
    try:
        content = request.path.read_bytes()
    except OSError as error:
        raise ModelRejected(request.path, error.strerror or str(error)) from error
    if not content.startswith(b"PK"):
        raise ModelRejected(request.path, "is no TorchScript archive: trace and torch.jit.save it again")
    try:
        module, said = _opened(torch, request)
        inputs, outputs = _specs(request, options, said)
        if options.cores > 1:
            ids = list(range(options.cores))
            module = stack.DataParallel(module, device_ids=ids, dim=0, set_dynamic_batching=False)
        return _NeuronSession(request, where, torch, module, (inputs, outputs), options)
    except EdgexInferenceError:
        raise
    except Exception as error:
        raise _refusal(request, where, error) from error


class _NeuronSession:
    """One traced module; the runtime takes one call after the other for each core."""

    def __init__(
        self,
        request: LoadRequest,
        where: str,
        torch: ModuleType,
        module: Any,
        specs: tuple[Sequence[TensorSpec], Sequence[TensorSpec]],
        options: Options,
    ) -> None:
        self._model, self._where, self._torch, self._module = request.path.name, where, torch, module
        self.inputs, self.outputs = specs
        self.parallel = options.cores
        batch = declared_batch(self.inputs, self.outputs)
        self.traits = Traits(batch=batch, precision="f32", placement={ANY: 1})
        self.metadata: Mapping[str, str] = {}
        self._pool = Pool(self._model, range(self.parallel), "core")

    def infer(self, tensors: Tensors, *, timeout: float | None = None) -> Tensors:
        """Runs once; `timeout` bounds the wait for a free core."""
        unfit = misfit(self.inputs, tensors) or nan_for_a_chip(self.inputs, tensors)
        if unfit:
            raise SignatureMismatch(self._model, unfit)
        core, module = self._pool.take(timeout), self._module
        try:
            if module is None:
                raise InferenceFailed(f"model {self._model!r}: the session is closed")
            given = [self._torch.from_numpy(_own(tensors[spec.name])) for spec in self.inputs]
            with self._torch.no_grad():
                found = module(*given)
            return self._answers(found)
        except EdgexInferenceError:
            raise
        except Exception as error:
            raise self._failure(error) from error
        finally:
            self._pool.give(core)

    def close(self) -> None:
        """The runtime unloads the module with its last run."""
        self._pool.close()
        self._module = None

    def _answers(self, found: Any) -> Tensors:
        """A tensor, a sequence of them, or a map by name."""
        if isinstance(found, Mapping):
            parts = [found[spec.name] for spec in self.outputs]
        else:
            parts = list(found) if isinstance(found, tuple | list) else [found]
        if len(parts) != len(self.outputs):
            raise InferenceFailed(
                f"model {self._model!r}: it gives {len(parts)} outputs, {len(self.outputs)} are said"
            )
        arrays = [part.detach().cpu().numpy().copy() for part in parts]
        for spec, array in zip(self.outputs, arrays, strict=True):
            if array.dtype != spec.datatype.numpy or not spec.accepts(array.shape):
                raise InferenceFailed(
                    f"model {self._model!r}: {spec.name} is {array.dtype}{list(array.shape)}, said is {spec}"
                )
        return {spec.name: array for spec, array in zip(self.outputs, arrays, strict=True)}

    def _failure(self, error: Exception) -> EdgexInferenceError:
        text = _sentence(error)
        if "nrt" in text.lower() or "neuron" in text.lower():
            return DeviceLost(f"{self._where} is lost: {text}")
        return InferenceFailed(f"model {self._model!r} on {self._where}: {text}")


def _vendors(where: str) -> tuple[ModuleType, ModuleType]:
    """PyTorch and a Neuron stack; PyPI's packages of these names are placeholders that say so when imported."""
    reasons = []
    for name in STACKS:
        try:
            stack = load_vendor(name, accelerator=where, extra=NAME, attribute="trace")
            return load_vendor("torch", accelerator=where, extra=NAME, attribute="jit"), stack
        except AcceleratorUnavailable as error:
            if not error.reason.startswith(f"{name} is missing"):
                reasons.append(_trouble(name, error.reason))
    raise AcceleratorUnavailable(
        where, "; ".join([*reasons, CURE]) if reasons else f"no Neuron stack: {CURE}"
    )


def _trouble(name: str, reason: str) -> str:
    """What is wrong with an installed stack; the cure comes after it."""
    if "wrong package" in reason.lower() or "another product" in reason:
        return f"the installed {name.replace('_', '-')} is {_PLACEHOLDER}"
    return reason.partition(": pip install")[0]


def _is_placeholder(number: str) -> bool:
    """PyPI's guards of these names have versions that AWS never released."""
    return number == "1.0" or number.startswith(("0.", "1.0.", "99."))


def _nodes() -> Sequence[Path]:
    return sorted(_NODES.glob("neuron[0-9]*"))


def _place(where: str, device: str) -> None:
    """Chooses the chip before the runtime starts, which happens once in a process; raises AcceleratorUnavailable."""
    name, _, number = device.upper().partition(".")
    there = len(_nodes())
    if name != ANY or not (number or "0").isdigit() or int(number or 0) >= max(1, there):
        found = ", ".join([ANY, *(f"{ANY}.{index}" for index in range(there))])
        raise AcceleratorUnavailable(where, f"not on this machine (found {found}); add a fallback")
    if number:
        os.environ.setdefault("NEURON_RT_VISIBLE_CORES", number)


def _opened(torch: ModuleType, request: LoadRequest) -> tuple[Any, Mapping[str, Mapping[str, str]]]:
    """The module, and what the archive says of its tensors."""
    extra = {SAID: ""}
    module = torch.jit.load(str(request.path), _extra_files=extra)
    text = extra[SAID]
    if not text:
        return module, {}
    try:
        said = json.loads(text)
        return module, {key: dict(said[key]) for key in ("inputs", "outputs")}
    except (ValueError, KeyError, TypeError) as error:
        raise ModelRejected(request.path, f"its {SAID} cannot be read: {error}") from error


def _specs(
    request: LoadRequest, options: Options, said: Mapping[str, Mapping[str, str]]
) -> tuple[Sequence[TensorSpec], Sequence[TensorSpec]]:
    found = []
    for key, own in (("inputs", options.inputs), ("outputs", options.outputs)):
        named = own or said.get(key, {})
        if not named:
            reason = f"says neither names nor shapes of its {key}: write options.{key}, such as {{x: 'FP32[1, 4]'}}"
            raise ModelRejected(request.path, reason, block=("accelerator", "options", key))
        try:
            read = [(name, *shape(name, text)) for name, text in named.items()]
        except ValueError as error:
            raise ModelRejected(request.path, f"{SAID}: {error}") from error
        found.append(
            tuple(
                TensorSpec(name=name, datatype=Datatype(kind), shape=extents) for name, kind, extents in read
            )
        )
    return found[0], found[1]


def _own(array: Array) -> Array:
    """Contiguous and writable, as PyTorch wants what it borrows."""
    fits = array.flags.c_contiguous and array.flags.writeable
    return array if fits else np.array(array, order="C")


def _refusal(request: LoadRequest, where: str, error: Exception) -> EdgexInferenceError:
    text = _sentence(error)
    lower = text.lower()
    if "unknown type name" in lower or "neuron::" in lower or "neff" in lower:
        return ModelRejected(
            request.path, f"was traced for another Neuron stack or chip ({text}): trace it for this one"
        )
    if "nrt" in lower or "no neuron device" in lower:
        return AcceleratorUnavailable(where, text)
    return ModelRejected(request.path, text)


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:400]
