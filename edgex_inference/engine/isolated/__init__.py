"""A session in a worker process of its own, for stacks that crash: what they take down is not the service."""
