"""Bindings that fetch their readings instead of waiting for them."""
