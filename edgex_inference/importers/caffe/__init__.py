"""Caffe: a prototxt and its caffemodel (either generation of layers, or Caffe's forks) become one ONNX model."""

from edgex_inference.importers.caffe.convert import convert

__all__ = ["convert"]
