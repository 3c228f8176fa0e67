"""Accelerator plug-ins, found through entry points only."""
