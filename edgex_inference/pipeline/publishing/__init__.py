"""What leaves: readings of results, when they go out, under which names."""
