"""Configuration files that are named by an http address, with the header that a secret holds."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from edgex_inference.config.flags import Flags
from edgex_inference.contracts.errors import ConfigurationError, SetupError
from edgex_inference.edgex.providers.boot import Booted, Origin, boot

ENV = {
    "EDGEX_SECURITY_SECRET_STORE": "false",
    "EDGEX_STARTUP_DURATION": "0.05",
    "EDGEX_STARTUP_INTERVAL": "0.01",
}
COMMON = """
all-services:
  MessageBus: {Host: broker}
  Writable:
    InsecureSecrets:
      files:
        SecretName: config-files
        SecretData: {type: httpheader, headername: X-Key, headercontents: open-sesame}
app-services: {Trigger: {SubscribeTopics: "events/device/#"}}
"""


class Files:
    """A web server with files; one of them wants a header."""

    def __init__(self) -> None:
        self.url = ""
        self.texts = {"common.yaml": COMMON, "private.toml": "[MessageBus]\nPort = 1234\n"}

    async def answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == "private.toml" and request.headers.get("X-Key") != "open-sesame":
            return web.Response(status=401)
        return web.Response(text=self.texts[name]) if name in self.texts else web.Response(status=404)


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    made = Files()
    app = web.Application()
    app.router.add_get("/{name}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def started(folder: Path, env: dict[str, str] | None = None, **flags: Any) -> Booted:
    return await boot(Origin(flags=Flags(**flags), environ=ENV | (env or {}), directory=folder))


async def test_both_files_come_from_addresses(files: Files, tmp_path: Path) -> None:
    private = f"{files.url}/private.toml?edgexSecretName=config-files"
    booted = await started(tmp_path, config_file=private, common_config=f"{files.url}/common.yaml")
    bus = booted.loaded.config.message_bus
    assert (bus.host, bus.port) == ("broker", 1234)
    assert booted.loaded.config.trigger.topics == ("events/device/#",)
    files.texts["private.toml"] = "[MessageBus]\nPort = 99\n"
    assert (await booted.again()).config.message_bus.port == 99


async def test_the_secret_may_lie_in_a_common_file(files: Files, tmp_path: Path) -> None:
    (tmp_path / "common.yaml").write_text(COMMON)
    env = {
        "EDGEX_CONFIG_FILE": f"{files.url}/private.toml?edgexSecretName=config-files",
        "EDGEX_COMMON_CONFIG": "common.yaml",
    }
    assert (await started(tmp_path, env)).loaded.config.message_bus.port == 1234


async def test_an_unknown_secret_is_told(files: Files, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"edgexSecretName=nobody: no entry of Writable.InsecureSecrets"
    ):
        await started(tmp_path, config_file=f"{files.url}/private.toml?edgexSecretName=nobody")


async def test_a_refusal_and_an_absent_server_end_the_start(files: Files, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"-cf/--configFile at http://.*: no file: status 401.*gave up"):
        await started(tmp_path, config_file=f"{files.url}/private.toml")
    with pytest.raises(SetupError, match=r"-cc/--commonConfig at http://127.0.0.1:1/c.yaml does not answer"):
        await started(tmp_path, common_config="http://127.0.0.1:1/c.yaml")


async def test_a_broken_file_is_told_with_its_line(files: Files, tmp_path: Path) -> None:
    files.texts["other.yaml"] = "Writable:\n  LogLevel: LOUD\n"
    with pytest.raises(ConfigurationError, match=r"/other.yaml:2:13: Writable.LogLevel: 'LOUD' is not"):
        await started(tmp_path, config_file=f"{files.url}/other.yaml")
    files.texts["other"] = ""
    with pytest.raises(ConfigurationError, match=r"must end in .toml, .yaml or .yml"):
        await started(tmp_path, config_file=f"{files.url}/other")
