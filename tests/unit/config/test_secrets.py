"""Secrets that were posted: where a provider keeps them, and that what it then says of them changes nothing."""

from pathlib import Path

import pytest

from edgex_inference.config.flags import Flags
from edgex_inference.config.load import Loaded, load
from edgex_inference.config.schema import Secret
from edgex_inference.config.secrets import Secrets
from edgex_inference.config.sources.held import Held, Outside, Part

BASE = "Writable/InsecureSecrets"


def started(folder: Path, stored: dict[str, str] | None) -> Loaded:
    """A start with what a provider holds; None: nothing yet."""
    own = None if stored is None else Part(path="edgex/v4/app-inference", values=stored)
    held = Held(provider="core-keeper", private=own)
    environ = {"EDGEX_SECURITY_SECRET_STORE": "false"}
    return load(Flags(), environ=environ, directory=folder, outside=Outside(held=held))


def secrets(loaded: Loaded) -> Secrets:
    return Secrets(loaded.config.writable.insecure_secrets)


def test_it_is_kept_where_its_secret_name_stands_already() -> None:
    entries = {"DB": Secret(secret_name="redisdb", secret_data={"username": "u", "password": "old"})}
    made = Secrets(entries)
    assert made.texts("redisdb", {"password": "new"}) == {
        f"{BASE}/DB/SecretName": "redisdb",
        f"{BASE}/DB/SecretData/password": "new",
    }
    assert made.texts("other", {"token": "t"}) == {
        f"{BASE}/other/SecretName": "other",
        f"{BASE}/other/SecretData/token": "t",
    }


def test_a_name_that_is_the_key_of_another_secret_does_not_overwrite_it() -> None:
    made = Secrets({"mqtt": Secret(secret_name="mqtt-bus", secret_data={"password": "p"})})
    assert made.texts("mqtt", {"a": "b"}) == {
        f"{BASE}/mqtt_/SecretName": "mqtt",
        f"{BASE}/mqtt_/SecretData/a": "b",
    }
    made.store("mqtt", {"a": "b"})
    assert made.entries()["mqtt"].secret_name == "mqtt-bus"
    assert made.entries()["mqtt_"] == Secret(secret_name="mqtt", secret_data={"a": "b"})


@pytest.mark.parametrize("name", ["mqtt-bus", "new", "a/b", "50%", "a%2Fb", "ü x", "-._~"])
def test_it_is_there_after_the_providers_echo_and_at_the_next_start(tmp_path: Path, name: str) -> None:
    first = started(tmp_path, None)
    stored, made, values = dict(first.private), secrets(first), {"username": "edge", "password": "new"}
    made.store(name, values)
    stored |= made.texts(name, values)
    again = started(tmp_path, stored)
    made.take_up(again.config.writable.insecure_secrets)
    assert made.of(name) == values, "the echo"
    assert secrets(again).of(name) == values, "the next start"
    assert list(made.texts(name, values)) == list(secrets(again).texts(name, values)), "in the same place"
    assert again.private.keys() == first.private.keys()


def test_names_of_entries_in_a_file_survive_the_provider(tmp_path: Path) -> None:
    text = '[Writable.InsecureSecrets."a/b"]\nSecretName = "a/b"\nSecretData = {key = "x"}\n'
    (tmp_path / "configuration.toml").write_text(text)
    stored = dict(started(tmp_path, None).private)
    assert stored[f"{BASE}/a%2Fb/SecretData/key"] == "x"
    (tmp_path / "configuration.toml").unlink()
    assert secrets(started(tmp_path, stored)).of("a/b") == {"key": "x"}
