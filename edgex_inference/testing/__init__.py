"""Contract suites and fakes, shipped so that every implementation can run them."""
