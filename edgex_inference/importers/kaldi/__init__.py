"""Kaldi: networks of nnet1, nnet2 and nnet3, text or binary, become ONNX models without state."""

from edgex_inference.importers.kaldi.convert import Edges, convert
from edgex_inference.importers.kaldi.files import subsampling

__all__ = ["Edges", "convert", "subsampling"]
