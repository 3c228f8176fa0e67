"""Model cards: read, checked, and completed from the file that they describe."""
