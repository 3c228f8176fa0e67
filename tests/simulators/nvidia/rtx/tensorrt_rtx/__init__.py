"""TensorRT-RTX as far as the plug-in uses it: builds without a GPU, for compute capabilities, and looks at headers."""

from enum import IntEnum

from nvidia_stand_in import building, running
from nvidia_stand_in.building import IOptimizationProfile, ITimingCache
from nvidia_stand_in.gpu import setting
from nvidia_stand_in.parsing import ILayer, INetworkDefinition, ITensor, OnnxParser, ParserError
from nvidia_stand_in.running import ICudaEngine, IExecutionContext
from nvidia_stand_in.words import *
from nvidia_stand_in.words import ILogger

__version__ = "1.7.1.116"


class BuilderFlag(IntEnum):
    DEBUG, TF32, REFIT = range(3)


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 0


class ComputeCapability(IntEnum):
    NONE, CURRENT, SM75, SM80, SM86, SM89, SM120, SM121 = 0, 1, 75, 80, 86, 89, 120, 121


class EngineValidity(IntEnum):
    VALID, SUBOPTIMAL, INVALID = range(3)


class EngineInvalidityDiagnostics(IntEnum):
    VERSION_MISMATCH, UNSUPPORTED_CC, OLD_CUDA_DRIVER, OLD_CUDA_RUNTIME = 1, 2, 4, 8
    INSUFFICIENT_GPU_MEMORY, MALFORMED_ENGINE, CUDA_ERROR = 16, 32, 64


class IBuilderConfig(building.IBuilderConfig):
    def __init__(self, builder):
        super().__init__(builder)
        self.num_compute_capabilities, self._wanted = 0, {}

    def set_compute_capability(self, compute_capability, index):
        if index >= self.num_compute_capabilities:
            return False
        self._wanted[index] = compute_capability
        return True

    def create_timing_cache(self, serialized_timing_cache):
        raise AssertionError("makes TensorRT-RTX look for a GPU, and is of no use to it")


class Builder(building.Builder):
    _version, _magic, _config, _anywhere = __version__, b"vtrt", IBuilderConfig, True

    def _compute(self, config):
        if not config._wanted:
            return super()._compute(config)
        number = int(config._wanted[0])
        return f"{number // 10}.{number % 10}"


class Runtime(running.Runtime):
    _version, _magic, engine_header_size = __version__, b"vtrt", 64

    def get_engine_validity(self, buffer):
        content, bits = bytes(buffer), 0
        if not content.startswith(self._magic) or len(content) < self.engine_header_size:
            bits |= EngineInvalidityDiagnostics.MALFORMED_ENGINE
        elif ".".join(map(str, content[24:28])) != self._version:
            bits |= EngineInvalidityDiagnostics.VERSION_MISMATCH
        elif content[32:40].rstrip(b"\0").decode() not in (setting("compute", "8.6"), "any"):
            bits |= EngineInvalidityDiagnostics.UNSUPPORTED_CC
        return (EngineValidity.INVALID if bits else EngineValidity.VALID), int(bits)
