"""AWS Inferentia and Trainium: TorchScript files that were traced for Neuron, by torch-neuronx or torch-neuron."""

from accelerators.neuron.options import Options
from accelerators.neuron.session import CURE, devices, load, placeholders, version
from edgex_inference.contracts.accelerator import NEURON, Accelerator, Level

PLUGIN = Accelerator(
    name="neuron",
    formats=frozenset({NEURON}),
    options=Options,
    level=Level.SIMULATED,
    extra="",
    cure=CURE,
    impostors=placeholders(),
    devices=devices,
    load=load,
    version=version,
    default_device="NEURON",
    isolation="process",
)
