"""The commands of docs/how-to/configuration-provider.md, as a reader would give them."""

import re
import shlex
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

Make = Callable[..., Any]
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "configuration-provider.md"
ENV = {"EDGEX_SECURITY_SECRET_STORE": "false", "SERVICE_PORT": "0", "SERVICE_HOST": "127.0.0.1"}


def curl(command: str) -> int:
    """Gives `curl -X METHOD URL -d DATA` a run without curl; the status."""
    words = shlex.split(command)
    assert words[:2] == ["curl", "-X"], command
    data = words[words.index("-d") + 1].encode() if "-d" in words else None
    request = urllib.request.Request(words[3], data=data, method=words[2])
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(answer.status)


def test_every_command_does_what_the_page_says(pump: Any, mosquitto: Make, keeper: Make) -> None:
    broker = mosquitto()
    holder = keeper(broker.port)
    page = PAGE.read_text().replace("localhost:59890", f"127.0.0.1:{holder.port}")
    commands = re.findall(
        r"^(?:edgex-inference|curl) .*$", "\n".join(re.findall(r"```sh\n(.*?)```", page, re.S)), re.M
    )
    assert len(commands) == 5
    start, level, interval, enabled, back = commands
    service = pump.start(*shlex.split(start)[1:], env=ENV).ready()
    holder.until(lambda: holder.status("app-inference") == "UP", "it is registered")
    holder.until(lambda: any("Writable?keyOnly" in line for line in holder.lines()), "it watches")
    assert curl(level) == 200
    service.said("Writable.LogLevel is DEBUG now")
    assert curl(interval) == 200
    service.until(
        lambda: service.binding("Wear")["settings"]["publish"]["minInterval"] == "2s", "the interval"
    )
    assert service.binding("Wear")["origins"]["publish.minInterval"] == "writable"
    assert curl(enabled) == 200
    service.until(lambda: not service.binding("Wear")["settings"]["enabled"], "it is off")
    assert curl(back) == 200
    service.said("Writable.InferenceBindings has changed: no overrides are left")
    service.until(lambda: service.binding("Wear")["settings"]["enabled"], "it is on")
    assert service.stop() == 0
