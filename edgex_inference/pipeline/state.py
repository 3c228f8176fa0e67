"""What a binding remembers for one device: hysteresis, what was published last, its announced status."""

import math
from asyncio import TimerHandle
from collections import OrderedDict
from dataclasses import dataclass, field

from edgex_inference.pipeline.publishing.policy import PublishState
from edgex_inference.postprocess.decide import DecideState


@dataclass(slots=True, eq=False)
class DeviceState:
    """One device's memory; lost at restart."""

    decide: DecideState = field(default_factory=DecideState)
    publish: PublishState = field(default_factory=PublishState)
    status: str | None = None
    reason: str = ""
    lasting: str = ""
    """the reason that was announced last, where it was the binding's own and not one item's"""
    aloud: bool = False
    said_at: float | None = None
    """whether the trouble that it is in was said at WARN, and when one last was, in monotonic seconds"""
    timer: TimerHandle | None = None
    stray: bool = False
    """of a device that is no more: for what was still under way, remembered nowhere"""


class Memory:
    """The states of a binding's devices, bounded: the device that was silent longest is forgotten first.

    `degraded` names the devices for which the binding is not as it should be.
    """

    def __init__(self, most: int = 10_000) -> None:
        self.degraded: dict[str, str] = {}
        self._states: OrderedDict[str, DeviceState] = OrderedDict()
        self._gone: OrderedDict[str, float] = OrderedDict()
        self._most = most

    def of(self, device: str, arrived: float = math.inf) -> DeviceState:
        """`arrived` is when the event came; of a device that is gone, one from before is a stray."""
        gone = self._gone.get(device)
        if gone is not None:
            if arrived <= gone:
                return DeviceState(stray=True)
            del self._gone[device]
        state = self._states.get(device)
        if state is None:
            state = self._states[device] = DeviceState()
            if len(self._states) > self._most:
                self.forget(next(iter(self._states)))
        self._states.move_to_end(device)
        return state

    def forget(self, device: str) -> DeviceState | None:
        """Returns what was remembered; its timer is stopped."""
        self.degraded.pop(device, None)
        state = self._states.pop(device, None)
        if state is not None and state.timer is not None:
            state.timer.cancel()
        return state

    def depart(self, device: str, now: float) -> DeviceState | None:
        """Forgets a device for good: what is still under way for it is not remembered either."""
        self._gone.pop(device, None)
        self._gone[device] = now
        if len(self._gone) > self._most:
            self._gone.popitem(last=False)
        return self.forget(device)

    def clear(self) -> None:
        for device in tuple(self._states):
            self.forget(device)

    def states(self) -> tuple[DeviceState, ...]:
        return tuple(self._states.values())

    def items(self) -> tuple[tuple[str, DeviceState], ...]:
        """The devices by name with their states."""
        return tuple(self._states.items())
