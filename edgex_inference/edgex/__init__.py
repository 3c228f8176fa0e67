"""Speaking EdgeX: envelopes, events, topics."""
