"""What a provider holds: flat texts to trees and back, casts, what is unknown there, and who wins."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.config import environment
from edgex_inference.config.environment import Startup
from edgex_inference.config.flags import Flags
from edgex_inference.config.load import Loaded, load
from edgex_inference.config.problems import Document
from edgex_inference.config.sources.held import Held, Outside, Part, flat, text_of
from edgex_inference.contracts.errors import ConfigurationError

INSECURE = {"EDGEX_SECURITY_SECRET_STORE": "false"}


def held(private: dict[str, str] | None = None, *common: dict[str, str]) -> Held:
    parts = tuple(Part(path=f"edgex/v4/common-{index}", values=one) for index, one in enumerate(common))
    own = None if private is None else Part(path="edgex/v4/app-inference", values=private)
    return Held(provider="core-keeper", common=parts, private=own)


def loaded(folder: Path, what: Held, env: dict[str, str] | None = None, **flags: Any) -> Loaded:
    return load(Flags(**flags), environ=INSECURE | (env or {}), directory=folder, outside=Outside(held=what))


def warnings(found: Loaded) -> list[str]:
    return [note.text for note in found.notes if note.level == logging.WARNING]


def test_texts_become_what_the_key_holds(tmp_path: Path) -> None:
    common = {
        "Service/MaxRequestSize": "7",
        "Service/EnableNameFieldEscape": "true",
        "Writable/Telemetry/Metrics/SecuritySecretsStored": "false",
        "Writable/Telemetry/Interval": "40s",
        "MessageBus/Optional/Durable": "",
        "Service/MaxResultCount": "",
    }
    config = loaded(tmp_path, held({}, common)).config
    assert (config.service.max_request_size, config.service.enable_name_field_escape) == (7, True)
    assert config.writable.telemetry.metrics == {"SecuritySecretsStored": False}
    assert config.writable.telemetry.interval == 40.0
    assert config.service.max_result_count == 1024, "an empty text is no number: the default counts"


def test_ours_counts_over_the_kind_and_that_over_all(tmp_path: Path) -> None:
    what = held(
        {"MessageBus/Host": "c"},
        {"MessageBus/Host": "a", "MessageBus/Port": "1", "Registry/Host": "a"},
        {"MessageBus/Host": "b", "MessageBus/Port": "2"},
    )
    config = loaded(tmp_path, what).config
    assert (config.message_bus.host, config.message_bus.port, config.registry.host) == ("c", 2, "a")


def test_what_is_stored_counts_over_file_and_environment(tmp_path: Path) -> None:
    (tmp_path / "configuration.toml").write_text('[Writable]\nLogLevel = "WARN"\n[Inference]\nThreads = 3\n')
    what = held({"Writable/LogLevel": "ERROR"})
    found = loaded(tmp_path, what, {"WRITABLE_LOGLEVEL": "DEBUG"})
    assert found.config.writable.log_level == "ERROR"
    assert found.config.inference.threads == 3, "a key that is new in the file counts"
    (said,) = warnings(found)
    assert said.startswith("WRITABLE_LOGLEVEL is set, and core-keeper says otherwise: what is stored counts")
    assert found.private == {"Writable/LogLevel": "DEBUG", "Inference/Threads": "3"}


def test_nothing_stored_means_file_and_environment(tmp_path: Path) -> None:
    (tmp_path / "configuration.toml").write_text('[Writable]\nLogLevel = "WARN"\n')
    env = {"WRITABLE_LOGLEVEL": "DEBUG", "MESSAGEBUS_HOST": "here"}
    found = loaded(tmp_path, held(None, {"MessageBus/Host": "there"}), env)
    assert found.config.writable.log_level == "DEBUG"
    assert found.config.message_bus.host == "there", "the environment reaches what is our own, as in EdgeX"
    assert found.private == {"Writable/LogLevel": "DEBUG"}
    (said,) = warnings(found)
    assert said.startswith("MESSAGEBUS_HOST is set, and core-keeper says otherwise")


def test_without_a_file_only_what_is_our_own_would_be_stored(tmp_path: Path) -> None:
    found = loaded(tmp_path, held(None, {"MessageBus/Host": "there"}), {"SERVICE_HOST": "me"})
    assert found.private["Service/Host"] == "me"
    sections = {key.split("/")[0] for key in found.private}
    assert sections == {"Writable", "Service", "Trigger", "Inference"}
    assert found.config.message_bus.host == "there"


def test_unknown_keys_are_no_mistakes_there(tmp_path: Path) -> None:
    found = loaded(tmp_path, held({"Inference/ProfileDir": "x"}, {"Service/Nova": "1", "Nova/Key": "2"}))
    (said,) = warnings(found)
    assert said.startswith(
        "core-keeper edgex/v4/app-inference: Inference.ProfileDir: unknown key 'ProfileDir'"
    )


def test_a_broken_value_is_told_with_its_place_and_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, held({"MessageBus/Port": "many", "Writable/LogLevel": "LOUD"}))
    said = sorted(str(problem) for problem in caught.value.problems)
    assert said[0].startswith("core-keeper edgex/v4/app-inference: MessageBus.Port: must be a number")
    assert said[1].startswith("core-keeper edgex/v4/app-inference: Writable.LogLevel: 'LOUD' is not TRACE")


def test_overrides_of_bindings_are_read_as_yaml(tmp_path: Path) -> None:
    base = "Writable/InferenceBindings/Parts"
    values = {
        f"{base}/enabled": "false",
        f"{base}/decide/raise": "0.7",
        f"{base}/accelerator/0": "openvino:GPU",
        f"{base}/accelerator/1": "onnxruntime:CPU",
        f"{base}/labels": "[a, b]",
        f"{base}/model/version": '"1.10"',
        f"{base}/odd": "a: [",
    }
    bindings = loaded(tmp_path, held(values)).config.writable.inference_bindings
    assert bindings == {
        "Parts": {
            "enabled": False,
            "decide": {"raise": 0.7},
            "accelerator": ["openvino:GPU", "onnxruntime:CPU"],
            "labels": ["a", "b"],
            "model": {"version": "1.10"},
            "odd": "a: [",
        }
    }


def test_texts_of_overrides_stay_texts_on_the_way_there_and_back(tmp_path: Path) -> None:
    written = {"Parts": {"model": {"version": "1.10"}, "labels": ["on", "7", "é"], "decide": {"raise": 0.5}}}
    (tmp_path / "configuration.yaml").write_text(json.dumps({"Writable": {"InferenceBindings": written}}))
    there = loaded(tmp_path, held(None)).private
    assert there["Writable/InferenceBindings/Parts/model/version"] == '"1.10"'
    (tmp_path / "configuration.yaml").unlink()
    assert loaded(tmp_path, held(dict(there))).config.writable.inference_bindings == written


def test_edgex_2_has_everything_in_one_part_and_the_environment_over_it(tmp_path: Path) -> None:
    env = {"MESSAGEBUS_HOST": "here", "MESSAGEBUS_OPTIONAL_CLIENTID": "me"}
    first = loaded(tmp_path, replace(held(None), alone=True), env)
    assert first.config.message_bus.host == "here"
    assert (first.private["MessageBus/Host"], first.private["MessageBus/Optional/ClientId"]) == ("here", "me")
    again = loaded(tmp_path, replace(held(dict(first.private)), alone=True), {"MESSAGEBUS_HOST": "there"})
    assert again.config.message_bus.host == "there"
    assert warnings(again) == []


def test_a_subtree_counts_over_a_leaf_at_the_same_key(tmp_path: Path) -> None:
    what = held({"Writable/Telemetry": '{"Interval":"1s"}', "Writable/Telemetry/Interval": "2s"})
    assert loaded(tmp_path, what).config.writable.telemetry.interval == 2.0


def test_a_tree_goes_flat_as_go_writes_it() -> None:
    tree = Document.parse("a: {b: [1, x], c: , d: {}}\ne: true\nf: 3.0\ng: ''\nh: 0.50", "x.yaml").root
    assert flat(tree) == {"a/b/0": "1", "a/b/1": "x", "e": "true", "f": "3", "g": "", "h": "0.50"}
    assert [text_of(value) for value in (True, 3.0, 2.5, 7, "x")] == ["true", "3", "2.5", "7", "x"]


def test_the_time_for_a_start() -> None:
    assert environment.startup({}) == (Startup(duration=60, interval=1, file_timeout=15), ())
    env = {"EDGEX_STARTUP_DURATION": "7", "EDGEX_STARTUP_INTERVAL": "0.5", "EDGEX_FILE_URI_TIMEOUT": "1m"}
    assert environment.startup(env)[0] == Startup(duration=7, interval=0.5, file_timeout=60)
    _, problems = environment.startup({"EDGEX_STARTUP_DURATION": "long", "EDGEX_FILE_URI_TIMEOUT": "5"})
    assert [str(one) for one in problems] == [
        "environment: EDGEX_STARTUP_DURATION: 'long' is not a number of seconds",
        "environment: EDGEX_FILE_URI_TIMEOUT: '5' is not a duration such as 15s",
    ]
