"""Rules for engines that read what the service publishes."""
