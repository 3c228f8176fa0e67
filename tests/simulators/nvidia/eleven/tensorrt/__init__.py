"""TensorRT 11 as far as the plug-in uses it: networks are strongly typed, precision is a matter of the file."""

from enum import IntEnum

from nvidia_stand_in import building, running
from nvidia_stand_in.building import IBuilderConfig, IOptimizationProfile, ITimingCache
from nvidia_stand_in.parsing import ILayer, INetworkDefinition, ITensor, OnnxParser, ParserError
from nvidia_stand_in.running import ICudaEngine, IExecutionContext
from nvidia_stand_in.words import *
from nvidia_stand_in.words import ILogger

__version__ = "11.4.0.106"


class BuilderFlag(IntEnum):
    DEBUG, TF32, REFIT = range(3)


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 0


class Builder(building.Builder):
    _version, _magic = __version__, b"ftrt"


class Runtime(running.Runtime):
    _version, _magic = __version__, b"ftrt"
