"""EdgeX's MessageBus section becomes the settings of Redis, NATS and ZeroMQ, and every mistake a sentence."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from edgex_inference.buses.kinds import carries_headers
from edgex_inference.buses.nats.settings import NatsSettings, StreamSettings
from edgex_inference.buses.nats.settings import settings_from as nats
from edgex_inference.buses.redis.settings import RedisSettings
from edgex_inference.buses.redis.settings import settings_from as redis
from edgex_inference.buses.section import Tls
from edgex_inference.buses.zeromq.settings import Address, ZeroMqSettings
from edgex_inference.buses.zeromq.settings import settings_from as zeromq
from edgex_inference.contracts.errors import ConfigurationError


def section(kind: str, port: int, optional: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {"Type": kind, "Host": "h", "Port": port, **changes, "Optional": optional or {}}


def mistakes(read: Callable[[], object]) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        read()
    return {problem.path: problem.message for problem in caught.value.problems}


def test_redis_as_edgex_3_configures_it() -> None:
    """AuthMode says usernamepassword also where the secret is empty, and the user is not sent."""
    written = section("redis", 6379, Protocol="redis", AuthMode="usernamepassword", SecretName="redisdb")
    assert redis(written, {"username": "", "password": ""}) == RedisSettings(host="h")
    assert redis(written, {"username": "u", "password": "p"}).password == "p"
    assert redis(written, None, service_key="app-x").client_id == "app-x"
    assert "'p'" not in repr(redis(written, {"username": "u", "password": "p"}))


def test_redis_is_encrypted_by_its_protocol_or_by_certificates() -> None:
    assert redis(section("redis", 1, Protocol="rediss")).tls == Tls()
    assert redis(section("redis", 1, {"CaFile": "ca.pem"}, Protocol="redis")).tls == Tls(ca_file="ca.pem")
    plain = redis(section("redis", 1, {"CaFile": "ca.pem"}, Protocol="tcp"))
    assert plain.tls is None
    assert "certificate options are not used" in plain.notes[0]


def test_nats_with_every_option() -> None:
    options = {
        "ClientId": "c",
        "Format": "JSON",
        "ConnectTimeout": "9",
        "RetryOnFailedConnect": "true",
        "QueueGroup": "g",
        "NKeySeedFile": "seed",
        "CredentialsFile": "creds",
        "ExactlyOnce": "true",
        "Durable": "d",
    }
    written = section("nats-core", 4222, options, Protocol="nats", AuthMode="usernamepassword")
    assert nats(written, {"username": "u", "password": "p"}) == NatsSettings(
        host="h",
        client_id="c",
        username="u",
        password="p",
        nkey_seed_file="seed",
        credentials_file="creds",
        connect_timeout=9,
        format="json",
        queue_group="g",
        exactly_once=True,
    )


def test_jetstream_with_its_defaults_and_with_every_option() -> None:
    assert nats(section("nats-jetstream", 1)).stream == StreamSettings(subject="edgex/#", provision=True)
    options = {
        "Subject": "site/edgex/#",
        "Durable": "d",
        "Deliver": "lastPerSubject",
        "AutoProvision": "false",
        "DefaultPubRetryAttempts": "5",
    }
    assert nats(section("nats-jetstream", 1, options)).stream == StreamSettings(
        subject="site/edgex/#", durable="d", deliver="lastpersubject", provision=False, retries=5
    )


@pytest.mark.parametrize(
    ("subject", "durable", "name"),
    [("edgex/#", "", "edgex"), ("a/b/#", "", "a_b"), ("a/+/c", "", "a__c"), ("edgex/#", "d", "d")],
)
def test_a_stream_is_called_as_edgex_calls_it(subject: str, durable: str, name: str) -> None:
    assert StreamSettings(subject=subject, durable=durable).name == name


def test_mistakes_of_nats() -> None:
    options = {"Format": "xml", "Deliver": "old", "Subject": "edgex/#/x", "Durable": "a.b"}
    found = mistakes(lambda: nats(section("nats-jetstream", 0, options, Protocol="http")))
    assert set(found) == {
        "MessageBus.Protocol",
        "MessageBus.Port",
        "MessageBus.Optional.Format",
        "MessageBus.Optional.Deliver",
        "MessageBus.Optional.Subject",
        "MessageBus.Optional.Durable",
    }
    assert found["MessageBus.Optional.Format"] == "'xml' is not known here; use one of nats, json"
    assert "MessageBus.Optional.Subject" in mistakes(
        lambda: nats(section("nats-jetstream", 1, {"Subject": "#"}))
    )


def test_zeromq_listens_to_several() -> None:
    options = {"SubscribeHosts": "tcp://other:5564, h:5563,[::1]:7", "PublishPort": "0"}
    assert zeromq(section("zero", 5563, options)) == ZeroMqSettings(
        publishers=(Address("h", 5563), Address("other", 5564), Address("::1", 7)), publish_port=0
    )
    assert Address("::1", 7).url == "tcp://[::1]:7"
    found = mistakes(lambda: zeromq(section("zero", 1, {"SubscribeHosts": "core-data", "PublishPort": "x"})))
    assert set(found) == {"MessageBus.Optional.SubscribeHosts", "MessageBus.Optional.PublishPort"}


@pytest.mark.parametrize(
    ("kind", "options", "carries"),
    [
        ("nats-core", {}, True),
        ("nats-jetstream", {"Format": "nats"}, True),
        ("nats-core", {"Format": "Json"}, False),
        ("mqtt", {"Format": "nats"}, False),
        ("redis", {}, False),
    ],
)
def test_the_envelope_is_headers_on_nats(kind: str, options: dict[str, str], carries: bool) -> None:
    assert carries_headers(kind, options) == carries


@pytest.mark.parametrize(
    ("kind", "library", "module"),
    [("redis", "redis", "redis"), ("nats-core", "nats-py", "nats"), ("zero", "pyzmq", "zmq")],
)
def test_a_missing_library_is_one_sentence(kind: str, library: str, module: str) -> None:
    """Nobody imports it before its bus is wanted, either."""
    script = (
        "import sys\n"
        f"sys.modules['{module}'] = None\n"
        "from edgex_inference.buses.kinds import bus_from\n"
        "from edgex_inference.contracts.errors import SetupError\n"
        "try:\n"
        f"    bus_from('{kind}', {{'Host': 'h', 'Port': 1}}, None, service_key='k', file='f', speaking=lambda s: s)\n"
        "except SetupError as error:\n"
        "    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    extra = {"redis": "redis", "nats-core": "nats", "zero": "zeromq"}[kind]
    assert said == f'{library} is missing: pip install "edgex-inference[{extra}]"\n'
