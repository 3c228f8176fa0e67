"""A double of EdgeX's core-keeper, for tests: the key-value store, the registry with its health checks, and the bus.

    from edgex_inference.testing.keeper.server import KeeperDouble

    async with KeeperDouble(bus) as keeper:
        keeper.common({"all-services": {"MessageBus": {"Host": "broker"}}, "app-services": {}})
        ...  # keeper.url for whoever needs it; keeper.seen: every call that arrived
        await keeper.stop()

It answers as the real core-keeper 4.0.2 does, down to the texts of errors: what it is held to are exchanges recorded
from it. The official device SDK v4.0.2 boots against it with `-cp -r`.

Without a bus nobody hears of changes. `keeper.store` and `keeper.registry` hold what it knows: `stop` and `start`,
which play an outage, keep it.

Left out: authentication, paging of `/registry/all`.
"""
