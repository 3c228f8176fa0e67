"""`make toolchains`: every toolchain installed from its pins, real and synthetic models converted and compared."""
