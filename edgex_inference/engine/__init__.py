"""Accelerators, models and the lanes that run them."""
