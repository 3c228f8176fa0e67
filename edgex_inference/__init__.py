"""Machine-learning inference for EdgeX Foundry: a reading becomes a result."""
