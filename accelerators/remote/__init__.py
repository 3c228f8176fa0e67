"""Remote: a model on another machine, spoken to by the Open Inference Protocol over REST or gRPC."""

from accelerators.remote.options import Options
from accelerators.remote.session import DEVICE, devices, load, version
from edgex_inference.contracts.accelerator import REMOTE, Accelerator, Level

PLUGIN = Accelerator(
    name="remote",
    formats=frozenset({REMOTE}),
    options=Options,
    level=Level.PROVEN,
    extra="remote",
    devices=devices,
    load=load,
    version=version,
    default_device=DEVICE,
    automatic=False,
    device_options=frozenset({"url"}),
    fileless=True,
)
