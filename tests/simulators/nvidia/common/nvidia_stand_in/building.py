"""The builder: an engine of the stand-in is a header, a description, and the ONNX model itself."""

import json

from nvidia_stand_in.gpu import setting
from nvidia_stand_in.parsing import INetworkDefinition
from nvidia_stand_in.words import IHostMemory, complain

HEADER = 64


class IOptimizationProfile:
    def __init__(self):
        self._shapes = {}

    def set_shape(self, input, min, opt, max):
        self._shapes[input] = [list(min), list(opt), list(max)]


class ITimingCache:
    def __init__(self, content):
        self._content = content

    def serialize(self):
        return IHostMemory(self._content)


class IBuilderConfig:
    def __init__(self, builder):
        self._builder, self._cache = builder, None
        self._flags, self._profiles, self._pools = {"TF32"}, [], {}
        self.builder_optimization_level, self.hardware_compatibility_level = 3, 0
        self.progress_monitor = None

    def set_flag(self, flag):
        self._flags.add(flag.name)

    def clear_flag(self, flag):
        self._flags.discard(flag.name)

    def set_memory_pool_limit(self, pool, pool_size):
        self._pools[pool] = pool_size

    def add_optimization_profile(self, profile):
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache):
        head = f"timing {self._builder._version} {setting('compute', '8.6')}\n".encode()
        known = bytes(serialized_timing_cache)
        if known and not known.startswith(head):
            complain(self._builder._logger, "Timing cache disabled: its header does not fit")
            return None
        return ITimingCache(known or head)

    def set_timing_cache(self, cache, ignore_mismatch):
        self._cache = cache
        return True

    def get_timing_cache(self):
        return self._cache


class Builder:
    """Of one flavor: its version, magic, config and whether it builds without a GPU are its own."""

    _version, _magic, _config, _anywhere = "", b"", IBuilderConfig, False

    def __init__(self, logger):
        assert logger.ready
        if setting("driver") == "absent" and not self._anywhere:
            complain(
                logger, "CUDA initialization failure with error: 35. Please check your CUDA installation"
            )
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self, flags=0):
        return INetworkDefinition(flags)

    def create_builder_config(self):
        return self._config(self)

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        said = self._objection(network, config)
        if said:
            complain(self._logger, said)
            return None
        monitor = config.progress_monitor
        if monitor is not None:
            assert monitor.ready
            monitor.phase_start("Building engine", None, 2)
            monitor.phase_start("Tactic selection", "Building engine", 1)
            monitor.step_complete("Tactic selection", 0)
            monitor.phase_finish("Tactic selection")
            monitor.step_complete("Building engine", 0)
            monitor.step_complete("Building engine", 1)
            monitor.phase_finish("Building engine")
        if config.get_timing_cache() is not None:
            config.get_timing_cache()._content += b"."
        return IHostMemory(self._header(config) + self._body(network, config))

    def _objection(self, network, config):
        where = "IBuilder::buildSerializedNetwork: Error Code"
        if setting("fault") == "build":
            return f"{where} 2: OutOfMemory (Requested size was 1073741824 bytes.)"
        if not network.num_outputs:
            return (
                f"{where} 4: API Usage Error (Network must have at least one output. In validate at /x.cpp:1)"
            )
        if config._profiles:
            return ""
        open_ = [n for n in range(network.num_inputs) if -1 in network.get_input(n).shape]
        said = "Network has dynamic or shape inputs, but no optimization profile has been defined."
        return f"{where} 4: API Usage Error ({said})" if open_ else ""

    def _header(self, config):
        version = bytes(int(part) for part in self._version.split("."))
        compute = self._compute(config).encode().ljust(8, b"\0")
        return (self._magic.ljust(24, b"\0") + version + b"\0" * 4 + compute).ljust(HEADER, b"\0")

    def _compute(self, config):
        return "any" if config.hardware_compatibility_level else setting("compute", "8.6")

    def _body(self, network, config):
        inputs = {network.get_input(n).name: network.get_input(n).shape for n in range(network.num_inputs)}
        shapes = config._profiles[0]._shapes if config._profiles else {}
        typed = bool(network._flags)
        said = {"inputs": inputs, "profile": shapes, "flags": sorted(config._flags), "typed": typed}
        text = json.dumps(said).encode()
        return len(text).to_bytes(4, "little") + text + network._model.SerializeToString()
