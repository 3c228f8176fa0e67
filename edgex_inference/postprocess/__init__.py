"""Tensors become results, results become values; pure functions."""
