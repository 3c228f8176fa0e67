"""The demo: an embedded broker, virtual devices, our own small models."""
