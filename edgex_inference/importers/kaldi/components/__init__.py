"""Kaldi's components, one function each; a table for each generation."""
