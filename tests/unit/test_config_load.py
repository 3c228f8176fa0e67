"""Configuration: order of sources, overrides, mistakes."""

import logging
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edgex_inference.config import decode
from edgex_inference.config.flags import Flags
from edgex_inference.config.load import PACKAGED, Loaded, load
from edgex_inference.config.schema import Configuration, DeviceLimits
from edgex_inference.contracts.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
INSECURE = {"EDGEX_SECURITY_SECRET_STORE": "false"}

COMMON = """
all-services:
  Writable:
    LogLevel: WARN
    InsecureSecrets:
      DB: {SecretName: postgres, SecretData: {username: postgres, password: postgres}}
    Telemetry: {Interval: 30s, Metrics: {SecuritySecretsRequested: false}, Tags: }
  Service:
    MaxRequestSize: 7
    ServerBindAddr: ""
    CORSConfiguration: {EnableCORS: false, CORSMaxAge: 3600}
    SecurityOptions: {Mode: "", OpenZitiController: "openziti:1280"}
  Registry: {Host: localhost, Port: 59890, Type: keeper}
  Database: {Type: postgres, Host: localhost, Port: 5432, MaxConns: 4}
  MessageBus:
    Host: broker
    Optional: {Qos: "1", Format: nats, QueueGroup: "", Subject: "edgex/#"}
  Clients: {security-proxy-auth: {Protocol: http, Host: localhost, Port: 59842}}
app-services:
  Trigger: {Type: edgex-messagebus, SubscribeTopics: "events/device/#"}
  Writable: {StoreAndForward: {Enabled: false, RetryInterval: 5m, MaxRetryCount: 10}}
  Clients: {core-metadata: {Protocol: http, Host: localhost, Port: 59881}}
device-services:
  Device: {MaxCmdOps: 128}
"""


def loaded(folder: Path, text: str = "", env: dict[str, str] | None = None, **flags: Any) -> Loaded:
    if text:
        (folder / "configuration.toml").write_text(text)
    return load(Flags(**flags), environ=INSECURE | (env or {}), directory=folder)


def mistakes(folder: Path, text: str = "", env: dict[str, str] | None = None, **flags: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, text, env, **flags)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_the_shipped_file_is_the_defaults_key_by_key() -> None:
    text = (ROOT / "configuration.toml").read_text()
    assert tomllib.loads(text) == decode.wire(Configuration())
    assert load(environ=INSECURE, directory=ROOT).config == Configuration()
    keys = [line for line in text.splitlines() if re.match(r"[A-Za-z]+ = ", line)]
    assert len(keys) > 35
    assert [line for line in keys if not re.search(r"(\S) +# \S", line)] == []


def test_the_packaged_file_is_the_shipped_one() -> None:
    assert PACKAGED.read_bytes() == (ROOT / "configuration.toml").read_bytes()


def test_without_any_file_the_packaged_default_counts(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert (found.config, found.file, found.service_key) == (Configuration(), None, "app-inference")
    assert (found.profiles, found.models, found.cache) == (tmp_path / "profiles", tmp_path / "models", None)
    assert found.notes == ()


def test_order_common_private_environment(tmp_path: Path) -> None:
    (tmp_path / "common.yaml").write_text(COMMON)
    private = '[MessageBus]\nPort = 1884\nOptional = {ClientId = "a"}\n[Writable]\nLogLevel = "debug"\n'
    env = {"MESSAGEBUS_PORT": "1885", "EDGEX_COMMON_CONFIG": "common.yaml"}
    found = loaded(tmp_path, private, env, common_config="ignored.yaml")
    bus = found.config.message_bus
    assert (bus.host, bus.port) == ("broker", 1885)
    assert (bus.optional["Qos"], bus.optional["ClientId"], bus.optional["KeepAlive"]) == ("1", "a", "10")
    assert found.config.writable.log_level == "DEBUG"
    assert found.config.service.max_request_size == 7
    assert found.config.trigger.topics == ("events/device/#",)
    (unused,) = [note for note in found.notes if note.level == logging.DEBUG]
    assert "Database" in unused.text
    assert "Writable.StoreAndForward" in unused.text
    assert [note for note in found.notes if note.level > logging.DEBUG] == []


def test_yaml_is_accepted_with_the_same_keys(tmp_path: Path) -> None:
    (tmp_path / "configuration.yaml").write_text(
        "MessageBus: {Port: 1999}\nInference: {DrainTimeout: 1m30s}\n"
    )
    found = loaded(tmp_path)
    assert found.config.message_bus.port == 1999
    assert found.config.inference.drain_timeout == 90.0


def test_every_scalar_key_has_its_variable(tmp_path: Path) -> None:
    values: dict[type, str] = {str: "Some", bool: "true", int: "1"}
    chosen = {
        "WRITABLE_LOGLEVEL": "ERROR",
        "MESSAGEBUS_TYPE": "memory",
        "MESSAGEBUS_AUTHMODE": "none",
        "TRIGGER_TYPE": "edgex-messagebus",
        "REGISTRY_TYPE": "consul",
        "INFERENCE_METADATA": "none",
        "INFERENCE_EDGEXVERSION": "3",
        "INFERENCE_MQTTCLIENT": "paho",
        "INFERENCE_MQTTVERSION": "5",
        "CLIENTS_CORE_METADATA_PROTOCOL": "https",
        "CLIENTS_CORE_COMMAND_PROTOCOL": "https",
    }
    env: dict[str, str] = {}

    def name(tree: dict[str, Any], steps: tuple[str, ...]) -> None:
        for key, value in tree.items():
            if isinstance(value, dict):
                name(value, (*steps, key))
                continue
            variable = "_".join((*steps, key)).upper().replace("-", "_")
            duration = isinstance(value, str) and re.fullmatch(r"\d+[smh]", value)
            number = isinstance(value, str) and value.isdigit()
            text = "7s" if duration else "true" if value in ("true", "false") else "1" if number else None
            env[variable] = chosen.get(variable) or text or values[type(value)]

    name(decode.wire(Configuration()), ())
    changed = decode.wire(loaded(tmp_path, env=env).config)
    assert changed["Inference"]["ProfilesDir"] == "Some"
    assert changed["Writable"]["InsecureSecrets"]["mqtt"]["SecretData"]["password"] == "Some"
    assert changed["MessageBus"]["Disabled"] is True
    defaults = decode.wire(Configuration())
    same = [key for part in changed for key, value in changed[part].items() if value == defaults[part][key]]
    assert same == ["InferenceBindings", "AuthMode", "Type", "Devices"]


def test_limits_of_devices(tmp_path: Path) -> None:
    text = '[Inference.Devices."openvino:GPU"]\nMaxModels = 2\nMaxMemory = 512\n[Inference.Devices.litert]\n'
    limits = loaded(
        tmp_path, text, {"INFERENCE_DEVICES_OPENVINO_GPU_MAXMODELS": "3"}
    ).config.inference.devices
    assert limits == {"openvino:GPU": DeviceLimits(max_models=3, max_memory=512), "litert": DeviceLimits()}
    wrong = '[Inference.Devices."openvino:GPU"]\nMaxModel = 2\nMaxMemory = -1\n'
    assert mistakes(tmp_path, wrong) == [
        "configuration.toml:2:1: Inference.Devices.openvino:GPU.MaxModel: unknown key 'MaxModel' "
        "(did you mean MaxModels?)",
        "configuration.toml:3:13: Inference.Devices.openvino:GPU.MaxMemory: -1 is not at least 0",
    ]


def test_optional_keys_that_no_file_has(tmp_path: Path) -> None:
    optional = loaded(tmp_path, env={"MESSAGEBUS_OPTIONAL_CLIENTID": "x-1"}).config.message_bus.optional
    assert optional["ClientId"] == "x-1"
    assert "Username" not in optional


def test_all_mistakes_at_once_in_the_users_spelling(tmp_path: Path) -> None:
    text = """\
[Writable]
LogLevel = "LOUD"
[MessageBus]
Prot = 1
Type = "nats"
Optional = {Pasword = "hunter2", Qos = "3"}
[Service]
RequestTimeout = "5 s"
Port = 70000
EnableNameFieldEscape = "yes"
[Inference]
Metadata = "maybe"
EdgexVersion = 4
[Inferense]
"""
    found = mistakes(tmp_path, text, {"MESSAGEBUS_PORT": "abc", "SERVICE_MAXRESULTCOUNT": "0"})
    assert found == [  # each file from top to bottom
        "MESSAGEBUS_PORT: MessageBus.Port: 'abc' is not a whole number",
        "configuration.toml:2:12: Writable.LogLevel: 'LOUD' is not TRACE, DEBUG, INFO, WARN or ERROR",
        "configuration.toml:4:1: MessageBus.Prot: unknown key 'Prot' (did you mean Port?)",
        "configuration.toml:5:8: MessageBus.Type: 'nats': say which: nats-core or nats-jetstream",
        "configuration.toml:6:12: MessageBus.Optional.Qos: '3' is not 0, 1 or 2",
        "configuration.toml:6:12: MessageBus.Optional.Pasword: unknown option 'Pasword' "
        "(did you mean Password?)",
        "configuration.toml:8:18: Service.RequestTimeout: '5 s' is no duration such as 800ms, 5s or 1m30s "
        "(units ns us ms s m h)",
        "configuration.toml:9:8: Service.Port: 70000 is not in 0..65535",
        "configuration.toml:10:25: Service.EnableNameFieldEscape: must be true or false, not yes",
        "configuration.toml:12:12: Inference.Metadata: 'maybe' is not auto, required or none",
        'configuration.toml:13:16: Inference.EdgexVersion: 4 is not auto, 2, 3 or 4 (a text: write "4" in quotes)',
        "configuration.toml:14:2: Inferense: unknown key 'Inferense' (did you mean Inference?)",
        "SERVICE_MAXRESULTCOUNT: Service.MaxResultCount: 0 is not at least 1",
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("configuration.toml", "[A\nb = 1", "configuration.toml:1:3: no valid TOML: Expected ']'"),
        ("configuration.toml", "a = 1\n\n a b", "configuration.toml:3:4: no valid TOML: Expected '='"),
        ("configuration.toml", "a = " + "[" * 30000, "configuration.toml: nested too deeply"),
        (
            "configuration.yaml",
            "MessageBus: {Prot: 1}",
            "configuration.yaml:1:14: MessageBus.Prot: unknown key",
        ),
        ("configuration.yaml", "MessageBus: [", "configuration.yaml:2:1: no valid YAML"),
        ("configuration.yaml", "hello", "configuration.yaml:1:1: must be a map of sections, not a text"),
        (
            "configuration.yaml",
            "Service:\n  Port: x",
            "configuration.yaml:2:9: Service.Port: must be a number",
        ),
        ("configuration.yaml", "Service: 3", "configuration.yaml:1:10: Service: must be a map, not a number"),
        (
            "configuration.toml",
            '[MessageQueue]\nType = "redis"',
            "configuration.toml:1:2: MessageQueue: EdgeX 2 has the bus here",
        ),
        (
            "configuration.toml",
            '[HttpServer]\nProtocol = "https"',
            "configuration.toml:2:12: HttpServer.Protocol: HTTPS is not built yet",
        ),
        (
            "configuration.toml",
            '[Inference]\nEdgexVersion = "1"',
            "configuration.toml:2:16: Inference.EdgexVersion: '1' is not auto, 2, 3 or 4",
        ),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    found = mistakes(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(said)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "configuration.toml").write_bytes(b'[Service]\nHost = "\xff"')
    assert mistakes(tmp_path) == ["configuration.toml:2:9: byte 0xff is no UTF-8 text"]


def test_no_secret_in_any_problem(tmp_path: Path) -> None:
    text = """\
Writable:
  InsecureSecrets:
    mqtt: {SecretName: 5, SecretData: {password: [hunter2]}}
    DB: hunter2
    x: {SecretDatum: hunter2}
MessageBus: {Optional: {Password: [hunter2], Pasword: hunter2, KeyPEMBlock: {a: hunter2}}}
"""
    (tmp_path / "configuration.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path)
    assert len(caught.value.problems) == 7
    assert "hunter2" not in repr(caught.value.problems)


@pytest.mark.parametrize(
    ("flags", "file"),
    [
        ({"config_file": "own.toml"}, "own.toml"),
        ({"config_file": "inner.toml"}, "res/inner.toml"),
        ({"config_dir": "conf"}, "conf/configuration.yaml"),
        ({"config_dir": "conf", "profile": "cam", "config_file": "x.toml"}, "conf/cam/x.toml"),
        ({"profile": "cam"}, "res/cam/configuration.toml"),
    ],
)
def test_where_the_private_file_is_looked_for(tmp_path: Path, flags: dict[str, Any], file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    found = loaded(tmp_path, "[Service]\nPort = 1\n", **flags)
    assert found.file == path
    assert found.config.service.port == 59760
    assert found.profiles == path.parent / "profiles"


def test_a_named_file_that_is_not_there(tmp_path: Path) -> None:
    (said,) = mistakes(tmp_path, config_file="no.toml")
    assert said.startswith("-cf/--configFile: no configuration file there; tried ")
    (said,) = mistakes(tmp_path, env={"EDGEX_PROFILE": "cam"})
    assert said.startswith("EDGEX_PROFILE: no configuration file there; tried ")
    (said,) = mistakes(tmp_path, common_config="no.yaml")
    assert said == "no.yaml: No such file or directory"
    (said,) = mistakes(tmp_path, config_file="https://host/c.yaml")
    assert said == "-cf/--configFile: this command reads files only, and that is an address"


def test_folders_start_where_they_were_written(tmp_path: Path) -> None:
    inner = tmp_path / "etc"
    inner.mkdir()
    (inner / "c.toml").write_text('[Inference]\nModelsDir = "m"\nProfilesDir = "/abs"\nCacheDir = "cache"\n')
    found = loaded(tmp_path, config_file="etc/c.toml")
    assert (found.models, found.profiles, found.cache) == (inner / "m", Path("/abs"), inner / "cache")
    found = loaded(tmp_path, env={"INFERENCE_MODELSDIR": "here"}, config_file="etc/c.toml")
    assert found.models == tmp_path / "here"
    found = loaded(tmp_path, env={"INFERENCE_MODELSDIR": "here"}, config_file="etc/c.toml", models="mine")
    assert found.models == tmp_path / "mine"


def test_what_is_not_built_or_wrong_is_refused_or_said(tmp_path: Path) -> None:
    (said,) = mistakes(tmp_path, config_provider="zookeeper.http://x:1")
    assert said.startswith(
        "-cp/--configProvider: 'zookeeper.http://x:1' is no provider such as keeper.http://"
    )
    (said,) = mistakes(tmp_path, env={"EDGEX_CONFIG_PROVIDER": "consul.http://x"})
    assert said.startswith("EDGEX_CONFIG_PROVIDER: 'consul.http://x' is no provider")
    assert loaded(tmp_path, env={"EDGEX_CONFIG_PROVIDER": "none"}, config_provider="nonsense")
    (said,) = mistakes(tmp_path, env={"EDGEX_SECURITY_SECRET_STORE": "true"})
    assert said.startswith("EDGEX_SECURITY_SECRET_STORE: the secret store is not built yet")
    (said,) = mistakes(tmp_path, env={"EDGEX_USE_REGISTRY": "perhaps"})
    assert said == "environment: EDGEX_USE_REGISTRY: 'perhaps' is not true or false"


def test_a_command_that_reads_files_alone_says_so(tmp_path: Path) -> None:
    (note,) = loaded(tmp_path, env={"EDGEX_CONFIG_PROVIDER": "keeper.http://x:1"}).notes
    assert note.text == "EDGEX_CONFIG_PROVIDER: this command reads files only, the provider is not asked"
    (said,) = mistakes(tmp_path, config_file="http://x/configuration.toml")
    assert said == "-cf/--configFile: this command reads files only, and that is an address"


def test_variables_of_edgex_2_mean_the_same(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "configuration.toml").write_text("[MessageBus]\nPort = 7\n")
    env = {"EDGEX_CONF_DIR": "old", "EDGEX_CONFIGURATION_PROVIDER": "none", "EDGEX_INSTANCE_NAME": "b"}
    found = loaded(tmp_path, env=env, config_provider="nonsense", instance="a")
    assert (found.config.message_bus.port, found.service_key) == (7, "app-inference_b")
    newer = env | {"EDGEX_CONFIG_DIR": "."}
    (tmp_path / "configuration.toml").write_text("[MessageBus]\nPort = 8\n")
    assert loaded(tmp_path, env=newer).config.message_bus.port == 8


def test_insecure_mode_unless_said_is_one_warning(tmp_path: Path) -> None:
    for environ in ({}, {"EDGEX_SECURITY_SECRET_STORE": ""}):
        (note,) = load(environ=environ, directory=tmp_path).notes
        assert note.level == logging.WARNING
        assert "insecure" in note.text


def test_what_a_user_switched_on_and_nobody_reads_is_said(tmp_path: Path) -> None:
    text = '[Service.SecurityOptions]\nMode = "zerotrust"\n[Trigger]\nPublishTopic = "x"\n'
    text += '[MessageBus.Optional]\nFooBarBaz = "1"\n'
    notes = [note.text for note in loaded(tmp_path, text).notes if note.level == logging.WARNING]
    assert len(notes) == 3
    assert any(note.startswith("Service.SecurityOptions.Mode is set") for note in notes)


def test_switches_of_metrics_may_be_texts(tmp_path: Path) -> None:
    text = '[Writable.Telemetry.Metrics]\nMessagesReceived = false\nInference = "TRUE"\n'
    env = {"WRITABLE_TELEMETRY_METRICS_MESSAGESRECEIVED": "true"}
    metrics = loaded(tmp_path, text, env=env).config.writable.telemetry.metrics
    assert metrics == {"MessagesReceived": True, "Inference": True}
    (said,) = mistakes(tmp_path, '[Writable.Telemetry.Metrics]\nInference = "much"\n')
    assert "Writable.Telemetry.Metrics.Inference: must be true or false" in said


def test_cors_is_spelled_as_edgex_spells_it(tmp_path: Path) -> None:
    text = "[Service.CORSConfiguration]\nEnableCORS = true\nCORSMaxAge = 60\n"
    env = {"SERVICE_CORSCONFIGURATION_CORSALLOWEDORIGIN": "*"}
    cors = loaded(tmp_path, text, env=env).config.service.cors_configuration
    assert (cors.enable_cors, cors.cors_max_age, cors.cors_allowed_origin) == (True, 60, "*")


def test_a_misspelled_variable_is_said(tmp_path: Path) -> None:
    env = {"INFERENCE_PROFILEDIR": "x", "SERVICE_HOME": "other", "INFERENCES": "1"}
    (note,) = loaded(tmp_path, env=env).notes
    assert note.text.endswith("did you mean INFERENCE_PROFILESDIR?")
