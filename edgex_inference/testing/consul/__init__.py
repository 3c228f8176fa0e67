"""A double of a Consul agent, for tests: as much of it as EdgeX 2 and 3 use.

    from edgex_inference.testing.consul.server import ConsulDouble

    async with ConsulDouble() as consul:
        consul.put_tree("edgex/v3/core-common-config-bootstrapper/all-services", {"MessageBus": {"Host": "broker"}})
        ...  # consul.url for whoever needs it; consul.seen: every call that arrived

Keys and values with their indexes, questions that are held back until something changes, services with their health
checks, and the ACL token where `token` asks for one. It follows Consul's documentation of its HTTP interface; what it
is held to is the client that EdgeX's own services use.

`stop` and `start` play an outage: what it knows stays.
"""
