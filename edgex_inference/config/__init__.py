"""Configuration: its schema, its sources, and reporting every mistake at once."""
