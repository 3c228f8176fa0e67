"""Every element type through a binding of a running service: in as EdgeX readings, out as EdgeX readings, exactly."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from edgex_inference.testing import onnx_models
from edgex_inference.testing.kinds import Kind

WIDE = 2**60 + 1
"""What a float64 does not hold."""

CASES: dict[str, tuple[Kind, dict[str, tuple[str, str]], dict[str, tuple[str, str, str]]]] = {
    "Integers": (Kind.INTEGERS, {"x": ("Int64Array", f"[1, {WIDE}]")},
                 {"y": ("Y1", "Int64Array", f"[3, {2 * WIDE + 1}]")}),
    "Halves": (Kind.HALVES, {"x": ("Float32Array", "[0.5, -2, 3.25, 100]")},
               {"y": ("Y2", "Float32Array", "[2e+00, -3e+00, 7.5e+00, 2.01e+02]")}),
    "Shorts": (Kind.SHORTS, {"x": ("Int16Array", "[1, -2, 300, -16000]")},
               {"y": ("Y3", "Int16Array", "[3, -3, 601, -31999]")}),
    "Words": (Kind.WORDS, {"x": ("Uint16Array", "[1, 2, 300, 32000]")},
              {"y": ("Y4", "Uint16Array", "[3, 5, 601, 64001]")}),
    "Texts": (Kind.TEXTS, {"x": ("StringArray", '["one","","zwölf","a b"]')},
              {"y": ("Y5", "StringArray", '["one","","zwölf","a b"]')}),
    "Types": (Kind.TYPES, {"a": ("Float32Array", "[1, 2, 3]"), "n": ("Int64Array", f"[7, -8, {WIDE}]")},
              {"shifted": ("Y6", "Float32Array", "[8e+00, -6e+00, 1.1529215e+18]"),
               "doubled": ("Y7", "Int64Array", f"[14, -16, {2 * WIDE}]")}),
    "Two": (Kind.TWO, {"a": ("Float32Array", "[1, 2, 3]"), "b": ("Float32Array", "[10, 20, 30.5]")},
            {"total": ("Y8", "Float32Array", "[1.1e+01, 2.2e+01, 3.35e+01]"),
             "difference": ("Y9", "Float32Array", "[-9e+00, -1.8e+01, -2.75e+01]")}),
}  # fmt: skip
"""Binding → its model, its readings by the model's inputs, and its outputs: name, type and text."""


def resources(name: str) -> str:
    """The resources of a binding, which sits on the first."""
    _, given, wanted = CASES[name]
    names = [f"{name}_{one}" for one in given]
    outputs = {out: f"{{value: {value}, type: {kind}}}" for value, (out, kind, _) in wanted.items()}
    block = (
        f"{{model: {{name: {name}}}, accelerator: onnxruntime, "
        f"inputs: [{', '.join(f'{{resource: {one}}}' for one in names)}], "
        f"outputs: {{{', '.join(f'{out}: {said}' for out, said in outputs.items())}}}}}"
    )
    found = []
    for one, (kind, _) in zip(names, given.values(), strict=True):
        own = f"\n      optional: {{inference: {{{name}: {block}}}}}" if one == names[0] else ""
        found.append(f"  - name: {one}\n    properties:\n      valueType: {kind}\n      readWrite: R{own}\n")
    return "".join(found)


def test_types_go_through_a_binding(
    world: Any, process: ModuleType, mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    broker = mosquitto()
    world.configure(broker.port, qos=1)
    for name, (kind, given, wanted) in CASES.items():
        file = onnx_models.write(kind, tmp_path / name)
        inputs = ", ".join(f"{one}: {{kind: vector, names: [{name}_{one}]}}" for one in given)
        outputs = ", ".join(f"{one}: {{}}" for one in wanted)
        card = f"task: raw\nfiles: [{{path: {file.name}}}]\ninputs: {{{inputs}}}\noutputs: {{{outputs}}}"
        world.model(name, [file], card)
    world.profile("name: pump\ndeviceResources:\n" + "".join(map(resources, CASES)))
    service, client = world.start().ready(), world.client(broker.port)
    for name, (_, given, _) in CASES.items():
        readings = [process.reading(f"{name}_{one}", value, kind) for one, (kind, value) in given.items()]
        client.send_event("p", *readings)
    results = client.wait_results(len(CASES))
    found = {one.topic.rpartition("/")[2]: one.values for one in results}
    assert found == {
        name: {out: text for out, _, text in wanted.values()} for name, (_, _, wanted) in CASES.items()
    }
    assert service.stop() == 0
