"""How far a build is, in the words of whoever waits for it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

Progress = Callable[[float | None, str], None]


def monitor(trt: ModuleType, progress: Progress) -> Any:
    """An object that TensorRT tells its phases: the outermost one counts, those inside give the words."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        """Called from native code: must not raise."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._outermost, self._steps, self._done, self._share = "", 1, 0, 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self._outermost, self._steps, self._done = phase_name, max(1, num_steps), 0
            self._tell(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name == self._outermost:
                self._done = step + 1
                self._tell(phase_name)
            return True

        def phase_finish(self, phase_name: str) -> None:
            if phase_name == self._outermost:
                self._done = self._steps
                self._tell(phase_name)

        def _tell(self, phase_name: str) -> None:
            self._share = max(self._share, min(1.0, self._done / self._steps))
            try:
                progress(self._share, phase_name[:1].lower() + phase_name[1:])
            except Exception:  # noqa: BLE001 - it would go up into native code
                return

    return Monitor()
