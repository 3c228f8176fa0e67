"""What a foreign model file says of itself, read without its framework and without running anything."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from edgex_inference.contracts.errors import ModelRejected
from edgex_inference.contracts.protobuf import as_message, as_text, fields
from edgex_inference.engine.formats.archives import imports_seen, read_text
from edgex_inference.engine.formats.kinds import ABOUT, Kind
from edgex_inference.engine.formats.routes import STEPS

Said = Mapping[str, object]
"""Name of a fact → a text, a number, a list of texts or a map of counts."""

_HEAD = 1 << 16


def look(path: Path, kind: Kind) -> Said:
    """Inputs, outputs, producer and operators, as far as the file tells them, and what can be done with it."""
    about = ABOUT[kind]
    found: dict[str, object] = {"is": about.label}
    reader = _READERS.get(kind)
    try:
        found |= reader(path) if reader is not None else {}
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        RecursionError,
        OSError,
        ModelRejected,
    ):
        found["not read"] = "it is broken, or of a release that is not known"
    convertible = any(kind in step.sources for step in STEPS)
    found["next"] = f"edgex-inference model convert {path}" if convertible else about.nearest
    return found


def _lightgbm(path: Path) -> Said:
    text = path.read_bytes()[:_HEAD].decode("utf-8", "replace")
    said = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    width = int(said["max_feature_idx"]) + 1
    return {
        "producer": f"LightGBM format {said['version']}",
        "objective": said.get("objective", ""),
        "inputs": [f"input FP32[?, {width}]"],
        "readings": said.get("feature_names", "").split(),
    }


def _xgboost(path: Path) -> Said:
    if not path.read_bytes()[:64].lstrip().startswith(b'{"'):
        return {"producer": "XGBoost, UBJSON"}
    said = json.loads(path.read_bytes())
    learner = said["learner"]
    width = int(learner["learner_model_param"]["num_feature"])
    return {
        "producer": "XGBoost " + ".".join(map(str, said["version"])),
        "objective": learner["objective"]["name"],
        "inputs": [f"input FP32[?, {width}]"],
        "readings": list(learner.get("feature_names", [])),
    }


def _pickle(path: Path) -> Said:
    with path.open("rb") as file:
        if file.read(1) != b"\x80":
            return {"imports": "not seen: it is compressed"}
        file.seek(0)
        found, whole = imports_seen(path, file)
        return {
            "imports": sorted(found),
            "further imports": "" if whole else "not seen, behind its first array",
        }


def _mxnet(path: Path) -> Said:
    if path.suffix != ".json":
        return {}
    said = json.loads(path.read_bytes())
    nodes = said["nodes"]
    version = said.get("attrs", {}).get("mxnet_version", [0, 0])[1]
    words = (
        "_weight",
        "_bias",
        "_gamma",
        "_beta",
        "_running_mean",
        "_running_var",
        "_moving_mean",
        "_moving_var",
    )
    variables = [node["name"] for node in nodes if node["op"] == "null"]
    return {
        "producer": f"MXNet {version // 10000}.{version // 100 % 100}.{version % 100}",
        "inputs": [name for name in variables if not name.endswith((*words, "_label"))],
        "outputs": [nodes[head[0]]["name"] for head in said["heads"]],
        "operators": _counted(node["op"] for node in nodes if node["op"] != "null"),
    }


def _frozen(path: Path) -> Said:
    nodes = [
        dict(fields(as_message(one))) for number, one in fields(memoryview(path.read_bytes())) if number == 1
    ]
    kinds = [(as_text(node[1]), as_text(node[2])) for node in nodes]
    return {
        "inputs": [name for name, kind in kinds if kind == "Placeholder"],
        "operators": _counted(kind for _, kind in kinds if kind != "Const"),
    }


def _keras(path: Path) -> Said:
    said, made = json.loads(read_text(path, "config.json")), json.loads(read_text(path, "metadata.json"))
    layers = said.get("config", {}).get("layers", [])
    return {
        "producer": f"Keras {made['keras_version']}",
        "inputs": [_of_layer(one) for one in layers if one["class_name"] == "InputLayer"],
        "layers": _counted(one["class_name"] for one in layers),
    }


def _of_layer(layer: Mapping[str, Mapping[str, object]]) -> str:
    config = layer["config"]
    shape = config.get("batch_shape") or config.get("batch_input_shape") or []
    assert isinstance(shape, Sequence)
    return f"{config['name']} {config.get('dtype')}[{', '.join('?' if one is None else str(one) for one in shape)}]"


def _keras_h5(path: Path) -> Said:
    text = path.read_bytes().decode("latin-1")
    found = re.search(
        r'"class_name": "InputLayer", "config": \{[^}]{0,4096}?"batch_input_shape": \[([^\]]{0,999})\]', text
    )
    layers = re.findall(r'\{"class_name": "(\w+)", "config": \{"name"', text)
    return {
        "inputs": [f"[{found[1].replace('null', '?')}]"] if found else [],
        "layers": _counted(layers),
    }


def _paddle(path: Path) -> Said:
    said = json.loads(path.read_bytes())
    return {"producer": f"Paddle, program version {said['base_code'].get('version', '?')}"}


def _counted(words: Iterable[str]) -> Mapping[str, int]:
    return dict(Counter(words).most_common())


_READERS: Mapping[Kind, Callable[[Path], Said]] = {
    Kind.LIGHTGBM: _lightgbm,
    Kind.XGBOOST: _xgboost,
    Kind.PICKLE: _pickle,
    Kind.MXNET: _mxnet,
    Kind.FROZEN: _frozen,
    Kind.KERAS: _keras,
    Kind.KERAS_H5: _keras_h5,
    Kind.PADDLE_PIR: _paddle,
}
