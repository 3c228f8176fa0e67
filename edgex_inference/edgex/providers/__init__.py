"""The services that EdgeX keeps configuration and addresses in: core-keeper (EdgeX 4) and Consul (2 and 3)."""
