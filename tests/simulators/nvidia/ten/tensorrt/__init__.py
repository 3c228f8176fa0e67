"""TensorRT 10 as far as the plug-in uses it: precision is a matter of flags."""

from enum import IntEnum

from nvidia_stand_in import building, running
from nvidia_stand_in.building import IBuilderConfig, IOptimizationProfile, ITimingCache
from nvidia_stand_in.parsing import ILayer, INetworkDefinition, ITensor, OnnxParser, ParserError
from nvidia_stand_in.running import ICudaEngine, IExecutionContext
from nvidia_stand_in.words import *
from nvidia_stand_in.words import ILogger

__version__ = "10.13.3.9"


class BuilderFlag(IntEnum):
    FP16, INT8, DEBUG, TF32, BF16 = range(5)


class NetworkDefinitionCreationFlag(IntEnum):
    EXPLICIT_BATCH, STRONGLY_TYPED = range(2)


class Builder(building.Builder):
    _version, _magic = __version__, b"ftrt"


class Runtime(running.Runtime):
    _version, _magic = __version__, b"ftrt"
