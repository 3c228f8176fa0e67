"""Inference blocks of device profiles: reading, checking, overriding, matching."""
