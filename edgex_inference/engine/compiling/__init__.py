"""Models compiled for a device: kept, checked and made again."""
