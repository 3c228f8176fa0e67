"""No secret leaves through the configuration page."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edgex_inference.config.decode import wire
from edgex_inference.config.redact import REDACTED, redact
from edgex_inference.config.schema import Configuration, MessageBus, Secret, Writable

SECRET = "hunter2-s3cr3t"


def test_every_place_of_a_secret() -> None:
    secrets = {"mqtt": Secret(secret_name="mqtt-bus", secret_data={"username": "", "anything": SECRET})}
    optional = {"ClientId": "x", "Password": SECRET, "KeyPEMBlock": SECRET, "KeyFile": f"/etc/{SECRET}"}
    optional["CaPEMBlock"] = f"-----BEGIN CERTIFICATE-----\n{SECRET}"
    optional["Other"] = f"-----BEGIN PRIVATE KEY-----\n{SECRET}"
    config = Configuration(
        writable=Writable(insecure_secrets=secrets),
        message_bus=MessageBus(host=f"mqtt://me:{SECRET}@broker", optional=optional),
    )
    shown = redact(wire(config))
    assert SECRET not in json.dumps(shown)
    assert SECRET not in repr(replace(config, message_bus=MessageBus(optional=optional)))
    assert shown["Writable"]["InsecureSecrets"]["mqtt"] == {
        "SecretName": "mqtt-bus",
        "SecretData": {"username": "", "anything": REDACTED},
    }
    assert shown["MessageBus"]["Optional"]["ClientId"] == "x"
    assert shown["MessageBus"]["Host"] == f"mqtt://{REDACTED}@broker"
    assert shown["MessageBus"]["SecretName"] == "mqtt-bus"


def test_the_defaults_are_shown_as_they_are() -> None:
    assert redact(wire(Configuration())) == wire(Configuration())


_names = st.sampled_from(
    ["password", "Passwd", "apiToken", "x-api-key", "PrivateKey", "clientSecret", "Credentials", "SecretData"]
)
_values = st.recursive(
    st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(_names, _values, st.lists(st.sampled_from(["A", "b", "Writable"]), max_size=3))
def test_named_like_a_secret_at_any_depth(name: str, value: object, way: list[str]) -> None:
    tree: dict[str, object] = {name: value, "Plain": {"Host": "harmless"}}
    for step in way:
        tree = {step: [tree]}
    once = redact(tree)
    assert SECRET not in json.dumps(once)
    assert json.dumps(once).count("harmless") == 1
    assert redact(once) == once
