"""Bindings at work: from the block that is wanted to the plan that answers, and from one plan to the next."""
