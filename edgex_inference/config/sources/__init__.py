"""Where configuration comes from: files, addresses, and what a provider holds."""
