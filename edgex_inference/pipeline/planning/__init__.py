"""From bindings, cards and accelerators to plans, proven by golden samples."""
