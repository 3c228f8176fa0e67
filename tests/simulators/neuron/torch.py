"""A stand-in for PyTorch, as far as the plug-in `neuron` uses it: names and signatures from AWS's documentation."""

import contextlib
import json
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any


class Tensor:
    def __init__(self, array: Any) -> None:
        self._array = array

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> "Tensor":
        return self

    def numpy(self) -> Any:
        return self._array


class ScriptModule:
    """Each output is scale · x + offset, as its program says; at 1000 it hangs, at 2000 the runtime fails."""

    def __init__(self, program: dict[str, Any]) -> None:
        self._program = program

    def __call__(self, *given: Tensor) -> Any:
        program = self._program
        arrays = [tensor.numpy() for tensor in given]
        most = max(float(array.max()) for array in arrays)
        if most == 1000:
            threading.Event().wait()
        if most == 2000:
            raise RuntimeError("The PyTorch Neuron Runtime could not be run: nrt_execute status=5")
        if most == 3000:
            raise ValueError("expected another shape")
        time.sleep(program.get("wait", 0) / 1000)
        answers = [
            Tensor((program["scale"] * array + program["offset"]).astype(array.dtype)) for array in arrays
        ]
        return answers[0] if len(answers) == 1 else tuple(answers)


def from_numpy(ndarray: Any) -> Tensor:
    if not ndarray.flags.writeable:
        raise ValueError("the stand-in is stricter than PyTorch, which warns")
    return Tensor(ndarray)


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    yield


def _load(f: str, map_location: Any = None, _extra_files: dict[str, Any] | None = None) -> ScriptModule:
    try:
        with zipfile.ZipFile(f) as archive:
            program = json.loads(archive.read("program.json"))
            for name in _extra_files or {}:
                with contextlib.suppress(KeyError):
                    assert _extra_files is not None
                    _extra_files[name] = archive.read(f"extra/{name}").decode()
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise RuntimeError(f"PytorchStreamReader failed reading zip archive: {error}") from error
    if program.get("chip") == "another":
        raise RuntimeError("Unknown type name '__torch__.torch.classes.neuron.Model'")
    return ScriptModule(program)


def write(path: Any, said: dict[str, Any] | None, **program: Any) -> None:
    """Not PyTorch's: the archive that `jit.load` here reads."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("program.json", json.dumps({"scale": 2, "offset": 1, **program}))
        if said is not None:
            archive.writestr("extra/edgex-inference.json", json.dumps(said))


class DataParallel:
    def __init__(
        self,
        model: Any,
        device_ids: Sequence[int] | None = None,
        dim: int = 0,
        set_dynamic_batching: bool = True,
    ) -> None:
        self._model, self.device_ids, self.dim = model, device_ids, dim

    def __call__(self, *given: Tensor) -> Any:
        return self._model(*given)


jit = SimpleNamespace(load=_load)
