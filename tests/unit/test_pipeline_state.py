"""pipeline.state: what is remembered of each device, within bounds."""

import asyncio

from edgex_inference.pipeline.state import Memory


async def test_the_device_that_was_silent_longest_is_forgotten() -> None:
    memory, fired = Memory(most=2), []
    first = memory.of("a")
    first.timer = asyncio.get_running_loop().call_soon(fired.append, "a")
    memory.degraded["a"] = "trouble"
    memory.of("b")
    assert memory.of("a") is first, "heard again"
    memory.of("c")
    assert memory.of("a") is first
    second = memory.of("b")
    assert len(memory.states()) == 2
    assert memory.degraded == {"a": "trouble"}
    memory.of("d")
    assert first not in memory.states()
    assert second in memory.states()
    assert memory.degraded == {}
    await asyncio.sleep(0)
    assert fired == [], "its timer went with it"


async def test_clearing_stops_every_timer() -> None:
    memory, fired = Memory(), []
    for name in "abc":
        memory.of(name).timer = asyncio.get_running_loop().call_soon(fired.append, name)
    memory.clear()
    await asyncio.sleep(0)
    assert (memory.states(), fired) == ((), [])
