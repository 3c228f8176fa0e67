"""The words and the ports that all rooms share."""
