"""Importing a vendor's library so that its absence becomes one clear sentence."""

import importlib
import sys
from types import ModuleType

from edgex_inference.contracts.errors import AcceleratorUnavailable

_before: dict[str, str] = {}
"""Of each module the version that was installed when it was last seen without being imported."""


def in_use(module: str, installed: str | None) -> str | None:
    """The version that works here: of a `module` that is imported, what was `installed` then; None without any.

    What is installed over a library in use counts from the next start.
    """
    if installed is None:
        return None
    if module not in sys.modules:
        _before[module] = installed
    return _before.setdefault(module, installed)


def load_vendor(module: str, *, accelerator: str, extra: str, attribute: str = "") -> ModuleType:
    """Imports `module`; raises AcceleratorUnavailable saying what to install.

    `attribute` guards against unrelated packages of the same name: it must exist in the module.
    """
    remedy = f'pip install "edgex-inference[{extra}]"'
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == module.split(".")[0]:
            raise AcceleratorUnavailable(accelerator, f"{module} is missing: {remedy}") from None
        raise AcceleratorUnavailable(accelerator, f"{module} needs {error.name}, which is missing") from error
    except Exception as error:  # a broken native library raises anything at import
        raise AcceleratorUnavailable(accelerator, f"{module} cannot be imported: {error}") from error
    if attribute and not hasattr(found, attribute):
        raise AcceleratorUnavailable(
            accelerator, f"the installed {module} is another product (it has no {attribute}): {remedy}"
        )
    return found
