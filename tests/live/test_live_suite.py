"""`make live` against doubles, so that it cannot rot: as a process, as somebody with an EdgeX starts it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def doubles(load_neighbor: Callable[[str], ModuleType]) -> ModuleType:
    return load_neighbor("core_doubles")


class World:
    """A broker and doubles of the core services; `restart` is a control port that EDGEX_RESTART leads to."""

    def __init__(self, broker: Any, metadata: Any, doubles: ModuleType, keeper: Any = None) -> None:
        self.keeper = keeper
        self.broker, self.metadata = broker, metadata
        self.command = doubles.command(metadata.url)
        self.data = doubles.Data(broker.port)
        self.restarted: list[str] = []
        self.control = doubles.Double(self._restart)

    def _restart(self, _method: str, path: str) -> tuple[int, Any]:
        name = path.rpartition("/")[2]
        match name:
            case "core-metadata":
                self.metadata.stop()
                self.metadata.start()
            case "core-command":
                self.command.restart()
            case "core-data":
                self.data.double.restart()
            case "mqtt-broker":
                self.broker.restart()
        self.restarted.append(name)
        return 200, name

    @property
    def environment(self) -> dict[str, str]:
        fetch = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=60).read()"
        provider = {"EDGEX_KEEPER": self.keeper.url} if self.keeper is not None else {}
        return provider | {
            "EDGEX_METADATA": self.metadata.url,
            "EDGEX_BUS": f"mqtt://127.0.0.1:{self.broker.port}",
            "EDGEX_COMMAND": self.command.url,
            "EDGEX_DATA": self.data.double.url,
            "EDGEX_RESTART": f"{sys.executable} -c '{fetch}' {self.control.url}/{{}}",
        }

    def left(self) -> Mapping[str, Any]:
        """Every record of the core-metadata, by name."""
        state = self.metadata.double.state
        shelves = (state.profiles, state.devices, state.services)
        return {one["name"]: one for shelf in shelves for one in shelf.all()}

    def close(self) -> None:
        self.command.stop()
        self.control.stop()
        self.data.close()


def play(env: Mapping[str, str]) -> tuple[int, dict[str, tuple[str, str]], str]:
    """Exit code, case → (verdict, note), and everything that was printed."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("EDGEX_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.live"],
        cwd=ROOT, env=kept | env, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    rows = {}
    for line in done.stdout.splitlines()[2:]:
        case, _, rest = line.partition("  ")
        verdict, _, *note = rest.split(maxsplit=2)
        rows[case] = (verdict, note[0] if note else "")
    return done.returncode, rows, done.stdout + done.stderr


@pytest.fixture(params=["4.0.2", "3.1.1"])
def edgex(
    request: pytest.FixtureRequest, mosquitto: Any, metadata: Any, keeper: Any, doubles: ModuleType
) -> Iterator[World]:
    """EdgeX 4 has core-keeper, EdgeX 3 has not."""
    broker = mosquitto()
    provider = keeper(broker.port) if request.param.startswith("4") else None
    made = World(broker, metadata(broker.port, version=request.param), doubles, provider)
    yield made
    made.close()


def test_every_case_holds_on_the_doubles(edgex: World) -> None:
    code, rows, said = play(edgex.environment)
    print(said)
    skipped = {name for name, (verdict, _) in rows.items() if verdict == "skipped"}
    without = {"configuration from core-keeper"} if edgex.keeper is None else set()
    assert skipped == {"a device of another service", *without}, said
    assert {verdict for name, (verdict, _) in rows.items() if name not in skipped} == {"yes"}, said
    assert code == 0
    assert edgex.restarted == ["core-metadata", "core-command", "core-data", "mqtt-broker"]
    assert edgex.left() == {}
    assert "nothing is left behind" in rows
    if edgex.keeper is not None:
        assert not [key for key in edgex.keeper.double.store.values if "app-inference" in key]


def test_a_device_of_the_official_device_service(
    mosquitto: Any, metadata: Any, doubles: ModuleType, peer_device: Any
) -> None:
    broker = mosquitto()
    made = World(broker, metadata(broker.port), doubles)
    try:
        device = peer_device(bus=broker.port, metadata=made.metadata.port, blocks={}).start()
        device.said("device-spindle started")
        before = made.left().keys()
        code, rows, said = play(
            made.environment | {"EDGEX_DEVICE": "spindle-1/Temperature", "EDGEX_RESTART": ""}
        )
        print(said)
        assert rows["a device of another service"][0] == "yes", said
        assert rows["core-metadata restarted"] == ("skipped", "EDGEX_RESTART is not given"), said
        assert code == 0, said
        assert made.left().keys() == before
        assert device.stop() == 0
    finally:
        made.close()


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({}, "EDGEX_METADATA is needed: core-metadata"),
        ({"EDGEX_METADATA": "http://127.0.0.1:1"}, "EDGEX_BUS is needed: the message bus"),
        ({"EDGEX_METADATA": "http://127.0.0.1:1", "EDGEX_BUS": "redis://x:1"}, "redis://x:1 is no mqtt://"),
        ({"EDGEX_METADATA": "http://127.0.0.1:1", "EDGEX_BUS": "mqtt://127.0.0.1:1"}, "Connection refused"),
    ],
)
def test_without_an_edgex_it_says_what_is_missing(env: Mapping[str, str], word: str) -> None:
    code, _, said = play(env)
    assert code == 2
    assert word in said
