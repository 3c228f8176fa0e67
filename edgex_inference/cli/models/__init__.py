"""The parts of `edgex-inference model` and `init`: what a file says, what it answers, a first card, a first profile."""
