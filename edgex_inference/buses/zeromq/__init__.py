"""EdgeX on ZeroMQ (EdgeX 2): no broker, every publisher is listened to by itself."""
