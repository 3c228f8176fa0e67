"""Triton from NVIDIA's pytriton wheel and MLServer, each installed once, started on free ports of this machine."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port
from tests.remotes.kinds import KINDS, MOST

HERE = Path(__file__).parent
TRITON, MLSERVER = "nvidia-pytriton==0.7.0", "mlserver==1.7.1"
_PATIENCE = 180.0


class Unavailable(Exception):
    """A server cannot be had here, and why."""


@dataclass(frozen=True)
class Started:
    """A server that answers; `name` with its version."""

    name: str
    rest: str
    rpc: str


def triton(folder: Path) -> "Iterator[Started]":
    """Needs the system's own Python: the wheel's stub is linked to it."""
    python = next((one for one in (Path("/usr/bin/python3"),) if one.exists()), None)
    if python is None:
        raise Unavailable("Triton's Python back-end needs /usr/bin/python3, which is not there")
    packages = _environment(folder / "triton", TRITON, str(python), bare=True)
    home = packages / "pytriton" / "tritonserver"
    version = packages.parent.name.removeprefix("python")
    back_ends = folder / "triton-backends"
    shutil.copytree(home / "backends", back_ends, dirs_exist_ok=True)
    shutil.copy(_stub(home, version), back_ends / "python" / "triton_python_backend_stub")
    repository = folder / "triton-models"
    _triton_models(repository, packages)
    rest, rpc = free_port(), free_port()
    command = [
        str(home / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={back_ends}",
        "--http-address=127.0.0.1",
        f"--http-port={rest}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={rpc}",
        "--allow-metrics=false",
        "--exit-on-error=false",
        "--strict-readiness=false",
        "--disable-auto-complete-config",
    ]
    environment = {"LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs")}
    with _running(command, environment, folder / "triton.log", rest, home):
        said = _json(f"http://127.0.0.1:{rest}/v2")
        yield Started(f"Triton {said['version']}", f"http://127.0.0.1:{rest}", f"grpc://127.0.0.1:{rpc}")


def _stub(home: Path, version: str) -> Path:
    """The program that runs Python models, for this series; raises Unavailable where it has none or would not start."""
    stubs = home / "python_backend_stubs"
    stub = stubs / version / "triton_python_backend_stub"
    if not stub.exists():
        known = ", ".join(sorted(one.name for one in stubs.iterdir()))
        raise Unavailable(
            f"/usr/bin/python3 is Python {version}, and Triton's wheel has its Python back-end for {known}"
        )
    said = subprocess.run(["ldd", str(stub)], capture_output=True, text=True, check=False).stdout
    lacking = [line.split()[0] for line in said.splitlines() if line.endswith("not found")]
    if lacking:
        raise Unavailable(
            f"Triton's Python back-end needs {', '.join(lacking)}: apt-get install libpython{version}"
        )
    return stub


def mlserver(folder: Path) -> "Iterator[Started]":
    """MLServer with a runtime of ours, which runs the same functions."""
    packages = _environment(folder / "mlserver", MLSERVER, sys.executable, bare=False)
    home = folder / "mlserver-models"
    rest, rpc, metrics = free_port(), free_port(), free_port()
    _mlserver_models(home, {"http_port": rest, "grpc_port": rpc, "metrics_port": metrics})
    command = [str(packages.parents[2] / "bin" / "mlserver"), "start", str(home)]
    with _running(command, {"PYTHONPATH": str(home)}, folder / "mlserver.log", rest, home):
        said = _json(f"http://127.0.0.1:{rest}/v2")
        yield Started(f"MLServer {said['version']}", f"http://127.0.0.1:{rest}", f"grpc://127.0.0.1:{rpc}")


SERVERS: Mapping[str, Callable[[Path], "Iterator[Started]"]] = {"triton": triton, "mlserver": mlserver}


def _environment(folder: Path, requirement: str, python: str, *, bare: bool) -> Path:
    """The packages of an environment with this requirement, made unless it is there."""
    done = folder / f".{requirement}"
    if not done.exists():
        print(f"installing {requirement} into {folder} …", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        try:
            subprocess.run(
                [python, "-m", "venv", *(["--without-pip"] if bare else []), str(folder)], check=True
            )
            subprocess.run([*pip, "install", "-q", "--disable-pip-version-check", requirement], check=True)
        except subprocess.CalledProcessError as error:
            raise Unavailable(
                f"{requirement} could not be installed for {python}: the lines above say why"
            ) from error
        done.touch()
    (packages,) = (folder / "lib").glob("python3.*/site-packages")
    return packages


def _triton_models(repository: Path, packages: Path) -> None:
    shutil.rmtree(repository, ignore_errors=True)
    for name, (inputs, outputs, rows) in KINDS.items():
        folder = repository / name / "1"
        folder.mkdir(parents=True)
        (folder / "model.py").write_text(_TRITON_MODEL.format(packages=str(packages), here=str(HERE)))
        batches = MOST if rows == -1 else 0

        def tensors(kind: str, said: list[tuple[str, str, int]], rows: int = rows) -> str:
            shape = "" if rows == -1 else f"{rows}, "
            return "".join(
                f'{kind} [{{ name: "{one}" data_type: TYPE_{"STRING" if word == "BYTES" else word} '
                f"dims: [{shape}{width}] }}]\n"
                for one, word, width in said
            )

        config = f'name: "{name}"\nbackend: "python"\nmax_batch_size: {batches}\n'
        config += tensors("input", inputs) + tensors("output", outputs)
        (repository / name / "config.pbtxt").write_text(
            config + "instance_group [{ kind: KIND_CPU count: 2 }]\n"
        )
    broken = repository / "broken" / "1"
    broken.mkdir(parents=True)
    (broken / "model.py").write_text("this is no Python")
    (repository / "broken" / "config.pbtxt").write_text(
        'name: "broken"\nbackend: "python"\n'
        'input [{ name: "x" data_type: TYPE_FP32 dims: [1] }]\n'
        'output [{ name: "y" data_type: TYPE_FP32 dims: [1] }]\n'
    )


_TRITON_MODEL = """
import sys
sys.path[:0] = [{packages!r}, {here!r}]
import kinds
import triton_python_backend_utils as pb


class TritonPythonModel:
    def initialize(self, args):
        self.name = args["model_name"]

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        arrays = {{one.name(): one.as_numpy() for one in request.inputs()}}
        found = kinds.run(self.name, arrays)
        return pb.InferenceResponse([pb.Tensor(name, array) for name, array in found.items()])
"""


def _mlserver_models(home: Path, ports: Mapping[str, int]) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    shutil.copy(HERE / "kinds.py", home / "kinds.py")
    (home / "runtime.py").write_text(_MLSERVER_MODEL)
    settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
    (home / "settings.json").write_text(json.dumps(settings))
    for name, (inputs, outputs, rows) in KINDS.items():
        said = {
            what: [{"name": one, "datatype": word, "shape": [rows, width]} for one, word, width in tensors]
            for what, tensors in (("inputs", inputs), ("outputs", outputs))
        }
        folder = home / name
        folder.mkdir()
        content = {"name": name, "implementation": "runtime.Kinds", **said}
        (folder / "model-settings.json").write_text(json.dumps(content))


_MLSERVER_MODEL = """
import kinds
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceResponse


class Kinds(MLModel):
    async def load(self):
        return True

    async def predict(self, payload):
        codec = {"BYTES": StringCodec}
        arrays = {}
        for one in payload.inputs:
            if one.datatype == "BYTES":
                import numpy as np
                arrays[one.name] = np.array(StringCodec.decode_input(one), dtype=object).reshape(one.shape)
            else:
                arrays[one.name] = NumpyCodec.decode_input(one)
        outputs = []
        for name, array in kinds.run(self.name, arrays).items():
            if array.dtype == object:
                output = StringCodec.encode_output(name, array.ravel().tolist())
                output.shape = list(array.shape)
            else:
                output = NumpyCodec.encode_output(name, array)
            outputs.append(output)
        return InferenceResponse(model_name=self.name, outputs=outputs)
"""


@contextmanager
def _running(
    command: list[str], environment: Mapping[str, str], log: Path, port: int, folder: Path
) -> "Iterator[None]":
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=out, stderr=subprocess.STDOUT, cwd=folder
        )
        try:
            _wait(process, port, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Until every model is ready, save the broken one."""
    ends = time.monotonic() + _PATIENCE
    wanted = [f"http://127.0.0.1:{port}/v2/models/{name}/ready" for name in KINDS]
    while wanted:
        if process.poll() is not None or time.monotonic() > ends:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
            raise Unavailable(f"{command_of(process)} did not start:\n{tail}")
        try:
            with urllib.request.urlopen(wanted[-1], timeout=10):
                wanted.pop()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)


def command_of(process: "subprocess.Popen[bytes]") -> str:
    return Path(str(process.args[0])).name if isinstance(process.args, list) else str(process.args)


def _json(url: str) -> dict[str, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, str] = json.load(answer)
        return found
