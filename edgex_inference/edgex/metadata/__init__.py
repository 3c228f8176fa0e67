"""core-metadata: asking it over REST, following its system events, a copy of what it holds."""
