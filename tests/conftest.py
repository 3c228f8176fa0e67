"""Fixtures that every test may use."""

import importlib.util
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""With it each of the many processes that tests start compiles all of us again, half of its time until it is up."""

if importlib.util.find_spec("hypothesis") is not None:
    from hypothesis import HealthCheck, settings

    # how long an example takes is the machine's business: where others work too, one of thousands takes a second
    settings.register_profile("busy", deadline=None, suppress_health_check=(HealthCheck.too_slow,))
    settings.load_profile("busy")

STRICT = os.environ.get("EDGEX_INFERENCE_STRICT") == "1"


def skip_or_fail(reason: str) -> None:
    """Skips with the reason; under EDGEX_INFERENCE_STRICT=1 a missing server or runtime is a failure."""
    if STRICT:
        pytest.fail(f"strict: {reason}")
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="session")
def no_choice() -> Iterator[None]:
    """`auto` has no choice unless a test gives it one: what is quickest differs from machine to machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INFERENCE_AUTOACCELERATORS", "onnxruntime,litert")
        yield


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """A service that a test runs in this process sets the level of our logs: the next test has it as it was."""
    ours = [logging.getLogger(name) for name in ("edgex_inference", "accelerators")]
    before = [one.level for one in ours]
    yield
    for one, known in zip(ours, before, strict=True):
        one.setLevel(known)


@pytest.fixture
def needs() -> Callable[..., None]:
    """`needs("openvino")`: skips with the reason, or fails where everything must be there, without these modules."""

    def missing(*modules: str) -> None:
        for module in modules:
            if importlib.util.find_spec(module) is None:
                skip_or_fail(f"{module} is not installed")

    return missing


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real models, pictures and messages; tests that need it are skipped without it."""
    folder = os.environ.get("EDGEX_INFERENCE_TESTDATA")
    if not folder:
        pytest.skip("EDGEX_INFERENCE_TESTDATA is not set: real models, pictures and messages are not at hand")
    path = Path(folder)
    assert path.is_dir(), f"EDGEX_INFERENCE_TESTDATA={folder} is no folder"
    return path


def _neighbor(name: str) -> Any:
    """The module of that name in this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def edgetpu(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`edgetpu(fault="none", chips=2)`: the simulated libedgetpu of tests/edgetpu_library.py, built once for each.

    Its attribute `program` makes what a model for it holds.
    """
    module = _neighbor("edgetpu_library")
    built: dict[tuple[str, int], Path] = {}

    def library(fault: str = "none", chips: int = 2) -> Path:
        if (fault, chips) not in built:
            folder = tmp_path_factory.mktemp("edgetpu") / f"{fault}-{chips}"
            try:
                built[fault, chips] = module.build(folder, fault=fault, chips=chips)
            except module.CompilerUnavailable as error:
                skip_or_fail(str(error))
        return built[fault, chips]

    library.program = module.program  # type: ignore[attr-defined]
    return library


@pytest.fixture
def nvidia(monkeypatch: pytest.MonkeyPatch, needs: Callable[..., None]) -> Iterator[Callable[..., Any]]:
    """`nvidia("eleven", gpus=2, fault=700)`: the CUDA and TensorRT of tests/simulators/nvidia are what is installed.

    Flavors are `ten`, `eleven` and `rtx`; further calls change what goes wrong. Gives the module of the GPUs.
    """
    needs("onnx")
    folder, ours = Path(__file__).parent / "simulators" / "nvidia", ("tensorrt", "cuda", "nvidia_stand_in")
    kept = {name: module for name, module in sys.modules.items() if name.startswith(ours)}

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith(ours)]:
            del sys.modules[name]

    def here(flavor: str = "", **settings: object) -> Any:
        if flavor:
            forget()
            sys.path[:] = [path for path in sys.path if not path.startswith(str(folder))]
            for part in ("common", flavor):
                monkeypatch.syspath_prepend(str(folder / part))
        said = " ".join(f"{name}={value}" for name, value in settings.items())
        monkeypatch.setenv("NVIDIA_STAND_IN", said)
        return importlib.import_module("nvidia_stand_in.gpu")

    yield here
    forget()
    sys.modules.update(kept)


@pytest.fixture(scope="session")
def official() -> Any:
    """The package tests/official: modules `line`, `services`, `cell`; `program(generation, name)` builds one."""
    folder = Path(__file__).with_name("official")
    if "official" not in sys.modules:
        spec = importlib.util.spec_from_file_location("official", folder / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules["official"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["official"])
    for name in ("line", "services", "cell"):
        importlib.import_module(f"official.{name}")
    judge = _neighbor("judge")

    def program(generation: str, name: str) -> Path:
        try:
            built: Path = judge.program(generation, name)
        except judge.PeersUnavailable as error:
            skip_or_fail(str(error))
        return built

    package: Any = sys.modules["official"]
    package.program = program
    return package


@pytest.fixture
def load_neighbor() -> Callable[[str], Any]:
    """`load_neighbor("name")`: the module of that name in this folder, loaded anew."""
    return _neighbor


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`mosquitto(*config lines, anonymous=True, port=0)`: a started Mosquitto of tests/mosquitto.py, stopped later."""
    module = _neighbor("mosquitto")
    started: list[Any] = []

    def start(*lines: str, **options: Any) -> Any:
        try:
            broker = module.Mosquitto(tmp_path, *lines, **options)
        except module.MosquittoUnavailable as error:
            skip_or_fail(str(error))
        started.append(broker)
        broker.start()
        return broker

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def run_server(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`run_server("Redis" | "Nats", *config lines, …)`: a started server of tests/servers.py, stopped later."""
    module = _neighbor("servers")
    started: list[Any] = []

    def start(kind: str, *lines: str, **options: Any) -> Any:
        try:
            one = getattr(module, kind)(tmp_path, *lines, **options)
        except module.ServerUnavailable as error:
            skip_or_fail(str(error))
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def judge() -> Callable[..., list[Any]]:
    """`judge(generation, messages, bare=…, environment=…)` of tests/judge.py: EdgeX's own verdict on each message."""
    module = _neighbor("judge")
    try:
        for generation in module.GENERATIONS:
            module.program(generation, "judge")
    except module.PeersUnavailable as error:
        skip_or_fail(str(error))
    found: Callable[..., list[Any]] = module.judge
    return found


@pytest.fixture(scope="session")
def judge_documents(judge: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """`judge_documents(generation, kind, documents)` of tests/judge.py."""
    found: Callable[..., list[Any]] = _neighbor("judge").judge_documents
    return found


@pytest.fixture
def metadata() -> Iterator[Callable[..., Any]]:
    """`metadata(bus port, version="4.0.2", port=0)`: a MetadataThread of tests/metadata_thread.py, closed later."""
    module = _neighbor("metadata_thread")
    started: list[Any] = []

    def start(bus: int, **options: Any) -> Any:
        started.append(module.MetadataThread(bus, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def keeper() -> Iterator[Callable[..., Any]]:
    """`keeper(bus port, common={part: tree})`: a KeeperThread of tests/keeper_thread.py, closed later."""
    module = _neighbor("keeper_thread")
    started: list[Any] = []

    def start(bus: int, **options: Any) -> Any:
        started.append(module.KeeperThread(bus, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def consul_clients() -> Path:
    """The program tests/peers/edgex3-consul/provider: EdgeX 3's own clients of Consul, a command a line."""
    module = _neighbor("judge")
    try:
        found: Path = module.program("3-consul", "provider")
    except module.PeersUnavailable as error:
        skip_or_fail(str(error))
    return found


@pytest.fixture
def peer_device(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`peer_device(bus=port, metadata=port, blocks=…, keeper=URL)`: a PeerDevice, not started yet.

    It is one of tests/peer_device.py. Without Go, and nothing built, the test is skipped or fails.
    """
    module, judge = _neighbor("peer_device"), _neighbor("judge")
    made: list[Any] = []

    def make(**options: Any) -> Any:
        try:
            program = judge.program("4", "device")
        except judge.PeersUnavailable as error:
            skip_or_fail(str(error))
        folder = tmp_path / f"device-{len(made)}"
        folder.mkdir()
        made.append(module.PeerDevice(program, folder, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
async def notifications() -> AsyncIterator[Any]:
    """A started Notifications of tests/notifications.py."""
    made = _neighbor("notifications").Notifications()
    await made.start()
    yield made
    await made.stop()
