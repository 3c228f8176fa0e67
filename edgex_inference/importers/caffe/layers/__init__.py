"""Caffe's layers, one function each: inputs in, blobs out."""
