"""Detection: one file for each family of networks, and what they share."""
