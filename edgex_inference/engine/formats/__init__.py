"""Foreign model files: told apart by their content, screened, converted in a toolchain, compared with their source."""
