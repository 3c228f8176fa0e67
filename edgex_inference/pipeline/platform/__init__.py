"""The EdgeX around the service: what core-metadata knows of devices and profiles, and what it is told of results."""
