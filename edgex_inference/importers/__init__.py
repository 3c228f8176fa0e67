"""Formats that no living converter reads right, read by us: Caffe's and Kaldi's files become ONNX models.

Each format has one function `convert(paths…) -> onnx.ModelProto`; it raises ModelRejected, naming the file, the layer
and the way out, and no other error. What it gives has been checked by onnx's own checker, never by numbers: that is
the caller's part.
"""
