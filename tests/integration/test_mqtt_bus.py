"""The MQTT bus beyond the contract: passwords, acknowledgement, overload, refusals, retained messages."""

import asyncio
import contextlib
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.buses.fanout import BACKLOG
from edgex_inference.buses.mqtt.bus import MqttBus, pause
from edgex_inference.buses.mqtt.settings import MqttSettings
from edgex_inference.buses.section import Tls
from edgex_inference.contracts.errors import BusUnavailable, EnvelopeError, SetupError
from edgex_inference.contracts.messages import Message
from edgex_inference.telemetry.metrics import Counts
from edgex_inference.testing.bus import PATIENCE, collect, eventually, opened

Start = Callable[..., Any]
END = Message("t/end", b"end")
LOGGER = "edgex_inference.buses"


Settings = Callable[..., MqttSettings]


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith(LOGGER) and r.levelno == level]


def _run(command: str, folder: Path) -> None:
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


async def test_a_wrong_password_is_one_clear_line(
    mqtt_settings: Settings, mosquitto: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = tmp_path / "passwords"
    _run(f"mosquitto_passwd -b -c {passwords} edge right", tmp_path)
    broker = mosquitto(f"password_file {passwords}", anonymous=False)
    login = {"username": "edge", "auth_mode": "usernamepassword", "secret_name": "mqtt-bus"}
    bus = MqttBus(mqtt_settings(broker, password="wrong", **login))
    with caplog.at_level(logging.INFO, LOGGER):
        await bus.open()
        await eventually(lambda: bool(said(caplog, logging.ERROR)), "the refusal is said")
        with pytest.raises(BusUnavailable, match="not connected"):
            await bus.publish(END)
        await bus.close()
    (line,) = said(caplog, logging.ERROR)
    for word in (
        "refuses the user 'edge'",
        "MessageBus.AuthMode",
        "usernamepassword",
        "'mqtt-bus'",
        str(broker.port),
    ):
        assert word in line
    assert "wrong" not in caplog.text
    assert not said(caplog, logging.WARNING)


async def test_what_is_not_done_comes_again(mqtt_settings: Settings, mosquitto: Start) -> None:
    broker = mosquitto()
    receiver = mqtt_settings(broker, "receiver", qos=1, clean_session=False)
    first, sender = MqttBus(receiver), MqttBus(mqtt_settings(broker, "sender", qos=1))
    async with opened(sender):
        await first.open()
        await eventually(lambda: first.connected, "the receiver connects")
        async with first.subscribe("t/#") as one, first.subscribe("t/+") as other:
            for number in range(3):
                await sender.publish(Message("t/a", b"%d" % number))
            mine = await collect(one, Message("t/a", b"2"))
            theirs = await collect(other, Message("t/a", b"2"))
            assert [message.payload for message in mine] == [b"0", b"1", b"2"]
            await first.done(mine[:2])  # 0: both are done; 1: the other is not; 2: nobody is
            await first.done(theirs[:1])
            await first.done([Message("t/a", b"2")])  # an equal message is not the message
            await first._link.close()
            await eventually(lambda: first.connected, "the receiver reconnects")
            again = await collect(one, Message("t/a", b"2"), first)
            assert [message.payload for message in again] == [b"1", b"2"]
            await first.done(mine)  # receipts of a lost connection are void
        await first.close()


async def test_overload_is_counted_and_said_once(
    mqtt_settings: Settings, mosquitto: Start, caplog: pytest.LogCaptureFixture
) -> None:
    drops = Counts()
    bus = MqttBus(mqtt_settings(mosquitto(), max_backlog=10, qos=1), drops=drops)
    with caplog.at_level(logging.INFO, LOGGER):
        async with opened(bus), bus.subscribe("t/a") as slow, bus.subscribe("t/+") as quick:
            for episode in range(2):
                for number in range(25):
                    await bus.publish(Message("t/a", b"%d" % number))
                    await bus.done(await anext(quick))
                burst = await anext(slow)
                await bus.done(burst)
                assert [message.payload for message in burst] == [b"%d" % number for number in range(10)]
                assert drops.by_word() == {BACKLOG: 15 * (episode + 1)}
                assert len(said(caplog, logging.WARNING)) == episode + 1
    assert "'t/a' is too slow" in said(caplog, logging.WARNING)[0]
    assert any("15 messages were dropped" in line for line in said(caplog, logging.INFO))


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_hanging_broker_does_not_stop_the_loop(
    mqtt_settings: Settings, mosquitto: Start, qos: int
) -> None:
    broker = mosquitto()
    bus = MqttBus(mqtt_settings(broker, keep_alive=2, qos=qos))
    async with opened(bus):
        broker.suspend()
        try:
            big = Message("t/big", bytes(8 * 1024 * 1024))
            sending = [asyncio.create_task(bus.publish(big)) for _ in range(4)]
            done, waiting = await asyncio.wait(sending, timeout=0.2)
            assert not done, "the network is full, and publishing waits without blocking the loop"
            done, _ = await asyncio.wait(waiting, timeout=PATIENCE)
            assert {type(task.exception()) for task in done} == {BusUnavailable}, "the keep-alive ends it"
            assert len(done) == len(sending)
        finally:
            broker.resume()


async def test_the_will_is_sent_when_the_client_vanishes_and_only_then(
    mqtt_settings: Settings, mosquitto: Start
) -> None:
    broker = mosquitto()
    watcher = MqttBus(mqtt_settings(broker, "watcher"))
    mortal = mqtt_settings(broker, "mortal", will_topic="t/will", will_payload=b"gone")
    async with opened(watcher), watcher.subscribe("t/#") as bursts:
        polite = MqttBus(mortal)
        async with opened(polite):
            pass
        await watcher.publish(END)
        assert [m.topic for m in await collect(bursts, END)] == ["t/end"]
        script = (
            "import asyncio, os\n"
            "from edgex_inference.buses.mqtt.bus import MqttBus\n"
            "from edgex_inference.buses.mqtt.settings import MqttSettings\n"
            "async def main():\n"
            f"    bus = MqttBus(MqttSettings(host='127.0.0.1', port={broker.port}, client_id='mortal',\n"
            f"                  client={mortal.client!r}, version={mortal.version!r},\n"
            "                   will_topic='t/will', will_payload=b'gone'))\n"
            "    await bus.open()\n"
            "    while not bus.connected:\n"
            "        await asyncio.sleep(0.01)\n"
            "    os._exit(1)\n"
            "asyncio.run(main())\n"
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
        await process.wait()
        await collect(bursts, Message("t/will", b"gone"))


async def test_retained_messages_reach_each_subscriber_once(
    mqtt_settings: Settings, mosquitto: Start
) -> None:
    broker = mosquitto("allow_duplicate_messages true")
    keeper, bus = (
        MqttBus(mqtt_settings(broker, "keeper", retained=True)),
        MqttBus(mqtt_settings(broker, "bus")),
    )
    async with opened(keeper, bus):
        await keeper.publish(Message("t/kept", b"1"))
        async with bus.subscribe("t/#") as early:
            await collect(early, Message("t/kept", b"1"))
            async with bus.subscribe("t/kept", "t/end") as late:
                await collect(late, Message("t/kept", b"1"))
            async with bus.subscribe("#") as wide:
                await collect(wide, Message("t/kept", b"1"))
            await bus.publish(END)
            assert await collect(early, END) == [END], "what others asked for is no news"


async def test_changing_subscriptions_under_load_lose_and_double_nothing(
    mqtt_settings: Settings, mosquitto: Start
) -> None:
    broker = mosquitto("allow_duplicate_messages true")
    sender, bus = MqttBus(mqtt_settings(broker, "sender")), MqttBus(mqtt_settings(broker, "bus"))
    total = 3000

    async def send() -> None:
        for number in range(total):
            await sender.publish(Message("t/load", b"%d" % number))
            await asyncio.sleep(0)
        await sender.publish(END)

    async with opened(sender, bus), bus.subscribe("t/load", "t/end") as steady:
        sending = asyncio.create_task(send())
        while not sending.done():
            async with bus.subscribe("t/+"), bus.subscribe("+/load"), bus.subscribe("#"):
                pass
        await sending
        got = await collect(steady, END)
    assert [int(message.payload) for message in got[:-1]] == list(range(total))


async def test_a_broker_killed_under_load_comes_back(mqtt_settings: Settings, mosquitto: Start) -> None:
    broker = mosquitto()
    sender, bus = MqttBus(mqtt_settings(broker, "sender", qos=1)), MqttBus(mqtt_settings(broker, "bus"))
    failures = 0
    async with opened(sender, bus), bus.subscribe("t/#") as bursts:
        for number in range(400):
            if number == 100:
                broker.kill()
            if number == 200:
                broker.start()
                await eventually(lambda: sender.connected and bus.connected, "both are back")
            try:
                await sender.publish(Message("t/load", b"%d" % number))
            except BusUnavailable:
                failures += 1
        await asyncio.sleep(0)
        await eventually(lambda: bus.connected, "still there")
        await sender.publish(END)
        got = await collect(bursts, END)
    assert failures == 100
    assert [int(m.payload) for m in got if m.topic == "t/load"][:100] == list(range(100))


@contextlib.asynccontextmanager
async def scripted(answer: Callable[[int], bytes]) -> AsyncIterator[int]:
    """A broker that answers each packet's type as told; yields its port."""

    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                kind, length = await reader.readexactly(2)
                body = await reader.readexactly(length)
                writer.write(answer(kind >> 4).replace(b"ID", body[:2]))
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.wait([task for task in served if task is not None], timeout=PATIENCE)


async def test_a_refused_subscription_is_said_and_shown(
    mqtt_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    answers = {1: b"\x20\x02\x00\x00", 8: b"\x90\x03ID\x80"}
    if mqtt_settings().version == "5":
        answers = {1: b"\x20\x03\x00\x00\x00", 8: b"\x90\x04ID\x00\x87"}
    with caplog.at_level(logging.INFO, LOGGER):
        async with scripted(lambda kind: answers.get(kind, b"")) as port:
            bus = MqttBus(mqtt_settings(port=port, username="edge"))
            async with opened(bus), bus.subscribe("t/secret"):
                assert bus.refused == ("t/secret",)
    (line,) = said(caplog, logging.ERROR)
    assert "refuses the subscription to 't/secret'" in line
    assert "'edge'" in line


async def test_a_server_that_speaks_no_mqtt(
    mqtt_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted(lambda kind: b"") as port:
        bus = MqttBus(mqtt_settings(port=port, connect_timeout=0.1))
        await bus.open()
        await eventually(lambda: "does not answer as an MQTT broker" in caplog.text, "the silence is said")
        await bus.close()


async def test_an_untrusted_certificate_is_named(
    mqtt_settings: Settings, mosquitto: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _run(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -subj /CN=localhost -days 2",
        tmp_path,
    )
    broker = mosquitto(f"certfile {tmp_path}/cert", f"keyfile {tmp_path}/key")
    strict = replace(mqtt_settings(broker), host="localhost", tls=Tls())
    bus = MqttBus(strict)
    await bus.open()
    await eventually(lambda: "its certificate is not trusted" in caplog.text, "the distrust is said")
    await bus.close()
    async with opened(MqttBus(replace(strict, tls=Tls(skip_verify=True)))):
        pass


@pytest.mark.parametrize(
    ("lines", "tls", "words"),
    [
        (
            ("certfile {folder}/cert", "keyfile {folder}/key"),
            None,
            "wants TLS, set MessageBus.Protocol to ssl",
        ),
        ((), Tls(skip_verify=True), "is a plain one, set MessageBus.Protocol to tcp"),
    ],
)
async def test_tls_on_one_side_only_is_hinted_at(
    mqtt_settings: Settings,
    lines: tuple[str, ...],
    tls: Tls | None,
    words: str,
    mosquitto: Start,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _run(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -subj /CN=localhost -days 2",
        tmp_path,
    )
    broker = mosquitto(*(line.format(folder=tmp_path) for line in lines))
    bus = MqttBus(mqtt_settings(broker, tls=tls))
    with caplog.at_level(logging.INFO, LOGGER):
        await bus.open()
        await eventually(lambda: bool(said(caplog, logging.WARNING)), "the failure is said")
        await bus.close()
    assert words in said(caplog, logging.WARNING)[0]


def test_unreadable_certificates_are_a_setup_error(mqtt_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="TLS certificates cannot be used"):
        MqttBus(mqtt_settings(tls=Tls(ca_file=str(tmp_path / "none.pem"))))


def test_without_paho_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("paho", "edgex_inference.buses.mqtt.paho"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "paho", None)
    with pytest.raises(SetupError, match=r'pip install "edgex-inference\[mqtt\]"'):
        MqttBus(MqttSettings(client="paho"))


async def test_an_unknown_host_is_named(mqtt_settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    bus = MqttBus(mqtt_settings(host="no-such-host.invalid"))
    await bus.open()
    await eventually(lambda: "no-such-host.invalid" in caplog.text, "the host is said")
    await bus.close()


async def test_a_topic_that_cannot_be_published_is_a_message_error(mqtt_settings: Settings) -> None:
    with pytest.raises(EnvelopeError, match="wildcards") as caught:
        await MqttBus(mqtt_settings()).publish(Message("t/+", b""))
    assert caught.value.reason == "topic"


def test_pauses_grow_and_are_scattered() -> None:
    assert [pause(n, denied=False, chance=1.0) for n in (0, 1, 2, 50)] == [0.1, 0.2, 0.4, 10.0]
    assert pause(3, denied=False, chance=0.0) == 0.4
    assert pause(0, denied=True, chance=0.0) == 15.0


def test_paho_still_has_the_hooks_that_bursts_hang_on() -> None:
    from paho.mqtt.client import Client

    assert callable(Client._sock_recv)
    assert callable(Client._sock_send)
