"""The parts of `edgex-inference try`: inputs become events, answers become lines and pictures."""
