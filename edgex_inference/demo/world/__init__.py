"""The world that the demo watches: a conveyor and a spindle, with a truth that never reaches the pipeline."""
