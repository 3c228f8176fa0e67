"""Writes the parts of the reference that the code knows best, between the marks of each page.

    .venv/bin/python docs/generate.py            rewrites the pages

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; a NAME with a slash is a file. A test compares
the pages with what this gives.
"""

import argparse
import dataclasses
import importlib
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from edgex_inference.cli.main import COMMANDS, module_of
from edgex_inference.config import environment, flags, schema
from edgex_inference.contracts.accelerator import KNOWN_FORMATS, Accelerator, Format
from edgex_inference.contracts.errors import SetupError
from edgex_inference.contracts.models import Task
from edgex_inference.contracts.outputs import BUILT_TASKS, OutputValue, legal
from edgex_inference.engine.cards.tensors import DTYPES
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.formats.kinds import ABOUT, Kind
from edgex_inference.engine.formats.routes import TARGETS, route
from edgex_inference.engine.formats.toolchains import Toolchain, manifest
from edgex_inference.engine.options import decode
from edgex_inference.importers.caffe.layers.table import LAYERS
from edgex_inference.importers.kaldi.components.table import GENERATIONS
from edgex_inference.pipeline.measure import STAGES
from edgex_inference.pipeline.measuring.figures import FAMILIES, OF_THE_SDK
from edgex_inference.postprocess.table import DECODERS, UNDECLARED
from edgex_inference.telemetry.families import Family
from edgex_inference.web.prometheus import OF_THE_PROCESS

DOCS = Path(__file__).parent
CONFIGURATION = DOCS.parent / "configuration.toml"
OURS = (
    "edgetpu",
    "litert",
    "migraphx",
    "neuron",
    "onnxruntime",
    "openvino",
    "reference",
    "remote",
    "tensorrt",
    "tvm",
    "vitisai",
)
_MARKED = re.compile(r"(<!-- generated: ([\w./-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SETTING = re.compile(r"(\w+) = (.*?)\s*# (.*)")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (head, *rows)]
    lines.insert(1, "|".join("---" for _ in head))
    return "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines) + "\n"


def code(text: object) -> str:
    return f"`{text}`" if text not in ("", None) else ""


def configuration() -> str:
    """Every key of configuration.toml with its comment, under its section."""
    parts: list[str] = []
    section: tuple[str, ...] = ()
    rows: list[tuple[str, str, str, str]] = []

    def flush() -> None:
        if rows:
            head = ("Key", "Default", "Environment variable", "")
            parts.append(f"### {'.'.join(section)}\n\n{table(head, rows)}")
            rows.clear()

    for line in CONFIGURATION.read_text().splitlines():
        if line.startswith("["):
            flush()
            section = tuple(line.strip("[]").split("."))
        elif found := _SETTING.fullmatch(line):
            name = code(environment.variable_name((*section, found[1]))) if found[2] != "{}" else "none"
            rows.append((code(found[1]), code(found[2]), name, found[3]))
    flush()
    return "\n".join(parts)


def later() -> str:
    """Words that a key knows and this release refuses."""
    rows = []
    for section in dataclasses.fields(schema.Configuration):
        hints = typing.get_type_hints(type(section.default), include_extras=True)
        for key, hint in hints.items():
            for rule in getattr(hint, "__metadata__", ()):
                if isinstance(rule, schema.Choice) and rule.later:
                    words = ", ".join(code(word) for word in rule.later)
                    path = f"{_pascal(section.name)}.{_pascal(key)}"
                    rows.append((code(path), words, next(iter(rule.later.values()))))
    return table(("Key", "Refused", "With"), rows)


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def unused() -> str:
    """EdgeX's keys that are accepted and not read."""
    return ", ".join(code(".".join(steps)) for steps in sorted(schema.UNUSED)) + ".\n"


def service_flags() -> str:
    """The flags of `run`, with the variable that wins over each."""
    texts, switches = environment._TEXTS, environment._SWITCHES
    variables = {field: variable for variable, field in (*texts.items(), *switches.items())}
    rows = [
        (
            ", ".join(
                code(name) for name in ((f"-{flag.short}",) if flag.short else ()) + (f"--{flag.long}",)
            ),
            {"text": "text", "switch": "", "optional": "URL, or none at all"}[flag.kind],
            code(variables.get(flag.field)),
            flag.help,
        )
        for flag in flags._FLAGS
    ]
    return table(("Flag", "Takes", "Variable", ""), rows)


def commands() -> str:
    """Every command with its options; the flags of `run` have a table of their own."""
    parts = []
    for name, what in COMMANDS.items():
        parts.append(f"### {name}\n\n{what[0].upper()}{what[1:]}.\n")
        if name == "run":
            parts.append("Its flags are in the next table.\n")
            continue
        try:
            module = importlib.import_module(module_of(name))
        except ModuleNotFoundError:
            parts.append("Not in this checkout.\n")
            continue
        parser = argparse.ArgumentParser(add_help=False)
        module.add_arguments(parser)
        parts += _arguments(name, parser)
    return "\n".join(parts)


def _arguments(name: str, parser: argparse.ArgumentParser) -> Iterable[str]:
    """The table of a command's options, or one for each command below it."""
    below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not below:
        rows = [_argument(one) for one in parser._actions if not isinstance(one, argparse._HelpAction)]
        yield table(("Argument", "Default", ""), rows)
    for action in below:
        helps = {one.dest: one.help or "" for one in action._choices_actions}
        for what, inner in action.choices.items():
            yield f"`{name} {what}`: {helps[what]}.\n"
            yield from _arguments(name, inner)


def _argument(action: argparse.Action) -> tuple[str, str, str]:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    takes = "" if action.nargs == 0 else f" {value}"
    names = ", ".join(code(name + takes) for name in action.option_strings) or code(value)
    default = action.default if action.nargs != 0 else None
    return names, code(default if default is not argparse.SUPPRESS else ""), action.help or ""


def outputs() -> str:
    """What `outputs.<name>.value` can say, task by task."""
    whole = {value.form for value in legal(Task.RAW)} - {"<tensor name>"}
    parts = ["### Every task\n", _values(value for value in legal(Task.RAW) if value.form in whole)]
    for task in Task:
        built = "" if task in BUILT_TASKS else " (not yet supported)"
        own = [value for value in legal(task) if value.form not in whole]
        parts += [f"### {task}{built}\n", _values(own)]
    return "\n".join(parts)


def _values(values: Iterable[OutputValue]) -> str:
    rows = []
    for value in values:
        others = [one.value for one in value.types if one is not value.type]
        carriers = ", ".join(others) if value.type or len(others) < 20 else "any"
        rows.append(
            (
                code(value.form),
                value.type.value if value.type else "the tensor's",
                carriers,
                code(value.needs),
                "yes" if value.built else "not yet",
            )
        )
    return table(("Value", "Default type", "Other types that carry it", "Needs", "Built"), rows)


def decoders() -> str:
    """The decoders, their tasks, the roles of their outputs, and what their code says of them."""
    rows = [
        (
            code(name),
            task.value,
            ", ".join(code(role) for role in decoder.roles),
            "*synthetic*" if decoder.synthetic else "",
            _doc(decoder.make),
        )
        for name, task, decoder in (
            *((name, decoder.task, decoder) for name, decoder in DECODERS.items()),
            *(("none", task, decoder) for task, decoder in UNDECLARED.items()),
        )
    ]
    return table(("Decoder", "Task", "Roles", "Proof", ""), rows)


def _doc(make: Callable[..., object]) -> str:
    """The first sentence about a decoder: its own, else its module's."""
    said = make.__doc__ or ""
    if said.startswith("Raises"):
        said = sys.modules[make.__module__].__doc__ or ""
    return " ".join(said.split("\n\n")[0].split())


def words() -> str:
    """Formats and element types."""
    formats = ", ".join(code(name) for name in sorted(KNOWN_FORMATS))
    return f"Formats: {formats}.\n\nElement types: {', '.join(code(name) for name in DTYPES)}.\n"


def accelerators() -> str:
    """The plug-ins of this distribution; devices and versions are a machine's own."""
    found = [_plugin(name) for name in OURS]
    rows = [
        (
            code(one.name),
            one.shown,
            ", ".join(sorted(one.readable)),
            one.default_device,
            code(f'pip install "edgex-inference[{one.extra}]"') if one.extra else one.cure or one.declared,
        )
        for one in found
    ]
    return table(("Name", "Level", "Formats", "Default device", "How to get it"), rows)


def _plugin(name: str) -> Accelerator:
    plugin = importlib.import_module(f"accelerators.{name}").PLUGIN
    assert isinstance(plugin, Accelerator)
    assert name in Catalog().names()
    assert decode(plugin, {}) == plugin.options()
    return plugin


def formats() -> str:
    """Every kind of model file with the toolchain that each conversion takes, or the nearest way that works."""
    rows = []
    for kind in Kind:
        ways = [_way(kind, target) for target in TARGETS.values()]
        rows.append((ABOUT[kind].label, *ways, "" if any(ways) else ABOUT[kind].nearest))
    return table(("Source", *TARGETS, "Instead"), rows)


def _way(kind: Kind, target: Format) -> str:
    if ABOUT[kind].format == target and kind is not Kind.ONNX:
        return "as it is"
    try:
        steps = route(kind, target)
    except SetupError:
        return ""
    return ", then ".join(step.toolchain or "*here*" for step in steps)


def toolchains() -> str:
    """The toolchains of the manifest."""
    rows = [
        (code(one.name), one.about, ", ".join(one.python), f"{one.megabytes} MB", ", ".join(_pins(one)))
        for one in manifest().values()
    ]
    return table(("Name", "For", "Python", "On disk", "Of its pins"), rows)


def _pins(one: Toolchain) -> Sequence[str]:
    names = {"cv2": "opencv-python-headless", "sklearn": "scikit-learn", "kaldi_library": "vosk"}
    wanted = {names.get(module, module) for module in one.modules}
    wanted |= {f"{name}-cpu" for name in wanted} | {"paddlepaddle"}
    return [line.replace("==", " ") for line in one.requirements if line.partition("==")[0] in wanted]


def stages() -> str:
    return ", ".join(code(stage) for stage in STAGES) + ".\n"


def figures() -> str:
    """Every metric under both of its names."""
    kinds = {"timer": "timer, histogram"}
    rows = [
        (
            code(one.metric),
            code(one.series),
            kinds.get(one.kind, one.kind),
            ", ".join(code(label) for label in one.labels),
            one.help,
        )
        for one in (*_ours(), *OF_THE_PROCESS)
    ]
    return table(("On the bus", "In Prometheus", "Kind", "Tags, labels", ""), rows)


def sdk_figures() -> str:
    """The metrics under the names of EdgeX's app SDK."""
    rows = [
        (code(one.metric), one.kind, ", ".join(code(label) for label in one.labels), one.help)
        for one in OF_THE_SDK
    ]
    return table(("On the bus", "Kind", "Tags", ""), rows)


def _ours() -> Sequence[Family]:
    return [one for one in FAMILIES if one not in OF_THE_SDK]


def caffe_layers() -> str:
    """The layers of Caffe that become ONNX."""
    return table(("Layer", ""), ((code(name), known.note) for name, known in LAYERS.items()))


def kaldi_components() -> str:
    """The components of Kaldi that become ONNX, of each generation."""
    rows = (
        (generation, code(name), known.note)
        for generation, known_ones in GENERATIONS.items()
        for name, known in sorted(known_ones.items())
    )
    return table(("Generation", "Component", ""), rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "caffe-layers": caffe_layers,
    "kaldi-components": kaldi_components,
    "configuration": configuration,
    "later": later,
    "unused": unused,
    "flags": service_flags,
    "commands": commands,
    "outputs": outputs,
    "decoders": decoders,
    "words": words,
    "accelerators": accelerators,
    "formats": formats,
    "toolchains": toolchains,
    "stages": stages,
    "figures": figures,
    "sdk-figures": sdk_figures,
}


def written(page: str) -> str:
    """The page with its generated parts as they should be."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{part(found[2])}\n{found[3]}", page)


def part(name: str) -> str:
    """A part by its name; a name with a slash is a file of the project, shown whole."""
    if "/" not in name:
        return PARTS[name]()
    language = {".py": "python", ".toml": "toml"}[Path(name).suffix]
    return f"```{language}\n{(DOCS.parent / name).read_text().strip()}\n```\n"


def main() -> None:
    for path in sorted(DOCS.rglob("*.md")):
        path.write_text(written(path.read_text()))


if __name__ == "__main__":
    main()
