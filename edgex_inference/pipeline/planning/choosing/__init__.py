"""What `auto` takes: every candidate is asked the golden samples and timed, and the result is kept for this machine."""
