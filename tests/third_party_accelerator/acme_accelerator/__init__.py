"""An accelerator by somebody else: it runs straight lines on imaginary silicon."""

from collections.abc import Sequence
from dataclasses import dataclass

from acme_accelerator.session import ACME, load
from edgex_inference.contracts.accelerator import Accelerator, InferenceDevice, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeOptions:
    """What a binding may say to it."""

    clock_mhz: int = 400


def _devices() -> Sequence[InferenceDevice]:
    return (InferenceDevice(id="ONE", kind="tpu", vendor="Acme", connection="USB"),)


def _version() -> str | None:
    return "1.2"


PLUGIN = Accelerator(
    name="acme",
    formats=frozenset({ACME}),
    options=AcmeOptions,
    level=Level.SIMULATED,
    extra="",
    devices=_devices,
    load=load,
    version=_version,
    default_device="ONE",
)
