"""Whether a toolchain works: everything in it is imported once, in a child."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgex_inference.contracts.errors import ModelRejected, SetupError
from edgex_inference.engine.formats.child import Job, Limits, run
from edgex_inference.engine.formats.toolchains import Toolchains


def versions(toolchains: Toolchains, name: str) -> Mapping[str, str]:
    """The versions of its modules; raises SetupError for what is missing or broken."""
    toolchain, python = toolchains.get(name), toolchains.python(name)
    job = Job(source=name, kind="", options={"modules": list(toolchain.modules)})
    with tempfile.TemporaryDirectory(prefix="edgex-inference-") as folder:
        try:
            reply = run(python, "probe.py", job, Path(folder), Limits())
        except ModelRejected as error:
            raise SetupError(f"the toolchain {name} is broken: {error.reason}") from error
        found = json.loads(reply.file.read_text(encoding="utf-8"))
    return {str(module): str(version) for module, version in found.items()}
