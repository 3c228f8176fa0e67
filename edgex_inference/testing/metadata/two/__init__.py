"""What only the core-metadata of EdgeX 2 has: its records, its texts, its calls to device services."""
