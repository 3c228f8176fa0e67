"""EdgeX on NATS (EdgeX 2.3 and later): core, and streams (JetStream)."""
