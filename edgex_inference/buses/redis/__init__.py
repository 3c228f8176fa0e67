"""EdgeX on Redis Pub/Sub (EdgeX 2 and 3)."""
