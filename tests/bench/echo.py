"""A bus client and nothing else: sends back whatever comes, burst by burst. A process of its own.

python -m tests.bench.echo PORT CLIENT QOS     from CLIENT/in/# to CLIENT/out; says `ready` when it has subscribed
"""

import asyncio
import sys
from contextlib import suppress

import uvloop

from edgex_inference.buses.mqtt.bus import MqttBus
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.contracts.errors import BusUnavailable
from edgex_inference.contracts.messages import Message


async def echo(port: int, client: str, qos: int) -> None:
    """Works until it is killed."""
    settings = MqttSettings(host="127.0.0.1", port=port, client_id=f"echo-{client}", client=client, qos=qos)
    bus = MqttBus(settings)
    async with bus.subscribe(f"{client}/in/#") as bursts:
        async with bus.subscribe(f"{client}/ready") as ready:
            await bus.open()
            heard = asyncio.ensure_future(anext(ready))
            while not heard.done():
                with suppress(BusUnavailable):
                    await bus.publish(Message(f"{client}/ready", b""))
                await asyncio.wait({heard}, timeout=0.05)
        print("ready", flush=True)
        async for burst in bursts:
            for message in burst:
                await bus.publish(Message(f"{client}/out", message.payload))
            await bus.done(burst)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(echo(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
