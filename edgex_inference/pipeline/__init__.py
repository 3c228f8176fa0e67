"""The journey: event in, sample, tensors, results, event out."""
