"""HTTP: EdgeX's common endpoints and our own."""
