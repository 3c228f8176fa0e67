"""What `edgex-inference compile` is made of."""
