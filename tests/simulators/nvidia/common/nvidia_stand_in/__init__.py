"""What the stand-ins of CUDA and of the three TensorRTs share. Names and signatures are those of the real ones."""
