"""Real models of many families from packages of PyPI and npm, through `model info|add|check|convert`: `make zoo`."""
