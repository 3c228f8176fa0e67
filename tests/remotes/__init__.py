"""Real servers of the Open Inference Protocol, in environments of their own: `make remotes`."""
