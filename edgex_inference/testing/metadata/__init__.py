"""A double of EdgeX's core-metadata, for tests: REST, system events, device validation.

    from edgex_inference.testing.metadata.server import MetadataDouble

    async with MetadataDouble(bus, version="3.1.1") as metadata:
        await metadata.call("POST", "/deviceprofile", [{"apiVersion": "v3", "profile": {...}}])
        ...  # metadata.url for whoever needs it; metadata.seen: every call that arrived
        metadata.faults.unavailable = True
        await metadata.stop()

It answers as the real core-metadata 4.0.2, 3.1.1, 2.3.0 or 2.1.1 does, down to the texts of errors: what it is held to
are exchanges recorded from them. The official device SDKs v4.0.2, v3.1.1, v2.3.0 and v2.1.1 boot against it.

Without a bus it sends no system events and takes every device unasked. With one, an open connection that you
close, it asks the device service first, and answers 503 after `request_timeout` seconds without a word, storing
nothing. As EdgeX 2 it calls device services over REST instead, under `/api/v2`; `settled` waits for those calls.

`metadata.state` holds the records (`services`, `profiles`, `devices`, `watchers`) and `policies`, EdgeX's own
settings; `metadata.faults` is what goes wrong. State lives in memory: `stop` and `start` keep it.

Left out: authentication, capacity limits. A call that times out stops at once, where the real one goes
on in the background.
"""
