"""Readings become tensors; pure functions."""
