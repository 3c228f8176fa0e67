"""Our program on EdgeX's official application SDK (tests/peers/edgex*-bench) as a process in a folder of its own."""

import importlib.util
import json
import sys
from pathlib import Path

from tests.bench.outside import Process

sys.path.append(str(Path(__file__).parents[1]))  # where the tests find `official`

from official import settings
from official.line import Line
from official.process import OfficialService, free_port

KEY = "app-bench"


class OfficialInference(OfficialService):
    """Answers the events below PREFIX/events/device/ under PREFIX/results/."""

    def __init__(
        self, program: Path, folder: Path, *, broker: int, metadata: int, model: Path, prefix: str
    ) -> None:
        environment = {"BENCH_MODEL": str(model), "BENCH_ONNXRUNTIME": str(onnxruntime_library())}
        super().__init__(program, folder, environment)
        (folder / "res").mkdir(parents=True)
        line = Line(kind="mqtt", port=broker)
        common = settings.common(line, metadata)
        common["all-services"]["MessageBus"]["BaseTopicPrefix"] = prefix
        (folder / "common.yaml").write_text(json.dumps(common))
        own = settings.audience(KEY, free_port(), line, "events/device/#")
        own["Writable"]["LogLevel"] = "INFO"  # EdgeX's default
        own["Trigger"]["PublishTopic"] = "results/{profilename}-inference/{devicename}/Health"
        (folder / "res" / "configuration.yaml").write_text(json.dumps(own))

    def start(self) -> Process:
        """Returns when it has said that it started."""
        self.launch([f"-cc={self._folder / 'common.yaml'}"])
        self.said(f"{KEY} started")
        return Process(self.pid)


def onnxruntime_library() -> Path:
    """The shared library inside the wheel, which Python's own sessions use too."""
    found = importlib.util.find_spec("onnxruntime")
    if found is None or found.origin is None:
        raise FileNotFoundError("onnxruntime is not installed")
    (library,) = (Path(found.origin).parent / "capi").glob("libonnxruntime.so.*")
    return library
