"""What the configuration says as things that work: the engine, the message bus, its dialect."""

import hashlib
from collections.abc import Collection, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path

from edgex_inference.buses.kinds import bus_from, carries_headers
from edgex_inference.buses.memory import MemoryBus, MemoryHub
from edgex_inference.buses.mqtt.settings import with_client
from edgex_inference.config.credentials import credentials
from edgex_inference.config.decode import wire
from edgex_inference.config.load import Loaded
from edgex_inference.config.places import suggest
from edgex_inference.config.schema import CORE_COMMAND, Client
from edgex_inference.config.secrets import Secrets
from edgex_inference.contracts.bus import Bus
from edgex_inference.contracts.errors import ConfigurationError, Problem
from edgex_inference.edgex.commands import CommandClient
from edgex_inference.edgex.dialect import Dialect, Major
from edgex_inference.edgex.providers.presence import Presence
from edgex_inference.engine.catalog import Catalog
from edgex_inference.engine.fleet import Fleet
from edgex_inference.engine.store import Store
from edgex_inference.pipeline.outbox import Outbox
from edgex_inference.pipeline.planning.choosing.records import Records
from edgex_inference.pipeline.planning.plan import Engine

_MAJORS: Mapping[str, Major | None] = {"2": "2", "3": "3", "4": "4", "auto": None}


def open_engine(loaded: Loaded, catalog: Catalog | None = None, secrets: Secrets | None = None) -> Engine:
    """Catalogue, model store and fleet as configured: no bus, no web. Close its fleet when done.

    Raises ConfigurationError for settings of an accelerator that nobody knows.
    """
    secrets = secrets or Secrets(loaded.config.writable.insecure_secrets)
    inference = loaded.config.inference
    catalog = catalog or Catalog()
    considered = frozenset(one.strip() for one in inference.auto_accelerators.split(",") if one.strip())
    _check_names(loaded, catalog, considered)
    catalog.considered = considered
    kept = loaded.cache or loaded.state
    packaged = Path(str(files("edgex_inference"))) / "demo" / "models"
    return Engine(
        catalog=catalog,
        store=Store([loaded.models, packaged]),
        fleet=Fleet(
            cache=loaded.cache,
            most=inference.cache_max_size << 20,
            threads=inference.threads or None,
            limits=inference.devices,
            secrets=secrets.of,
        ),
        max_pixels=inference.max_pixels,
        records=Records(kept / "choices" if kept is not None else None),
    )


def _check_names(loaded: Loaded, catalog: Catalog, considered: Collection[str]) -> None:
    """A setting for an accelerator that nobody knows would hold for nobody."""
    said = [(f"Devices.{one}", one.partition(":")[0]) for one in loaded.config.inference.devices]
    said += [("AutoAccelerators", one) for one in considered]
    known = catalog.names() if said else ()
    file = str(loaded.file or "configuration")
    unknown = [
        Problem(
            file=file, path=f"Inference.{path}", message=f"{name!r} is no accelerator{suggest(name, known)}"
        )
        for path, name in said
        if name not in known
    ]
    if unknown:
        raise ConfigurationError(unknown)


def dialect_of(loaded: Loaded) -> Dialect:
    """How the configuration says that consumers want to be spoken to."""
    config, switches = loaded.config, loaded.switches
    return Dialect(
        major=_MAJORS[config.inference.edgex_version],
        base64_payload=switches.base64_payload,
        cbor_envelope=switches.cbor_envelope,
        cbor_events=switches.cbor_events,
        optimize=switches.optimize,
        escape_names=config.service.enable_name_field_escape,
        base_topic=config.message_bus.base_topic_prefix,
        headers=carries_headers(config.message_bus.type, config.message_bus.optional),
    )


def open_bus(loaded: Loaded) -> Bus:
    """The configured message bus, not yet connected; raises SetupError naming what is wrong or missing."""
    section = loaded.config.message_bus
    if section.disabled or section.type == "memory":
        return MemoryBus(MemoryHub())
    found = credentials(loaded.config)
    secret = None
    if found is not None:
        secret = {
            "username": found.username,
            "password": found.password,
            "cacert": found.ca_cert,
            "clientcert": found.client_cert,
            "clientkey": found.client_key,
        }
    file = str(loaded.file or "configuration")
    inference = loaded.config.inference
    speaking = partial(
        with_client,
        client=inference.mqtt_client,
        version=inference.mqtt_version,
        max_message=inference.max_message_size << 10,
        file=file,
    )
    return bus_from(
        section.type, wire(section), secret, service_key=loaded.service_key, file=file, speaking=speaking
    )


def open_commands(loaded: Loaded, presence: Presence) -> CommandClient:
    """The configured core-command, or the one that the registry knows; nothing is asked yet."""
    url = loaded.config.clients.get(CORE_COMMAND, Client(port=59882)).url
    client = CommandClient(url, locate=partial(presence.find, CORE_COMMAND))
    client.major = dialect_of(loaded).major
    return client


def with_outbox(loaded: Loaded, bus: Bus) -> Bus:
    """The bus, in an outbox where one is configured and the bus can be away at all."""
    inference, section = loaded.config.inference, loaded.config.message_bus
    if loaded.state is None or not inference.outbox_max_size or section.disabled or section.type == "memory":
        return bus
    bus_there = (
        f"{section.type}://{section.host}:{section.port}"  # results wait for that bus and for no other
    )
    digest = hashlib.blake2b(bus_there.encode(), digest_size=4).hexdigest()
    file = loaded.state / f"outbox-{loaded.service_key}-{digest}.sqlite"
    return Outbox(bus, file, most=inference.outbox_max_size << 20, max_age=inference.outbox_max_age)
