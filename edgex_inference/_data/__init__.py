"""The profiles and the default configuration that the wheel carries; no code."""
