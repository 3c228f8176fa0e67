"""EdgeX's own device and application services of every generation (tests/peers) as processes, on any bus."""
